//! The real client: Deno, with `deno.ts`, which does a slice for each line that it is given.

use crate::figures::Figures;
use crate::subject::{Subject, TOKEN, run};
use serde::{Deserialize, Serialize};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The release that is asked of npm.
pub(crate) const VERSION: &str = "2.9.6";

/// Where npm puts it, unless it is there for the tests already.
const FOLDERS: [&str; 2] = ["target/clients", "target/deno"];

const SCRIPT: &str = "benches/serve/deno.ts";

/// A slice, as the script takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Slice<'a> {
    url: String,
    workload: &'a str,
    in_flight: usize,
    warm_up: u128,
    count: u128,
}

/// What has come of it. Latencies are in microseconds.
#[derive(Debug, Deserialize)]
struct Counted {
    done: u32,
    conflicts: u32,
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Deno, while it runs.
#[derive(Debug)]
pub(crate) struct Deno {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Does a slice with some of them at once, which share what is in flight.
pub(crate) fn measure(
    denos: &mut [Deno],
    subject: &Subject,
    workload: &str,
    in_flight: usize,
    [warm_up, count]: [Duration; 2],
) -> Result<Figures, String> {
    let slice = Slice {
        url: format!("http://{}/", subject.address),
        workload,
        in_flight: in_flight / denos.len(),
        warm_up: warm_up.as_millis(),
        count: count.as_millis(),
    };
    for deno in &mut *denos {
        deno.begin(&slice)?;
    }
    for deno in &mut *denos {
        deno.expect("counting")?;
    }
    let (cpu, begun) = (subject.cpu(), Instant::now());
    let counted: Result<Vec<Counted>, String> = denos.iter_mut().map(Deno::counted).collect();
    let (cpu, took) = (subject.cpu().saturating_sub(cpu), begun.elapsed());
    let counted = counted?;
    for deno in &mut *denos {
        deno.expect("checked")?;
    }
    let sum = |of: fn(&Counted) -> u32| counted.iter().map(|it| f64::from(of(it))).sum::<f64>();
    // Of several, the worst.
    let most = |of: fn(&Counted) -> f64| counted.iter().map(of).fold(0.0, f64::max);
    let (done, conflicts) = (sum(|it| it.done), sum(|it| it.conflicts));
    Ok(Figures {
        rate: done / count.as_secs_f64(),
        conflicts: conflicts / (done + conflicts),
        // What is counted for the latter is what the former is counted for, but for some microseconds.
        cpu_us: cpu.as_secs_f64() / took.as_secs_f64() * count.as_secs_f64() / done * 1e6,
        p50_us: most(|it| it.p50),
        p99_us: most(|it| it.p99),
        p999_us: most(|it| it.p999),
    })
}

/// Where Deno is, which npm fetches if it is not there.
pub(crate) fn program() -> Result<PathBuf, String> {
    let programs = FOLDERS.map(|folder| Path::new(folder).join("node_modules/.bin/deno"));
    if let Some(there) = programs.iter().find(|program| program.exists()) {
        return Ok(there.clone());
    }
    let [_, program] = programs;
    let package = format!("deno@{VERSION}");
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .args(["--prefix", FOLDERS[1], &package]))?;
    Ok(program)
}

impl Deno {
    pub(crate) fn start(program: &Path) -> Result<Self, String> {
        let folder = env::current_dir().map_err(|error| error.to_string())?;
        let child = Command::new(folder.join(program))
            .args([
                "run",
                "--no-lock",
                "--unstable-kv",
                "--allow-net",
                "--allow-env",
            ])
            .arg(SCRIPT)
            .env("DENO_KV_ACCESS_TOKEN", TOKEN)
            .env("DENO_NO_UPDATE_CHECK", "1")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self {
                child,
                input,
                output: BufReader::new(output),
            }),
            _ => Err("Deno has no input or no output".to_owned()),
        }
    }

    fn begin(&mut self, slice: &Slice<'_>) -> Result<(), String> {
        let line = serde_json::to_string(slice).map_err(|error| error.to_string())?;
        writeln!(self.input, "{line}").map_err(|error| error.to_string())
    }

    fn counted(&mut self) -> Result<Counted, String> {
        let line = self.line()?;
        serde_json::from_str(&line)
            .map_err(|error| format!("Deno said {line:?}, which is no result: {error}"))
    }

    fn expect(&mut self, expected: &str) -> Result<(), String> {
        let line = self.line()?;
        if line == expected {
            Ok(())
        } else {
            Err(format!("Deno said {line:?}, and not {expected:?}"))
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        match read {
            Ok(0) => Err("Deno has ended".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Deno {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
