//! Where a test is, and which statements its comments cite.

use std::fs;
use std::path::{Path, PathBuf};

/// That a test is in the project, and that it cites the statement.
pub(super) fn check(root: &Path, statement: &str, test: &str) -> Result<(), String> {
    let path = file_of(test);
    let source = fs::read_to_string(root.join(&path))
        .map_err(|error| format!("should be in {}: {error}", path.display()))?;
    let comments = comments_of(&source, name_of(test))
        .ok_or_else(|| format!("is not in {}", path.display()))?;
    if names(&comments, statement) {
        Ok(())
    } else {
        Err(format!("does not cite {statement}"))
    }
}

/// What the names of the server's tests begin with.
pub(super) const OF_SERVER: &str = "server::";

/// The file that holds a test: `list::name` is in tests/it/list.rs, `key::tests::codec::name` in
/// src/key/tests/codec.rs, and `server::order::name` in server/tests/it/order.rs.
fn file_of(test: &str) -> PathBuf {
    let (of_server, test) = match test.strip_prefix(OF_SERVER) {
        Some(test) => (true, test),
        None => (false, test),
    };
    let mut modules: Vec<_> = test.split("::").collect();
    modules.pop();
    let folder = if of_server {
        "server/tests/it"
    } else if modules.contains(&"tests") {
        "src"
    } else {
        "tests/it"
    };
    Path::new(folder)
        .join(modules.join("/"))
        .with_extension("rs")
}

fn name_of(test: &str) -> &str {
    test.rsplit_once("::").map_or(test, |(_, name)| name)
}

/// What the comments in the body of a test say, if the test is there.
fn comments_of(text: &str, name: &str) -> Option<String> {
    let begins = [
        format!("#[test]\nfn {name}() {{\n"),
        format!("#[tokio::test(flavor = \"multi_thread\")]\nasync fn {name}() {{\n"),
    ];
    let (_, body) = begins.iter().find_map(|begin| text.split_once(begin))?;
    let (body, _) = body.split_once("\n}\n")?;
    let lines = body.lines().map(str::trim);
    let comments: Vec<_> = lines.filter(|line| line.starts_with("//")).collect();
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
            if last < statement && statement <= end && statement.get(..1) == last.get(..1) {
                return true;
            }
            last = end;
        } else {
            last = word;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{check, comments_of, file_of, names};
    use std::path::Path;

    const FILE: &str = "\
fn helper() {
    // A02
}

#[test]
fn it_holds() {
    // A01, A05 to A07: why
    let one = 1; // not a line of its own
        // B01
    if one == 1 {
    }
}

#[tokio::test(flavor = \"multi_thread\")]
async fn something_else_holds() {
    // A03
}
";

    #[test]
    fn the_file_follows_from_the_path_of_a_test() {
        for (test, file) in [
            ("list::name", "tests/it/list.rs"),
            ("history::controls::name", "tests/it/history/controls.rs"),
            ("key::tests::codec::name", "src/key/tests/codec.rs"),
            ("value::tests::name", "src/value/tests.rs"),
            ("server::order::name", "server/tests/it/order.rs"),
        ] {
            assert_eq!(file_of(test), Path::new(file), "{test}");
        }
    }

    #[test]
    fn the_comments_of_a_test_are_those_in_its_body() {
        let comments = comments_of(FILE, "it_holds");
        assert_eq!(comments.as_deref(), Some("// A01, A05 to A07: why // B01"));
        let comments = comments_of(FILE, "something_else_holds");
        assert_eq!(comments.as_deref(), Some("// A03"));
        assert_eq!(comments_of(FILE, "helper"), None);
        assert_eq!(comments_of(FILE, "holds"), None);
    }

    #[test]
    fn a_citation_is_a_name_or_within_a_range_of_them() {
        for comment in [
            "// A05",
            "// R01, A05",
            "// A01 to A07",
            "// S02, A03 to A05: why",
        ] {
            assert!(names(comment, "A05"), "{comment}");
        }
        for comment in [
            "// (A05)",
            "// A06",
            "// A0",
            "// R01 to R14",
            "// A06 to A09",
            "A01 to A04",
            "to",
            "",
        ] {
            assert!(!names(comment, "A05"), "{comment}");
        }
    }

    #[test]
    fn a_test_is_there_and_cites_its_statement() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let test = "atomic::an_operation_that_is_refused_has_no_effect";
        assert_eq!(check(&root, "A07", test), Ok(()));
        assert_eq!(
            check(&root, "T01", test),
            Err("does not cite T01".to_owned())
        );
        for missing in ["atomic::no_such_test", "no_such_file::test", "no_module"] {
            assert!(check(&root, "A07", missing).is_err(), "{missing}");
        }
    }
}
