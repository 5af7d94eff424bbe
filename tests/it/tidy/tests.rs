//! What each rule catches, and what it lets pass. A rule that never caught anything proves nothing.

use std::ptr;

use super::source::Source;
use super::{RULES, Rule, about_others};

/// The lines of a file with this path and text that the rule objects to.
fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    let is_listed = RULES.iter().any(|listed| ptr::fn_addr_eq(*listed, rule));
    assert!(is_listed, "the rule is not in RULES");
    let findings = rule(&Source::new(path, text));
    findings.iter().map(|finding| finding.line).collect()
}

#[track_caller]
fn assert_passes(rule: Rule, path: &str, text: &str) {
    assert_eq!(lines(rule, path, text), [0; 0], "{path}: {text}");
}

#[track_caller]
fn assert_caught(rule: Rule, path: &str, text: &str) {
    assert_ne!(lines(rule, path, text), [0; 0], "{path}: {text}");
}

#[test]
fn imports_point_down() {
    let rule = super::imports_point_down;
    for (path, text) in [
        ("src/version.rs", "use crate::mvcc::Stamp;"),
        ("src/clock.rs", "use crate::error::Error;"),
        ("src/mvcc/chain.rs", "use crate::key::Key;"),
        ("src/mvcc/chain.rs", "use crate::engine;"),
        ("src/key/codec.rs", "use crate::mvcc::chain::Record;"),
        ("src/value.rs", "use crate::clock::Clock;"),
        ("src/limits.rs", "use crate::sync::Mutex;"),
        ("src/index.rs", "use crate::engine::Engine;"),
        ("src/engine/commit.rs", "use crate::atomic_op::Check;"),
        ("src/kv.rs", "use crate::sync::Mutex;"),
        ("src/kv.rs", "use crate::mvcc::Record;"),
        ("src/list.rs", "use crate::index::Index;"),
        // However it is written.
        (
            "src/kv.rs",
            "use crate::{engine::Engine, index::{self, Index}};",
        ),
        ("src/kv.rs", "pub(crate) use crate :: index as floor_three;"),
        ("src/kv.rs", "fn f(index: &crate::index::Index<'_>) {}"),
        (
            "src/kv.rs",
            "macro_rules! m { () => { $crate::sync::fence() } }",
        ),
        ("src/engine/mod.rs", "use crate::Kv;"),
    ] {
        assert_eq!(lines(rule, path, text), [1], "{path}: {text}");
    }
    for (path, text) in [
        ("src/lib.rs", "use crate::mvcc::Stamp;"),
        ("src/clock.rs", "use crate::sync::AtomicU64;"),
        (
            "src/mvcc/chain.rs",
            "use crate::{mvcc::stamp, sync::epoch, version::Stamp};",
        ),
        (
            "src/error.rs",
            "use crate::{limits, version::Versionstamp};",
        ),
        (
            "src/index.rs",
            "use crate::{key::Key, mvcc::Record, sync::fence};",
        ),
        (
            "src/engine/commit.rs",
            "use crate::{clock, engine::read, index, key, mvcc, sync};",
        ),
        (
            "src/kv.rs",
            "use crate::{Error, builder, clock, engine, error, stats, version};",
        ),
        (
            "src/mvcc/chain.rs",
            "//! use crate::engine;\n// crate::kv\nconst S: &str = \"crate::kv\";",
        ),
        ("tests/it/main.rs", "use crate::support;"),
    ] {
        assert_passes(rule, path, text);
    }
}

#[test]
fn findings_name_the_line_of_the_import() {
    let text = "//! Head.\n\nuse crate::{\n    engine::Engine, // \"\n    index::Index,\n};\n";
    assert_eq!(lines(super::imports_point_down, "src/kv.rs", text), [5]);
}

#[test]
fn modules_are_reached_from_the_root() {
    let rule = super::modules_are_reached_from_the_root;
    assert_caught(rule, "src/value.rs", "use super::engine::Engine;");
    assert_caught(rule, "src/mvcc/chain.rs", "use super::super::engine;");
    assert_caught(rule, "src/mvcc/mod.rs", "use self::super::engine;");
    assert_caught(rule, "src/value.rs", "mod a { use super::super::engine; }");
    assert_caught(rule, "src/value.rs", "mod a {} use super::engine;");
    assert_passes(rule, "src/mvcc/chain.rs", "use super::stamp::Word;");
    assert_passes(
        rule,
        "src/value.rs",
        "mod a { fn f() {} use super::Value; }",
    );
    assert_passes(rule, "xtask/src/main.rs", "mod tests { use super::parse; }");
}

#[test]
fn lib_rs_has_no_code() {
    let rule = super::lib_rs_has_no_code;
    let good = "//! Head.\n#![deny(missing_docs)]\n#[cfg(loom)]\ncompile_error!(\"no\");\n\
        #[cfg(any(a, b))]\nmod a;\n/// Doc.\npub mod b;\npub use a::{B, C};\npub(crate) use a::D;\n";
    assert_passes(rule, "src/lib.rs", good);
    for bad in [
        "fn f() {}",
        "pub const A: u8 = 0;",
        "mod a { fn f() {} }",
        "macro_rules! m {}",
    ] {
        let text = format!("{good}{bad}\n");
        assert_eq!(lines(rule, "src/lib.rs", &text), [11], "{bad}");
    }
    assert_passes(rule, "src/kv.rs", "fn f() {}");
}

#[test]
fn std_sync_is_behind_the_shim() {
    let rule = super::std_sync_is_behind_the_shim;
    assert_caught(rule, "src/kv.rs", "use std::sync::Mutex;");
    assert_caught(rule, "src/kv.rs", "use std::{fmt, sync::{Arc, OnceLock}};");
    assert_caught(
        rule,
        "src/kv.rs",
        "fn f() { ::std::sync::atomic::fence(o) }",
    );
    assert_caught(rule, "src/kv.rs", "use core::sync::atomic::AtomicU64;");
    assert_caught(rule, "src/kv.rs", "use std::sync;");
    assert_passes(rule, "src/kv.rs", "use std::sync::{Arc, Weak};");
    assert_passes(rule, "src/sync.rs", "use std::sync::Mutex;");
    assert_passes(rule, "tests/it/main.rs", "use std::sync::Barrier;");
}

#[test]
fn concurrency_crates_are_behind_the_shim() {
    let rule = super::concurrency_crates_are_behind_the_shim;
    for name in ["parking_lot", "loom", "crossbeam_epoch", "crossbeam_utils"] {
        let text = format!("use {name}::something;");
        assert_caught(rule, "src/mvcc/chain.rs", &text);
        assert_passes(rule, "src/sync.rs", &text);
    }
    assert_passes(
        rule,
        "src/kv.rs",
        "#[cfg(not(loom))]\nuse crate::sync::epoch;",
    );
    assert_passes(rule, "loom-tests/src/models/mod.rs", "use loom::thread;");
}

#[test]
fn the_skip_list_is_behind_the_index() {
    let rule = super::the_skip_list_is_behind_the_index;
    let text = "use crossbeam_skiplist::SkipMap;";
    assert_caught(rule, "src/engine/scan.rs", text);
    assert_caught(rule, "src/sync.rs", text);
    assert_caught(rule, "src/index.rs", text);
    assert_passes(rule, "src/index/directory.rs", text);
}

#[test]
fn time_is_read_by_the_clock() {
    let rule = super::time_is_read_by_the_clock;
    assert_caught(rule, "src/kv.rs", "use std::time::{Duration, SystemTime};");
    assert_caught(rule, "src/kv.rs", "let begin = std::time::Instant::now();");
    assert_caught(
        rule,
        "src/kv.rs",
        "let begin = option.unwrap_or_else(Instant::now);",
    );
    assert_passes(rule, "src/kv.rs", "fn wait(until: Instant) -> Duration {}");
    assert_passes(rule, "src/clock.rs", "SystemTime::now()");
    assert_passes(rule, "benches/point.rs", "Instant::now()");
}

#[test]
fn seqcst_is_for_fences() {
    let rule = super::seqcst_is_for_fences;
    let text = "fence(Ordering::SeqCst);\nx.load(Ordering::SeqCst);\n";
    assert_eq!(lines(rule, "src/mvcc/registry.rs", text), [2]);
    assert_passes(
        rule,
        "src/mvcc/registry.rs",
        "// SeqCst would not do.\nfence(SeqCst);",
    );
    assert_passes(rule, "tests/stress/main.rs", "x.load(Ordering::SeqCst);");
}

#[test]
fn unsafe_is_in_few_files() {
    let rule = super::unsafe_is_in_few_files;
    assert_caught(rule, "src/index.rs", "let x = unsafe { y.deref() };");
    assert_caught(rule, "src/mvcc/stamp.rs", "unsafe impl Send for A {}");
    assert_passes(rule, "src/mvcc/chain.rs", "let x = unsafe { y.deref() };");
    assert_passes(rule, "src/mvcc/point.rs", "let x = unsafe { y.deref() };");
    let text = "#![deny(unsafe_code)]\n// unsafe\nlet x = (\"unsafe\", br#\"\"unsafe\"#, 'u');\n";
    assert_passes(rule, "src/index.rs", text);
}

#[test]
fn files_are_short() {
    let rule = super::files_are_short;
    assert_caught(rule, "benches/point.rs", &"\n".repeat(801));
    assert_passes(rule, "benches/point.rs", &"\n".repeat(800));
    assert_passes(rule, "Cargo.lock", &"\n".repeat(801));
}

#[test]
fn nothing_is_left_to_do() {
    let rule = super::nothing_is_left_to_do;
    assert_caught(rule, "src/kv.rs", "fn f() { todo!() }");
    assert_caught(
        rule,
        "xtask/src/main.rs",
        "fn f() { unimplemented!(\"later\") }",
    );
    assert_caught(rule, "tests/it/list.rs", "#[ignore = \"slow\"]");
    assert_caught(rule, "src/kv.rs", "// FIXME: wrong");
    assert_caught(rule, "README.md", "XXX explain");
    assert_passes(rule, "src/kv.rs", "// No todo!() and no #[ignore] here.");
    assert_passes(rule, "README.md", "SHA XXXL");
}

#[test]
fn no_path_of_a_machine() {
    let rule = super::no_path_of_a_machine;
    for path in ["/tmp/", "/home/", "/root/", "/work/"] {
        assert_caught(rule, "src/kv.rs", &format!("open(\"{path}x\")"));
        assert_caught(rule, "README.md", &format!("see\n{path}x"));
        assert_passes(
            rule,
            "README.md",
            &format!("target{path}x ${{HOME}}{path}x"),
        );
    }
}

#[test]
fn orderings_are_explained() {
    let rule = super::orderings_are_explained;
    let path = "src/mvcc/registry.rs";
    let noted = "// ORDERING: E-LINK, reader side.\n";
    let access = "x.load(Ordering::Acquire);\n";
    assert_caught(rule, path, access);
    assert_caught(rule, "src/clock.rs", access);
    assert_caught(rule, path, "use crate::sync::Ordering::{Acquire, Release};");
    assert_caught(
        rule,
        path,
        &format!("{noted}{}{access}", "f();\n".repeat(7)),
    );
    assert_caught(
        rule,
        path,
        &format!("const S: &str = \"\nORDERING:\n\";\n{access}"),
    );

    assert_passes(rule, path, &format!("{noted}{access}"));
    assert_passes(
        rule,
        path,
        &format!("{noted}{}{access}", "f();\n".repeat(6)),
    );
    assert_passes(
        rule,
        path,
        &format!("{noted}{}{access}", "// Why.\n".repeat(9)),
    );
    assert_passes(
        rule,
        path,
        "x.load(Ordering::Relaxed); // ORDERING: statistic",
    );
    assert_passes(rule, path, "if a.cmp(b) == Ordering::Less {}");
    assert_passes(rule, "src/engine/commit.rs", access);
    assert_passes(rule, "src/mvcc/chain/tests.rs", access);
}

#[test]
fn the_rules_may_name_what_they_look_for() {
    assert!(about_others(&Source::new("tests/it/tidy.rs", "")).is_none());
    assert!(about_others(&Source::new("tests/it/tidy/tests.rs", "")).is_none());
    assert!(about_others(&Source::new("tests/it/list.rs", "")).is_some());
}

#[test]
fn code_is_what_is_neither_comment_nor_literal() {
    let text = r##"a /* b /* c */ d */ e "f \" g" h 'i' j '\'' k 'l m r#"n"o"# p br"q" s // t"##;
    let source = Source::new("a.rs", text);
    let names: Vec<_> = source.code.split_whitespace().collect();
    assert_eq!(names, ["a", "e", "h", "j", "k", "'l", "m", "p", "s"]);
    assert_eq!(source.code.len(), text.len());
}
