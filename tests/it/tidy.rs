//! The rules of the sources that neither the compiler nor clippy holds.
//!
//! The library stands on floors, and imports point down only:
//!
//! ```text
//! 5  every other module                   the public face
//! 4  engine
//! 3  index
//! 1  mvcc backlog flight     2  key value expiry limits error delivery policy     (these two do not know each other)
//! 0  sync clock moment version
//! ```
//!
//! A rule is one function from a file to what it finds there. To add one, write the function, list
//! it in [`RULES`], and show in `tests.rs` what it catches and what it lets pass.

mod source;
mod tests;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, str};

use source::Source;

/// What a rule objects to, and where.
#[derive(PartialEq)]
struct Finding {
    /// Counted from 1.
    line: usize,
    reason: String,
}

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[Rule] = &[
    imports_point_down,
    modules_are_reached_from_the_root,
    lib_rs_has_no_code,
    std_sync_is_behind_the_shim,
    concurrency_crates_are_behind_the_shim,
    the_skip_list_is_behind_the_index,
    time_is_read_by_the_clock,
    seqcst_is_for_fences,
    unsafe_is_in_few_files,
    files_are_short,
    nothing_is_left_to_do,
    no_path_of_a_machine,
    orderings_are_explained,
];

const LONGEST_FILE_LINES: usize = 800;

/// How far above an access its `ORDERING:` comment may begin, the comment itself not counted.
const ORDERING_NOTE_REACH_LINES: usize = 6;

#[test]
fn the_sources_keep_their_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files(root);
    assert!(
        files.iter().any(|path| path == "src/lib.rs"),
        "the sources are not where they are looked for: {files:?}"
    );
    let mut findings = Vec::new();
    for path in &files {
        // A file that is deleted but not yet committed, or one that is no text.
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        let source = Source::new(path, &text);
        let found = RULES.iter().flat_map(|rule| rule(&source));
        findings.extend(found.map(|Finding { line, reason }| format!("{path}:{line}: {reason}")));
    }
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn imports_point_down(source: &Source) -> Vec<Finding> {
    let module = source.module();
    let Some(from) = module.first() else {
        return Vec::new();
    };
    find_paths(source, |path| {
        let ["crate", to, ..] = path else { return None };
        if may_import(from, to) {
            None
        } else if to.starts_with(char::is_uppercase) {
            Some(format!("name the module that {to} comes from"))
        } else {
            Some(format!("{from} may not import {to}: imports point down"))
        }
    })
}

fn may_import(from: &str, to: &str) -> bool {
    match (floor(from), floor(to)) {
        (2, 0) => to == "version",
        (5, 0) => to != "sync",
        (2, 1) | (5, 1 | 3) => false,
        (from, to) => to <= from,
    }
}

fn floor(module: &str) -> u8 {
    match module {
        // `memory` stands beside the models: the heap that sync's other face hands out.
        "sync" | "clock" | "moment" | "version" | "memory" => 0,
        "mvcc" | "backlog" | "flight" => 1,
        "key" | "value" | "expiry" | "limits" | "error" | "delivery" | "policy" => 2,
        "index" => 3,
        "engine" => 4,
        _ => 5,
    }
}

/// So that whoever reads the imports, this file included, sees where they point.
fn modules_are_reached_from_the_root(source: &Source) -> Vec<Finding> {
    let depth = source.module().len();
    let paths = source.paths().into_iter().filter(|path| {
        let segments = path.segments.iter().skip_while(|name| *name == "self");
        let up = segments.take_while(|name| *name == "super").count();
        depth > 0 && up >= depth + path.inline_modules
    });
    let reason = "write crate:: instead of super:: for another module";
    paths.map(|path| finding(path.line, reason)).collect()
}

fn lib_rs_has_no_code(source: &Source) -> Vec<Finding> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let code = without_attributes(&source.code);
    let mut findings = Vec::new();
    let mut line = 1;
    for statement in code.split_inclusive(';') {
        let blank = statement.len() - statement.trim_start().len();
        let begin = line + statement[..blank].matches('\n').count();
        line += statement.matches('\n').count();
        let item = statement.trim().trim_end_matches(';');
        let item = item
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        let is_listing = item.starts_with("use ")
            || (item.starts_with("mod ") && !item.contains('{'))
            || item.starts_with("compile_error!")
            || item.is_empty();
        if !is_listing {
            findings.push(finding(begin, "lib.rs is documentation, mod and use only"));
        }
    }
    findings
}

/// The code with attributes blanked out, lines kept.
fn without_attributes(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find('#') {
        let mut depth = 0;
        let end = rest[at..].find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ']' && depth == 0
        });
        let end = end.map_or(rest.len(), |length| at + length + 1);
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

fn std_sync_is_behind_the_shim(source: &Source) -> Vec<Finding> {
    if !source.in_src() || source.module().first() == Some(&"sync") {
        return Vec::new();
    }
    find_paths(source, |path| match path {
        ["std" | "core" | "alloc", "sync", "Arc" | "Weak", ..] => None,
        ["std" | "core" | "alloc", "sync", ..] => Some("take it from crate::sync".to_owned()),
        _ => None,
    })
}

fn concurrency_crates_are_behind_the_shim(source: &Source) -> Vec<Finding> {
    if !source.in_src() || source.module().first() == Some(&"sync") {
        return Vec::new();
    }
    find_paths(source, |path| match path {
        // Alone, `loom` is the condition and not the crate.
        ["parking_lot" | "crossbeam_epoch" | "crossbeam_utils", ..] | ["loom", _, ..] => {
            Some(format!("only src/sync.rs names {}", path[0]))
        }
        _ => None,
    })
}

fn the_skip_list_is_behind_the_index(source: &Source) -> Vec<Finding> {
    if !source.in_src() || source.path == "src/index/directory.rs" {
        return Vec::new();
    }
    find_paths(source, |path| {
        let named = path.first() == Some(&"crossbeam_skiplist");
        named.then(|| "only src/index/directory.rs names crossbeam_skiplist".to_owned())
    })
}

fn time_is_read_by_the_clock(source: &Source) -> Vec<Finding> {
    if !source.in_src() || source.path == "src/clock.rs" {
        return Vec::new();
    }
    find_paths(source, |path| {
        let reads = path.contains(&"SystemTime") || path.ends_with(&["Instant", "now"]);
        reads.then(|| "only src/clock.rs reads the time".to_owned())
    })
}

fn seqcst_is_for_fences(source: &Source) -> Vec<Finding> {
    let reason = "SeqCst is for fences: loom checks no SeqCst access";
    find_lines(source.in_src().then_some(&*source.code), |line| {
        (line.contains("SeqCst") && !line.contains("fence(")).then_some(reason)
    })
}

fn unsafe_is_in_few_files(source: &Source) -> Vec<Finding> {
    const MAY: [&str; 9] = [
        "src/mvcc/chain.rs",
        "src/mvcc/chain/retired.rs",
        "src/mvcc/chain/draft.rs",
        "src/mvcc/chain/superseded.rs",
        "src/mvcc/point.rs",
        "src/mvcc/leaf.rs",
        "src/mvcc/leaf/array.rs",
        "src/mvcc/leaf/shortcut.rs",
        // The heap of the simulations, which is in no library.
        "src/sync/stepped.rs",
    ];
    if !source.in_src() || MAY.contains(&&*source.path) {
        return Vec::new();
    }
    find_paths(source, |path| {
        let reason = format!("unsafe is for {}", MAY.join(", "));
        (path == ["unsafe"]).then_some(reason)
    })
}

fn files_are_short(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if !source.is_rust() || lines <= LONGEST_FILE_LINES {
        return Vec::new();
    }
    let reason = format!("the file has {lines} lines, limit is {LONGEST_FILE_LINES}");
    vec![finding(LONGEST_FILE_LINES + 1, &reason)]
}

fn nothing_is_left_to_do(source: &Source) -> Vec<Finding> {
    let in_code = find_lines(Some(&source.code), |line| {
        let marks = ["todo!(", "unimplemented!(", "#[ignore"];
        marks.into_iter().find(|mark| line.contains(mark))
    });
    let in_text = find_lines(about_others(source), |line| {
        let mut words = line.split(|c: char| !c.is_alphanumeric());
        words.find(|word| matches!(*word, "FIXME" | "XXX"))
    });
    let found = in_code.into_iter().chain(in_text);
    found
        .map(|found| finding(found.line, &format!("{} is left", found.reason)))
        .collect()
}

fn no_path_of_a_machine(source: &Source) -> Vec<Finding> {
    const FOLDERS: [&str; 4] = ["/tmp/", "/home/", "/root/", "/work/"];
    let begins_a_path = |before: &str| {
        let inside = |c: char| c.is_alphanumeric() || "_-.~}/".contains(c);
        !before.ends_with(inside)
    };
    find_lines(about_others(source), |line| {
        FOLDERS.into_iter().find_map(|folder| {
            let mut places = line.match_indices(folder);
            let is_there = places.any(|(at, _)| begins_a_path(&line[..at]));
            is_there.then_some("a path of some machine")
        })
    })
}

/// The text, unless it is that of the rules themselves, which name what they look for, or one that
/// a fuzzer has written.
fn about_others(source: &Source) -> Option<&str> {
    const NOT: [&str; 2] = ["tests/it/tidy", "fuzz/corpus/"];
    let is_other = !NOT.iter().any(|path| source.path.starts_with(path));
    is_other.then_some(&source.text)
}

fn orderings_are_explained(source: &Source) -> Vec<Finding> {
    const ORDERS: [&str; 6] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst", "*"];
    let module = source.module();
    let is_core = module.first().is_some_and(|name| floor(name) <= 1);
    if !is_core || module.last() == Some(&"tests") {
        return Vec::new();
    }
    let mut found = source.paths();
    found.retain(|path| {
        let names_an_order = path
            .segments
            .windows(2)
            .any(|pair| pair[0] == "Ordering" && ORDERS.contains(&&*pair[1]));
        names_an_order && !has_ordering_note(&source.text, path.line)
    });
    let reason = "say in an ORDERING: comment above why this order suffices";
    found
        .iter()
        .map(|path| finding(path.line, reason))
        .collect()
}

fn has_ordering_note(text: &str, line: usize) -> bool {
    let lines: Vec<_> = text.lines().take(line).collect();
    let mut code_lines = 0;
    for line in lines.iter().rev() {
        if line.contains("// ORDERING:") {
            return true;
        }
        code_lines += usize::from(!line.trim_start().starts_with("//"));
        if code_lines > ORDERING_NOTE_REACH_LINES + 1 {
            return false;
        }
    }
    false
}

/// The paths that `object` has a reason against.
fn find_paths(source: &Source, object: impl Fn(&[&str]) -> Option<String>) -> Vec<Finding> {
    let paths = source.paths().into_iter();
    let found = paths.filter_map(|path| {
        let segments: Vec<_> = path.segments.iter().map(String::as_str).collect();
        Some(finding(path.line, &object(&segments)?))
    });
    let mut found: Vec<_> = found.collect();
    found.dedup();
    found
}

/// The lines that `object` has a reason against.
fn find_lines<'a>(
    text: Option<&'a str>,
    object: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<Finding> {
    let lines = (1..).zip(text.unwrap_or_default().lines());
    lines
        .filter_map(|(number, line)| Some(finding(number, object(line)?)))
        .collect()
}

fn finding(line: usize, reason: &str) -> Finding {
    Finding {
        line,
        reason: reason.to_owned(),
    }
}

/// The files of the project: those that git tracks or would, or, where this is no repository, all
/// but what is built.
fn files(root: &Path) -> Vec<String> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output();
    match listed {
        Ok(output) if output.status.success() => {
            let names = str::from_utf8(&output.stdout).expect("file names are UTF-8");
            names.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => walk(root, root),
    }
}

fn walk(root: &Path, folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("folders of the project can be read");
    let paths = entries.map(|entry| entry.expect("so can their entries").path());
    paths
        .filter(|path| !path.ends_with("target") && !path.ends_with(".git"))
        .flat_map(|path: PathBuf| {
            if path.is_dir() {
                return walk(root, &path);
            }
            let name = path
                .strip_prefix(root)
                .expect("the walk stays under the root");
            vec![name.to_string_lossy().replace('\\', "/")]
        })
        .collect()
}
