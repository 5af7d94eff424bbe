//! `cargo xtask spec`: every statement of docs/semantics.md, the tests that cite it, and what became
//! of them.
//!
//! The document is the only list there is. It has to have a row for each statement of [`GROUPS`]; the
//! tests that a row names have to be there, and to cite the statement in a comment. So a test that is
//! renamed or removed is noticed, and so is one whose comment no longer says what it is for.

mod citation;
mod document;
mod libtest;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::command::{cargo, printed, shown};
use crate::steps::Outcome;
use document::Proof;
use libtest::Results;

const DOCUMENT: &str = "docs/semantics.md";

/// The groups of statements, and how many each of them has.
const GROUPS: [(char, usize); 12] = [
    ('K', 11),
    ('V', 5),
    ('R', 14),
    ('C', 6),
    ('A', 17),
    ('S', 14),
    ('T', 9),
    ('Q', 14),
    ('W', 9),
    ('L', 5),
    ('P', 13),
    ('X', 6),
];

/// What `cargo xtask spec` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spec {
    /// Run the tests and print what became of each statement.
    Run,
    /// Print the statements and the tests that they have.
    List,
}

impl Spec {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        match words {
            [] => Ok(Self::Run),
            ["--list"] => Ok(Self::List),
            _ => Err(format!("not an option of spec: {}", words.join(" "))),
        }
    }

    /// Prints the table. The error lists the statements that are missing, and the tests that are
    /// missing or fail.
    pub(crate) fn print(self) -> Result<(), String> {
        let document = document()?;
        let report = match self {
            Self::List => judge(&document, is_cited)?,
            Self::Run => {
                let (results, problems) = run_tests()?;
                let mut report = judge(&document, |statement, test| {
                    is_cited(statement, test).and_then(|_| results.verdict(test))
                })?;
                report.problems.extend(problems);
                report
            }
        };
        println!("{}\n\n{}", report.table, report.summary);
        report.outcome()
    }
}

/// That the document lists every statement, with tests that are there and cite it. What becomes of
/// the tests is for another step to say, which runs all there are.
pub(crate) fn check() -> Result<Outcome, String> {
    let report = judge(&document()?, is_cited)?;
    println!("{}", report.summary);
    report.outcome().map(|()| Outcome::Passed)
}

fn document() -> Result<String, String> {
    fs::read_to_string(DOCUMENT).map_err(|error| format!("{DOCUMENT}: {error}"))
}

/// The verdict of a test that is there, cites the statement, and has not been run.
fn is_cited(statement: &str, test: &str) -> Result<&'static str, String> {
    citation::check(Path::new("."), statement, test).map(|()| "not run")
}

/// Runs the unit tests and the integration binaries. The problems are those that no verdict tells: a test
/// failed, but perhaps none that the document names.
fn run_tests() -> Result<(Results, Vec<String>), String> {
    let engine = ["kvick", "--all-features", "--lib", "--test", "it"];
    let server = ["kvick-server", "--test", "it"];
    let (mut all, mut problems) = (String::new(), Vec::new());
    for (words, prefix) in [(&engine[..], ""), (&server[..], citation::OF_SERVER)] {
        let mut command = cargo(["test", "--no-fail-fast", "--package"]);
        command.args(words);
        println!("$ {}", shown(&command));
        let (text, succeeded) = printed(&mut command)?;
        if !succeeded {
            println!("{text}");
            problems.push(format!("`{}` failed", shown(&command)));
        }
        all.push_str(&text.replace("\ntest ", &format!("\ntest {prefix}")));
    }
    Ok((Results::parse(&all), problems))
}

/// The table and what is wrong with it.
struct Report {
    table: String,
    summary: String,
    problems: Vec<String>,
}

impl Report {
    fn outcome(&self) -> Result<(), String> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems.join("\n"))
        }
    }
}

/// What clients can show.
const CLIENTS_GROUP: char = 'P';

/// How many statements there are of each verdict.
#[derive(Default)]
struct Counts {
    with_tests: usize,
    failed: usize,
    none_yet: usize,
    clients: usize,
    not_applicable: usize,
}

/// Makes the table. `verdict` says what is to be said of a statement's test, or what is wrong with it.
fn judge(
    document: &str,
    verdict: impl Fn(&str, &str) -> Result<&'static str, String>,
) -> Result<Report, String> {
    let rows = document::rows(document)?;
    let mut problems = document::problems(&rows, &statements());
    let mut lines = vec!["statement | test | verdict".to_owned()];
    let mut counts = Counts::default();
    let mut named = HashSet::<&str>::new();
    for row in &rows {
        let name = row.name;
        lines.push(format!("\n{name}: {}", row.statement));
        match &row.proof {
            Proof::NoneYet => {
                counts.none_yet += 1;
                problems.push(format!("{name} has no test yet"));
                lines.push(format!("{name} | - | no test yet"));
            }
            Proof::Clients => {
                counts.clients += 1;
                if !name.starts_with(CLIENTS_GROUP) {
                    problems.push(format!("{name} is not a matter of clients"));
                }
                lines.push(format!("{name} | - | cargo xtask clients"));
            }
            Proof::NotApplicable(reason) => {
                counts.not_applicable += 1;
                lines.push(format!("{name} | - | not applicable: {reason}"));
            }
            Proof::Tests(tests) => {
                let before = problems.len();
                for test in tests {
                    let verdict = verdict(name, test).unwrap_or_else(|problem| {
                        problems.push(format!("{name}: {test} {problem}"));
                        "FAILED"
                    });
                    lines.push(format!("{name} | {test} | {verdict}"));
                }
                named.extend(tests);
                counts.with_tests += 1;
                counts.failed += usize::from(problems.len() > before);
            }
        }
    }
    let summary = format!(
        "statements {}: with tests {} (of which FAILED {}), no test yet {}, clients {}, \
         not applicable {}; tests {}",
        rows.len(),
        counts.with_tests,
        counts.failed,
        counts.none_yet,
        counts.clients,
        counts.not_applicable,
        named.len()
    );
    Ok(Report {
        table: lines.join("\n"),
        summary,
        problems,
    })
}

/// The names of all statements.
fn statements() -> Vec<String> {
    let names = |(group, count)| (1..=count).map(move |number| format!("{group}{number:02}"));
    GROUPS.into_iter().flat_map(names).collect()
}

#[cfg(test)]
mod tests {
    use super::{Spec, judge, statements};

    /// A document with a row for every statement, in which `tests` stands for those of `A01`.
    fn document(tests: &str) -> String {
        let rows = statements().into_iter().map(|name| {
            let tests = if name == "A01" {
                tests
            } else if name.starts_with('P') {
                "`cargo xtask clients`"
            } else {
                "not applicable: nothing"
            };
            format!("| {name} | Something holds. | = | {tests} |\n")
        });
        rows.collect()
    }

    #[test]
    fn there_are_123_statements() {
        let statements = statements();
        assert_eq!(statements.len(), 123);
        assert_eq!(statements[..2], ["K01", "K02"]);
        assert_eq!(statements[122], "X06");
    }

    #[test]
    fn each_statement_has_its_verdict() {
        let document = document("`a::one`, `a::two`");
        let report = judge(&document, |_, _| Ok("passed")).unwrap();
        assert_eq!(report.problems, [""; 0]);
        for line in [
            "A01: Something holds.\nA01 | a::one | passed\nA01 | a::two | passed\n",
            "P01: Something holds.\nP01 | - | cargo xtask clients\n",
            "S03: Something holds.\nS03 | - | not applicable: nothing\n",
        ] {
            assert!(report.table.contains(line), "{line}");
        }
        assert_eq!(
            report.summary,
            "statements 123: with tests 1 (of which FAILED 0), no test yet 0, clients 13, \
             not applicable 109; tests 2"
        );
    }

    #[test]
    fn a_test_that_fails_fails_its_statement_and_the_report() {
        let verdict = |_: &str, test: &str| match test {
            "a::one" => Ok("passed"),
            _ => Err("failed".to_owned()),
        };
        let report = judge(&document("`a::one`, `a::two`"), verdict).unwrap();
        assert!(
            report
                .table
                .contains("A01 | a::one | passed\nA01 | a::two | FAILED\n")
        );
        assert!(report.summary.contains("with tests 1 (of which FAILED 1)"));
        assert_eq!(report.outcome(), Err("A01: a::two failed".to_owned()));
    }

    #[test]
    fn a_statement_that_nothing_tests_fails_the_report() {
        let nothing = "A02 | Something holds. | = | not applicable: nothing";
        for (instead, problem) in [
            ("none yet", "A02 has no test yet"),
            ("`cargo xtask clients`", "A02 is not a matter of clients"),
        ] {
            let instead = format!("A02 | Something holds. | = | {instead}");
            let document = document("`a::one`").replace(nothing, &instead);
            let report = judge(&document, |_, _| Ok("passed")).unwrap();
            assert_eq!(report.outcome(), Err(problem.to_owned()));
        }
    }

    #[test]
    fn a_statement_without_a_row_fails_the_report() {
        let row = "| A02 | Something holds. | = | not applicable: nothing |\n";
        let document = document("`a::one`").replace(row, "");
        let report = judge(&document, |_, _| Ok("passed")).unwrap();
        assert_eq!(report.outcome(), Err("A02 is in no row".to_owned()));
    }

    #[test]
    fn options_are_understood() {
        assert_eq!(Spec::parse(&[]), Ok(Spec::Run));
        assert_eq!(Spec::parse(&["--list"]), Ok(Spec::List));
        assert!(Spec::parse(&["--lsit"]).is_err());
    }
}
