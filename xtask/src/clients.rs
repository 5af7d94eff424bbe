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
use std::thread;
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
    if let Err(reason) = install() {
        return Ok(Outcome::Skipped(reason));
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

/// Fetches what is needed. The error says what is missing.
fn install() -> Result<(), String> {
    let marker = Path::new(FOLDER).join("installed");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    fs::create_dir_all(FOLDER).map_err(|error| format!("{FOLDER}: {error}"))?;
    let manifest = Path::new(FOLDER).join("package.json");
    fs::write(&manifest, "{ \"private\": true }\n").map_err(|error| error.to_string())?;
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
            fs::write(&marker, wanted).map_err(|error| error.to_string())
        }
        Ok(_) => Err("npm cannot fetch Deno and its client: is this offline?".to_owned()),
        Err(error) => Err(format!("npm did not start: {error}")),
    }
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
}

impl Control {
    fn start(server: Arc<Server>) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                answer(stream, &server);
            }
        });
        Ok(Self { address, is_over })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, server: &Server) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.extend(byte);
    }
    let status = if !head.starts_with(b"POST ") {
        "405 Method Not Allowed"
    } else if let Err(reason) = server.restart() {
        println!("{reason}");
        "500 Internal Server Error"
    } else {
        "204 No Content"
    };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
}
