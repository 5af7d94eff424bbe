//! The servers that are measured, each a process of its own at a free port.

use crate::call::Caller;
use crate::workload;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What clients have to show.
pub(crate) const TOKEN: &str = "a-token-of-the-benchmarks";

/// The release of the reference server, which is `denokv` on crates.io.
pub(crate) const REFERENCE_VERSION: &str = "0.14.0";

const REFERENCE_FOLDER: &str = "target/reference";

/// How long a server may take to begin.
const BEGIN_MAX: Duration = Duration::from_secs(20);
const BEGIN_AGAIN: Duration = Duration::from_millis(20);

/// What the kernel counts the time of processes in, for whoever asks: hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Which servers there are, in this order everywhere.
pub(crate) const NAMES: [&str; 2] = ["kvick", "denokv"];

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Subject {
    /// Starts kvick's, and the reference.
    pub(crate) fn start_both(kvick: &Path, reference: &Path) -> Result<[Self; 2], String> {
        let kvick = Self::start(kvick, |command, address| {
            command
                .args(["serve", "--addr", &address.to_string()])
                .env("KVICK_ACCESS_TOKEN", TOKEN)
        })?;
        let reference = Self::start(reference, |command, address| {
            command
                .args(["--sqlite-path", ":memory:", "serve"])
                .args(["--addr", &address.to_string()])
                .env("DENO_KV_ACCESS_TOKEN", TOKEN)
        })?;
        Ok([kvick, reference])
    }

    fn start(
        program: &Path,
        arguments: fn(&mut Command, SocketAddr) -> &mut Command,
    ) -> Result<Self, String> {
        let address = free_address().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        arguments(&mut command, address).stdout(Stdio::null());
        let child = command.spawn();
        let child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let subject = Self { address, child };
        let begun = Instant::now();
        loop {
            match Caller::connect(address, TOKEN) {
                Ok(mut caller) => {
                    workload::fill(&mut caller)?;
                    return Ok(subject);
                }
                Err(error) if begun.elapsed() > BEGIN_MAX => {
                    return Err(format!("{} does not answer: {error}", program.display()));
                }
                #[expect(
                    clippy::disallowed_methods,
                    reason = "there is nothing that says when it has begun"
                )]
                Err(_) => thread::sleep(BEGIN_AGAIN),
            }
        }
    }

    /// The time that its threads have had so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // After the name, which may have anything in it; then the 12th and 13th.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        TICK * ticks
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Builds kvick's server as it is now.
pub(crate) fn build_kvick() -> Result<PathBuf, String> {
    run(Command::new(env!("CARGO")).args(["build", "--release", "--package", "kvick-server"]))?;
    Ok(PathBuf::from("target/release/kvick"))
}

/// The reference server, which is built first if it is not there: that takes minutes.
pub(crate) fn reference() -> Result<PathBuf, String> {
    let program = Path::new(REFERENCE_FOLDER).join("bin/denokv");
    if !program.exists() {
        run(Command::new(env!("CARGO"))
            .args([
                "install",
                "denokv",
                "--version",
                REFERENCE_VERSION,
                "--locked",
            ])
            .args(["--root", REFERENCE_FOLDER])
            .arg("--target-dir")
            .arg(Path::new(REFERENCE_FOLDER).join("build")))?;
    }
    Ok(program)
}

pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}
