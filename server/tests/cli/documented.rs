//! What docs/command-line.md shows is what happens.

use crate::support::{Folder, Served, TOKEN};
use std::process::Command;
use std::{env, fs};

/// A command of the page, and what it shows.
struct Step {
    line: String,
    shows: String,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks = page.split("```console\n").skip(1);
    for block in blocks.map(|block| block.split("```").next().unwrap_or_default()) {
        for line in block.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(line), _) => steps.push(Step {
                    line: line.to_owned(),
                    shows: String::new(),
                }),
                (None, Some(step)) => step.shows.extend([line, "\n"]),
                (None, None) => panic!("a block begins with what is shown: {line}"),
            }
        }
    }
    steps
}

/// Versionstamps are others each time.
fn without_stamps(text: &str) -> String {
    let is_stamp =
        |word: &str| word.len() == 20 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text.split_inclusive(|one: char| !one.is_ascii_alphanumeric());
    let word = |word: &str| match word.strip_suffix(|one: char| !one.is_ascii_alphanumeric()) {
        Some(stamp) if is_stamp(stamp) => format!("STAMP{}", &word[20..]),
        _ => word.to_owned(),
    };
    words.map(word).collect()
}

#[cfg(unix)]
#[test]
fn the_page_shows_what_happens() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md");
    // Of the crate alone there is no page.
    let Ok(page) = fs::read_to_string(page) else {
        return;
    };
    let (served, folder) = (Served::start(), Folder::new());
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_kvick"));
    let folders = [own.parent().expect("it is in a folder").into()];
    let others = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folders.into_iter().chain(env::split_paths(&others)));
    let path = path.expect("they can be joined");
    let steps = steps(&page);
    assert!(steps.len() > 10, "there is something to check");
    for step in steps {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{{ {}; }} 2>&1", step.line)])
            .current_dir(folder.file(""));
        shell
            .env("PATH", &path)
            .env("KVICK_URL", &served.url)
            .env("KVICK_ACCESS_TOKEN", TOKEN);
        let shown = shell.output().expect("it runs").stdout;
        let shown = String::from_utf8(shown).expect("it is text");
        assert_eq!(
            without_stamps(&shown),
            without_stamps(&step.shows),
            "{}",
            step.line
        );
    }
}
