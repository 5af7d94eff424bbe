//! What a machine says of itself, and the workspace of its dependencies: for the records of both comparisons.

use std::fs;
use std::process::Command;

/// The lock file that this program was built by.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// A package with the version that is used of it.
pub(crate) fn version(name: &str) -> String {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK
        .split(&entry)
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    format!("{name} {}", version.unwrap_or("?"))
}

/// What a command prints, if it can be run.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".to_owned())
}

/// Of the processor.
pub(crate) fn model() -> Option<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
