//! What is checked, in order: the cheap and likely to fail first.

use std::env;
use std::process::Command;

use crate::command::{cargo, output, run};
use crate::{clients, fuzz, nightly, proof, spec};

/// One thing that is checked.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether `cargo xtask test` runs it without being asked.
    pub(crate) required: bool,
    pub(crate) run: Check,
}

/// Runs a step. The error says why it failed.
pub(crate) type Check = fn() -> Result<Outcome, String>;

/// How a step that did not fail ended. The texts say what was left out, and why.
pub(crate) enum Outcome {
    Passed,
    PassedInPart(String),
    Skipped(String),
}

/// All packages but those that build other databases. The comparison has no tests, and its peers take
/// minutes to build with optimisations; the oracle and the conformance suite have steps of their own. Clippy and
/// the documentation check that they build.
const WITHOUT_PEERS: [&str; 7] = [
    "--workspace",
    "--exclude",
    "kvick-compare",
    "--exclude",
    "kvick-oracle",
    "--exclude",
    "kvick-conformance",
];

pub(crate) static ALL: [Step; 14] = [
    Step {
        name: "fmt",
        about: "the sources are formatted",
        required: true,
        run: || {
            one(&mut cargo([
                "fmt",
                "--all",
                "--",
                "--check",
                "--color=never",
            ]))
        },
    },
    Step {
        name: "clippy",
        about: "no lint complains",
        required: true,
        run: || {
            run(&mut cargo(["lint"]))?;
            run(&mut cargo(["lint-plain"]))?;
            one(&mut cargo(["lint-simulated"]))
        },
    },
    Step {
        name: "spec",
        about: "every statement of docs/semantics.md has tests that cite it, or a word on why not",
        required: true,
        run: spec::check,
    },
    Step {
        name: "tests",
        about: "tests and documentation examples pass, examples build, the short ones run",
        required: true,
        run: tests,
    },
    Step {
        name: "oracle",
        about: "random operations come to what they come to in Deno's engine, but for the decisions",
        required: true,
        run: || one(&mut cargo(["test", "--package", "kvick-oracle"])),
    },
    Step {
        name: "conformance",
        about: "a client finds the same on every database that it runs on",
        required: true,
        run: || one(&mut cargo(["test", "--package", "kvick-conformance"])),
    },
    Step {
        name: "docs",
        about: "the documentation builds, and no link in it is broken",
        required: true,
        run: docs,
    },
    Step {
        name: "models",
        about: "the models of the concurrent core hold in every schedule that loom explores",
        required: true,
        run: models,
    },
    Step {
        name: "proof",
        about: "histories and simulations show no anomaly, planted bugs are found, a full database holds",
        required: true,
        run: proof::proof,
    },
    Step {
        name: "clients",
        about: "Deno and Node find in the server what they expect (needs npm)",
        required: true,
        run: clients::clients,
    },
    Step {
        name: "asan",
        about: "the stress test touches no freed memory and leaks none (needs nightly)",
        required: true,
        run: nightly::asan,
    },
    Step {
        name: "fuzz",
        about: "the corpora of the fuzz targets pass, and what libFuzzer makes of them (needs nightly)",
        required: true,
        run: fuzz::smoke,
    },
    Step {
        name: "benches",
        about: "the benchmarks build",
        required: true,
        run: || one(cargo(["bench", "--no-run"]).args(WITHOUT_PEERS)),
    },
    Step {
        name: "miri",
        about: "Miri finds nothing in the core's tests nor in a short history (needs nightly)",
        required: false,
        run: nightly::miri,
    },
];

pub(crate) fn required() -> impl Iterator<Item = &'static Step> {
    ALL.iter().filter(|step| step.required)
}

fn one(command: &mut Command) -> Result<Outcome, String> {
    run(command).map(|()| Outcome::Passed)
}

/// With every feature: without any, there is nothing that is not there with them, and `lint-plain`
/// has seen that it builds. That it builds with each of them alone is seen here.
fn tests() -> Result<Outcome, String> {
    run(cargo(["test", "--all-features"]).args(WITHOUT_PEERS))?;
    for feature in ["serde", "metrics", "tracing", "denokv"] {
        run(&mut cargo([
            "check",
            "--package",
            "kvick",
            "--features",
            feature,
        ]))?;
    }
    for example in [
        "transfer",
        "gift_list",
        "session_cache",
        "job_queue",
        "live_view",
        "read_through",
        "typed_values",
        "backup",
        "metrics",
        "outgrow",
    ] {
        run(&mut cargo([
            "run",
            "--quiet",
            "--all-features",
            "--example",
            example,
        ]))?;
    }
    Ok(Outcome::Passed)
}

/// First with the private items, whose links rot as easily; then what is published, where a link
/// to a private item is an error too.
fn docs() -> Result<Outcome, String> {
    let document = ["doc", "--workspace", "--no-deps", "--all-features"];
    let deny = |command: &mut Command| run(command.env("RUSTDOCFLAGS", "-D warnings"));
    deny(cargo(document).arg("--document-private-items"))?;
    deny(&mut cargo(document))?;
    Ok(Outcome::Passed)
}

/// More preemptions explore more schedules and take longer: two are for every change, three for a
/// change of the core.
///
/// Flags for the compiler in the caller's cargo configuration may replace those that make the
/// models models, and what is left then is an empty crate: that one passes is no success.
fn models() -> Result<Outcome, String> {
    let bound = env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| "2".to_owned());
    run(cargo(["models"]).env("LOOM_MAX_PREEMPTIONS", bound))?;
    let list = output(&mut cargo(["models", "--lib", "--", "--list"]));
    if list.is_some_and(|list| list.lines().any(|line| line.ends_with(": test"))) {
        Ok(Outcome::Passed)
    } else {
        Err("no model was compiled: does your cargo configuration set rustflags?".to_owned())
    }
}
