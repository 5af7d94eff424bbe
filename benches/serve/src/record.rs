//! Record files: a run's figures as CSV, and a page that says what ran where.

use crate::deno;
use crate::figures::Cell;
use crate::host::{model, said, version};
use crate::subject::REFERENCE_VERSION;
use crate::table;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, thread};

/// Whose versions a record names, beside those that are not built here.
const PACKAGES: [&str; 4] = ["kvick-server", "hyper", "h2", "tokio"];

/// Writes a run's files into a folder, which is made if it is not there. The result is the path without its
/// ending: `.csv` and `.md` go there.
pub(crate) fn write(folder: &Path, cells: &[Cell]) -> io::Result<PathBuf> {
    let date = said(Command::new("date").arg("+%Y-%m-%d"));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let model = model().unwrap_or_else(|| env::consts::ARCH.to_owned());
    fs::create_dir_all(folder)?;
    let path = folder.join(format!(
        "{date}-{}",
        slug(&format!("{cores} cores {model}"))
    ));
    let versions: Vec<String> = PACKAGES.iter().map(|name| version(name)).collect();
    let page = format!(
        "# {date}, {cores} cores\n\n\
         | | |\n| --- | --- |\n\
         | machine | {model}, {cores} cores, {}, for both servers and their clients |\n\
         | compiler | {}, profile release |\n\
         | commit | {} |\n\
         | command | `{}` |\n\
         | versions | {}, denokv {REFERENCE_VERSION}, deno {} |\n\n{}",
        env::consts::OS,
        said(Command::new("rustc").arg("--version")),
        said(Command::new("git").args(["describe", "--always", "--dirty"])),
        command(),
        versions.join(", "),
        deno::VERSION,
        table::page(cells),
    );
    // Not before it is asked whether the tree is clean.
    fs::write(path.with_extension("csv"), table::csv(cells))?;
    fs::write(path.with_extension("md"), page)?;
    Ok(path)
}

/// What this was called by, without the paths of a machine.
fn command() -> String {
    let arguments = env::args().skip(1).map(|argument| {
        let is_path = argument.contains('/');
        if is_path { "FILE".to_owned() } else { argument }
    });
    let arguments: Vec<String> = arguments.collect();
    let command = format!(
        "cargo run --release -p kvick-serve-bench -- {}",
        arguments.join(" ")
    );
    command.trim_end_matches([' ', '-']).to_owned()
}

fn slug(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}
