//! Servers, and the command beside them.

use kvick::Kv;
use kvick_server::{AccessToken, Options, Server};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

pub(crate) const TOKEN: &str = "correct-horse-battery";

/// A server of a database, until it is dropped.
pub(crate) struct Served {
    pub(crate) kv: Kv,
    pub(crate) url: String,
    _shutdown: oneshot::Sender<()>,
    _runtime: Runtime,
}

pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("it starts")
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::of(Kv::new())
    }

    pub(crate) fn of(kv: Kv) -> Self {
        Self::with(kv, "http", |server| server)
    }

    pub(crate) fn with(kv: Kv, scheme: &str, set_up: impl FnOnce(Server) -> Server) -> Self {
        let runtime = runtime();
        let mut options = Options::default();
        options.access_token = Some(AccessToken::new(TOKEN).expect("it is long enough"));
        let server = set_up(Server::new(kv.clone(), options));
        let (shutdown, stopped) = oneshot::channel();
        let address: SocketAddr = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("there is a port");
            let address = listener.local_addr().expect("it has one");
            tokio::spawn(server.serve(listener, async {
                let _ = stopped.await;
            }));
            address
        });
        Self {
            kv,
            url: format!("{scheme}://{address}"),
            _shutdown: shutdown,
            _runtime: runtime,
        }
    }

    /// The command, told where this is.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.env("KVICK_URL", &self.url);
        command.env("KVICK_ACCESS_TOKEN", TOKEN);
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Done {
        run(&mut self.command(words))
    }

    /// What a command that is to succeed shows.
    #[track_caller]
    pub(crate) fn shows(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!((done.code, &done.err[..]), (0, ""), "{words:?}");
        done.out
    }
}

/// The command, with nothing of the environment that it looks at.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvick"));
    command.args(words).stdin(Stdio::null());
    for name in ["KVICK_URL", "KVICK_ACCESS_TOKEN", "DENO_KV_ACCESS_TOKEN"] {
        command.env_remove(name);
    }
    command
}

/// What a command has done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal has ended it"),
            out: String::from_utf8(output.stdout).expect("it is text"),
            err: String::from_utf8(output.stderr).expect("it is text"),
        }
    }

    /// That it has failed so, has shown nothing, and says this.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: i32, says: &str) {
        assert_eq!((self.code, &self.out[..]), (code, ""), "{}", self.err);
        assert!(self.err.starts_with("kvick: "), "{}", self.err);
        assert!(self.err.contains(says), "{:?}, and not {says:?}", self.err);
    }
}

pub(crate) fn run(command: &mut Command) -> Done {
    Done::of(command.output().expect("it runs"))
}

/// With this on its standard input.
pub(crate) fn run_with(command: &mut Command, input: impl AsRef<[u8]>) -> Done {
    let mut child = spawn(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end before it has read all.
    let _ = stdin.write_all(input.as_ref());
    drop(stdin);
    Done::of(child.wait_with_output().expect("it ends"))
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it runs")
}

/// A folder of its own for a test, which is removed with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cli-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.0.join(name);
        path.to_str().expect("it is text").to_owned()
    }

    /// The names of what is in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry.expect("it is there")))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Done {
    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!((self.code, &self.err[..]), (0, ""));
    }
}
