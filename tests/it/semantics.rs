//! The table of statements names tests that are there, and that cite them.

use std::fs;
use std::path::{Path, PathBuf};

/// How many statements there are in each group; those of the last column have no test yet.
const GROUPS: [(char, usize, &[usize]); 8] = [
    ('K', 11, &[9]),
    ('V', 5, &[]),
    ('R', 14, &[]),
    ('C', 6, &[]),
    ('A', 17, &[13, 14, 15, 16]),
    ('S', 14, &[3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
    ('L', 5, &[]),
    ('X', 6, &[]),
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file that holds a test: `list::name` is in `tests/it/list.rs`, `key::tests::codec::name` in
/// `src/key/tests/codec.rs`.
fn file_of(modules: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = if modules.contains("tests") {
        "src"
    } else {
        "tests/it"
    };
    let file = modules.replace("::", "/");
    root.join(folder).join(file).with_extension("rs")
}

/// What the comments of a test cite, if the test is there.
fn cited_by(test: &str) -> Option<String> {
    let (modules, name) = test.rsplit_once("::")?;
    let file = read(&file_of(modules));
    let (_, body) = file.split_once(&format!("#[test]\nfn {name}() {{\n"))?;
    let (body, _) = body.split_once("\n}\n")?;
    let comments = body.lines().map(str::trim);
    let comments: Vec<_> = comments.filter(|line| line.starts_with("//")).collect();
    Some(comments.join(" "))
}

/// Whether a comment such as `// R03, A01 to A04` names a statement.
fn names(comment: &str, statement: &str) -> bool {
    let mut words = comment
        .split([' ', ',', ':', '.', '/'])
        .filter(|word| !word.is_empty());
    let mut last = "";
    while let Some(word) = words.next() {
        if word == statement {
            return true;
        }
        if word == "to"
            && let Some(end) = words.next()
        {
            if last < statement && statement <= end && statement[..1] == last[..1] {
                return true;
            }
            last = end;
        } else {
            last = word;
        }
    }
    false
}

/// The rows of the tables of statements: the name, and the tests.
fn rows(document: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, _, tests] = cells[..] else {
            return None;
        };
        let tests = tests.split(", ").map(|test| test.trim_matches('`'));
        name.ends_with(|c: char| c.is_ascii_digit())
            .then(|| (name, tests.collect()))
    });
    rows.collect()
}

#[test]
fn every_statement_has_a_test_that_cites_it() {
    let document = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/semantics.md"));
    let rows = rows(&document);
    let mut expected = Vec::new();
    for (group, count, untested) in GROUPS {
        let tested = (1..=count).filter(|number| !untested.contains(number));
        expected.extend(tested.map(|number| format!("{group}{number:02}")));
    }
    let mut listed: Vec<_> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for (statement, tests) in rows {
        for test in tests {
            let comment = cited_by(test).unwrap_or_else(|| panic!("{statement}: no test {test}"));
            assert!(
                names(&comment, statement),
                "{test} does not cite {statement}"
            );
        }
    }
}

#[test]
fn a_citation_is_a_name_or_within_a_range_of_them() {
    for comment in [
        "// A05",
        "// R01, A05",
        "// A01 to A07",
        "// S02, A03 to A05: why",
        "// (A05)",
    ] {
        assert_eq!(names(comment, "A05"), comment != "// (A05)", "{comment}");
    }
    for comment in [
        "// A06",
        "// A0",
        "// R01 to R14",
        "// A06 to A09",
        "A01 to A04",
        "",
    ] {
        assert!(!names(comment, "A05"), "{comment}");
    }
    assert_eq!(cited_by("semantics::no_such_test"), None);
}
