//! Real clients against a real server: Deno with what it has built in, Node with `@deno/kv`.
//!
//! What is needed comes from npm into `target/clients`. Without npm, or without its registry, nothing is run,
//! and that is said.

use crate::command::{cargo, output, run, shown};
use crate::steps::Outcome;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is asked of npm. Exact versions: what they do is what is tested.
const PACKAGES: [&str; 3] = ["deno@2.9.6", "@deno/kv@0.14.0", "esbuild@0.25.12"];

/// Where it lies.
const FOLDER: &str = "target/clients";

const SUITES: &str = "server/tests/clients";

/// What clients have to show.
const TOKEN: &str = "a-token-of-the-clients";

/// How long npm may take to answer: what is slower counts as offline.
const REGISTRY_TIMEOUT_MS: &str = "20000";

/// Runs the suites in both runtimes.
pub(crate) fn clients() -> Result<Outcome, String> {
    if output(Command::new("npm").arg("--version")).is_none() {
        return Ok(Outcome::Skipped("there is no npm".to_owned()));
    }
    match install() {
        Ok(()) => {}
        Err(Missing::Offline(reason)) => return Ok(Outcome::Skipped(reason)),
        Err(Missing::Broken(reason)) => return Err(reason),
    }
    run(&mut cargo([
        "build",
        "--release",
        "--package",
        "kvick-server",
    ]))?;
    let bundle = Path::new(FOLDER).join("node.mjs");
    run(Command::new(tool("esbuild"))
        .args([
            "--bundle",
            "--platform=node",
            "--format=esm",
            "--external:@deno/kv",
        ])
        .arg("--log-level=warning")
        .arg(format!("--outfile={}", bundle.display()))
        .arg(format!("{SUITES}/node.ts")))?;
    let server = Arc::new(Server::start()?);
    let control = Control::start(Arc::clone(&server))?;
    let [url, control] =
        [server.address, control.address].map(|address| format!("http://{address}/"));
    let deno = run(with_token(Command::new(tool("deno")))
        .args([
            "run",
            "--no-lock",
            "--unstable-kv",
            "--allow-net",
            "--allow-env",
        ])
        .args([&format!("{SUITES}/deno.ts"), &url, &control]));
    let node = run(with_token(Command::new("node"))
        .arg(&bundle)
        .args([&url, &control]));
    deno.and(node)?;
    Ok(Outcome::Passed)
}

fn with_token(mut command: Command) -> Command {
    command
        .env("DENO_KV_ACCESS_TOKEN", TOKEN)
        .env("DENO_NO_UPDATE_CHECK", "1")
        .env("NO_COLOR", "1");
    command
}

/// Why there are no clients.
enum Missing {
    Offline(String),
    Broken(String),
}

impl From<std::io::Error> for Missing {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(format!("{FOLDER}: {error}"))
    }
}

/// Fetches what is needed. The error says what is missing.
fn install() -> Result<(), Missing> {
    let marker = Path::new(FOLDER).join("installed");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    fs::create_dir_all(FOLDER)?;
    let manifest = Path::new(FOLDER).join("package.json");
    fs::write(&manifest, "{ \"private\": true }\n")?;
    let mut npm = Command::new("npm");
    npm.current_dir(FOLDER)
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-progress",
            "--loglevel=error",
        ])
        .arg(format!("--fetch-timeout={REGISTRY_TIMEOUT_MS}"))
        .arg("--fetch-retries=1")
        .args(PACKAGES);
    println!("$ {} (in {FOLDER})", shown(&npm));
    match npm.status() {
        Ok(status) if status.success() => {
            fs::write(&marker, wanted)?;
            Ok(())
        }
        Ok(_) if is_reachable() => Err(Missing::Broken(format!("`{}` failed", shown(&npm)))),
        Ok(_) => Err(Missing::Offline(
            "npm does not reach its registry: is this offline?".to_owned(),
        )),
        Err(error) => Err(Missing::Broken(format!("npm did not start: {error}"))),
    }
}

/// Whether the registry answers.
fn is_reachable() -> bool {
    let mut view = Command::new("npm");
    view.args(["view", PACKAGES[1], "version", "--loglevel=error"])
        .arg(format!("--fetch-timeout={REGISTRY_TIMEOUT_MS}"))
        .arg("--fetch-retries=1");
    output(&mut view).is_some()
}

/// A program that npm has brought.
fn tool(name: &str) -> PathBuf {
    let folder = env::current_dir().unwrap_or_default();
    folder.join(FOLDER).join("node_modules/.bin").join(name)
}

/// A server that can be started again at the same address.
struct Server {
    address: SocketAddr,
    child: Mutex<Option<Child>>,
}

impl Server {
    fn start() -> Result<Self, String> {
        let (child, address) = start_at("127.0.0.1:0")?;
        Ok(Self {
            address,
            child: Mutex::new(Some(child)),
        })
    }

    fn restart(&self) -> Result<(), String> {
        self.stop();
        let (child, _) = start_at(&self.address.to_string())?;
        let held = self.child.lock();
        held.unwrap_or_else(PoisonError::into_inner).replace(child);
        Ok(())
    }

    fn stop(&self) {
        let mut held = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let child = held.take();
        drop(held);
        if let Some(mut child) = child {
            // As a machine that fails would: what is under way is not answered.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a server, and waits for where it says that it is.
fn start_at(address: &str) -> Result<(Child, SocketAddr), String> {
    let mut command = Command::new("target/release/kvick");
    command
        .args(["serve", "--addr", address])
        .env("KVICK_ACCESS_TOKEN", TOKEN);
    println!("$ {}", shown(&command));
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("the server did not start: {error}"))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // It says nothing more.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split([',', '\n']).next());
    if let Some(address) = address.and_then(|address| address.trim().parse().ok()) {
        Ok((child, address))
    } else {
        let _ = child.kill();
        Err(format!("the server said {line:?}, and not where it is"))
    }
}

/// Where the suites ask for the server to be started again.
struct Control {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    fn start(server: Arc<Server>) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                answer(stream, &server);
            }
        });
        Ok(Self {
            address,
            is_over,
            thread: Some(thread),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(self.address);
        // It has the server, which is to end as well.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream, server: &Server) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.extend(byte);
    }
    let done = match head.split(|byte| *byte == b' ').nth(1) {
        Some(b"/restart") => server.restart(),
        Some(b"/from-rust") => from_rust(server.address),
        Some(b"/to-rust") => to_rust(server.address),
        _ => Err("there is no such thing to be done".to_owned()),
    };
    let (status, text) = match done {
        Ok(()) => ("200 OK", String::new()),
        Err(reason) => ("500 Internal Server Error", reason),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{text}"
    );
}

/// What passes between JavaScript and the command line, as that shows it: in the order of the names, those of
/// suite.ts.
const LITERALS: [(&str, &str); 16] = [
    ("array", "[1, \"2\", [3n, null]]"),
    ("bigint", "-1180591620717411303424n"),
    ("bytes", "b\"\\x00\\xff\""),
    ("date", "new Date(\"2023-11-14T22:13:20.000Z\")"),
    ("empty", "\"\""),
    ("infinity", "-Infinity"),
    ("map", "new Map([[\"a\", 1], [2, new Set([3])]])"),
    ("nan", "NaN"),
    ("null", "null"),
    ("number", "-1500"),
    ("object", "{ a: { b: [true] }, \"c d\": undefined }"),
    ("text", "\"ä\\n😀\""),
    ("true", "true"),
    ("u64", "u64(18446744073709551615)"),
    ("undefined", "undefined"),
    ("zero", "-0"),
];

/// The command line, for this server.
fn kvick(address: SocketAddr, words: &[&str]) -> Command {
    let mut command = Command::new("target/release/kvick");
    command
        .args(words)
        .env("KVICK_URL", format!("http://{address}/"))
        .env("KVICK_ACCESS_TOKEN", TOKEN);
    command
}

/// Sets each of the literals.
fn from_rust(address: SocketAddr) -> Result<(), String> {
    for (name, literal) in LITERALS {
        let key = format!("['rust', '{name}']");
        let mut set = kvick(address, &["set", "--", &key, literal]);
        output(&mut set).ok_or_else(|| format!("{} failed", shown(&set)))?;
    }
    Ok(())
}

/// That each of the literals is what a client has set.
fn to_rust(address: SocketAddr) -> Result<(), String> {
    for (name, literal) in LITERALS {
        let key = format!("['js', '{name}']");
        let mut get = kvick(address, &["get", &key]);
        let text = output(&mut get).ok_or_else(|| format!("{} failed", shown(&get)))?;
        if text.trim_end() != literal {
            return Err(format!("{name}: got {text:?}, and not {literal:?}"));
        }
    }
    Ok(())
}
