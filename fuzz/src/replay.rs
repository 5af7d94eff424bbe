//! Running inputs from files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// Runs the inputs in the files that the command line names.
#[expect(clippy::print_stdout, reason = "it is the program's whole interface")]
pub fn main(target: fn(&[u8])) -> ExitCode {
    let paths: Vec<_> = env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        println!("usage: name the files of the inputs to run");
        return ExitCode::from(2);
    }
    for path in paths {
        let input = match fs::read(&path) {
            Ok(input) => input,
            Err(error) => {
                println!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        };
        println!("{} ({} bytes)", path.display(), input.len());
        target(&input);
    }
    ExitCode::SUCCESS
}

/// The files of a target's corpus, in the order of their names.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn corpus(target: &str) -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let entries = fs::read_dir(folder.join(target))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort_unstable();
    Ok(paths)
}
