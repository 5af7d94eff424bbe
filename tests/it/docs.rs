//! The documents say what is so.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README's example is the one that is compiled.
#[test]
fn the_readme_shows_an_example_that_runs() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```rust\n").expect("an example in Rust");
    let (example, _) = rest.split_once("```").expect("an end to it");
    assert_eq!(example, read("examples/transfer.rs"));
}

/// Every document that a document links to is there.
#[test]
fn links_between_documents_lead_somewhere() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/cache.md",
        "docs/command-line.md",
        "docs/design.md",
        "docs/outgrow.md",
        "docs/semantics.md",
        "docs/testing.md",
        "docs/export-format.md",
        "docs/protocol.md",
        "docs/server.md",
        "fuzz/README.md",
        "benches/compare/README.md",
        "benches/serve/README.md",
        "server/README.md",
    ];
    for document in documents {
        let folder = Path::new(document).parent().unwrap_or(Path::new(""));
        for link in read(document).split("](").skip(1) {
            let target = link.split_once(')').map_or(link, |(target, _)| target);
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(folder)
                .join(target);
            assert!(path.exists(), "{document} links to {target}");
        }
    }
}
