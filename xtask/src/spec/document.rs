//! The tables of statements in docs/semantics.md.

/// A statement, and what shows that it holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// Such as `A07`.
    pub(super) name: &'a str,
    pub(super) statement: &'a str,
    pub(super) proof: Proof<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof<'a> {
    /// The full names of tests, without that of their binary.
    Tests(Vec<&'a str>),
    NoneYet,
    /// The suites that run in real clients.
    Clients,
    /// Why there is nothing to test.
    NotApplicable(&'a str),
}

/// The rows that are about statements; the error tells those that cannot be read.
pub(super) fn rows(document: &str) -> Result<Vec<Row<'_>>, String> {
    let lines = document.lines().filter(|line| line.starts_with('|'));
    lines.filter_map(|line| row(line).transpose()).collect()
}

/// A row, unless it is of a table with other columns.
fn row(line: &str) -> Result<Option<Row<'_>>, String> {
    let line = line.trim_end();
    let cells = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    let cells = cells.ok_or_else(|| format!("a row without an end: {line}"))?;
    let cells: Vec<_> = cells.split('|').map(str::trim).collect();
    let [name, statement, _, proof] = cells[..] else {
        // Decisions, such as D10, are in a table of three columns.
        return if is_statement(cells[0]) && !cells[0].starts_with('D') {
            Err(format!("{} has {} cells and not 4", cells[0], cells.len()))
        } else {
            Ok(None)
        };
    };
    if !is_statement(name) {
        return Ok(None);
    }
    if statement.is_empty() {
        return Err(format!("{name} states nothing"));
    }
    let proof = self::proof(proof).ok_or_else(|| format!("{name}: no tests, nor why: {proof}"))?;
    Ok(Some(Row {
        name,
        statement,
        proof,
    }))
}

/// Whether this looks like the name of a statement: a letter and two digits.
fn is_statement(name: &str) -> bool {
    matches!(name.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

fn proof(cell: &str) -> Option<Proof<'_>> {
    match cell {
        "none yet" => return Some(Proof::NoneYet),
        "`cargo xtask clients`" => return Some(Proof::Clients),
        _ => {}
    }
    if let Some(reason) = cell.strip_prefix("not applicable: ") {
        return Some(Proof::NotApplicable(reason));
    }
    let tests = cell.split(", ").map(|test| {
        let test = test.strip_prefix('`')?.strip_suffix('`')?;
        let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        (test.contains("::") && test.chars().all(is_path)).then_some(test)
    });
    tests.collect::<Option<_>>().map(Proof::Tests)
}

/// What is wrong with the list as a whole.
pub(super) fn problems(rows: &[Row<'_>], statements: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for statement in statements {
        match rows.iter().filter(|row| row.name == statement).count() {
            1 => {}
            0 => problems.push(format!("{statement} is in no row")),
            count => problems.push(format!("{statement} is in {count} rows")),
        }
    }
    let unknown = rows
        .iter()
        .filter(|row| statements.iter().all(|name| name != row.name));
    problems.extend(unknown.map(|row| format!("{} is no statement", row.name)));
    problems
}

#[cfg(test)]
mod tests {
    use super::{Proof, Row, problems, rows};

    fn proof(tests: &str) -> Result<Proof<'_>, String> {
        let line = format!("| A01 | It holds. | = | {tests} |");
        let row = rows(line.leak())?.pop().ok_or("no row")?;
        Ok(row.proof)
    }

    #[test]
    fn a_row_is_a_name_a_statement_and_its_tests() {
        let document = "\
Text, and | a bar.

| name | statement | Deno | tests |
| --- | --- | --- | --- |
| A07 | An operation that is refused has no effect. | + (D1) | `atomic::refused`, `key::tests::codec::that` |
| P01 | It serves. | = | `cargo xtask clients` |

| D1 | an operation | nothing |
| D10 | V8 sum | other |
";
        let rows = rows(document).unwrap();
        let tests = vec!["atomic::refused", "key::tests::codec::that"];
        assert_eq!(
            rows,
            [
                Row {
                    name: "A07",
                    statement: "An operation that is refused has no effect.",
                    proof: Proof::Tests(tests),
                },
                Row {
                    name: "P01",
                    statement: "It serves.",
                    proof: Proof::Clients,
                },
            ]
        );
    }

    #[test]
    fn tests_may_be_missing_for_a_reason() {
        assert_eq!(proof("none yet"), Ok(Proof::NoneYet));
        assert_eq!(proof("`cargo xtask clients`"), Ok(Proof::Clients));
        assert_eq!(
            proof("not applicable: types"),
            Ok(Proof::NotApplicable("types"))
        );
        for unclear in [
            "",
            "later",
            "not applicable",
            "a::b",
            "`a`",
            "`a::b` and `a::c`",
            "`a::b`,",
        ] {
            assert!(proof(unclear).is_err(), "{unclear}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error() {
        for line in [
            "| A01 | It holds. | = | `a::b`",
            "| A01 | It holds. | `a::b` |",
            "| A01 | It | holds. | = | `a::b` |",
            "| A01 |  | = | `a::b` |",
        ] {
            assert!(rows(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_statement_is_in_one_row_and_no_other_is() {
        let document = "\
| A01 | One. | = | `cargo xtask clients` |
| A02 | Two. | = | `cargo xtask clients` |
| A02 | Two again. | = | `cargo xtask clients` |
| A04 | Four. | = | `cargo xtask clients` |
";
        let statements = ["A01", "A02", "A03"].map(str::to_owned);
        assert_eq!(
            problems(&rows(document).unwrap(), &statements),
            [
                "A02 is in 2 rows",
                "A03 is in no row",
                "A04 is no statement"
            ]
        );
    }
}
