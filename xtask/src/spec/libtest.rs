//! What the test harness prints.

use std::collections::HashMap;

/// What became of each test, by its full name.
pub(super) struct Results(HashMap<String, Ended>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Ok,
    Failed,
    Ignored,
}

impl Results {
    /// Reads the lines `test NAME ... ok` of one or more binaries. Where two have a test of the same
    /// name, it is as good as the worse one.
    pub(super) fn parse(output: &str) -> Self {
        let mut results = HashMap::new();
        for (name, ended) in output.lines().filter_map(result) {
            let entry = results.entry(name.to_owned()).or_insert(ended);
            if *entry == Ended::Ok {
                *entry = ended;
            }
        }
        Self(results)
    }

    /// What to say of a test; the error says why it proves nothing.
    pub(super) fn verdict(&self, test: &str) -> Result<&'static str, String> {
        match self.0.get(test) {
            Some(Ended::Ok) => Ok("passed"),
            Some(Ended::Failed) => Err("failed".to_owned()),
            Some(Ended::Ignored) => Err("is ignored".to_owned()),
            None => Err("did not run".to_owned()),
        }
    }
}

fn result(line: &str) -> Option<(&str, Ended)> {
    let (name, ended) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    let ended = match ended.split([',', ' ']).next()? {
        "ok" => Ended::Ok,
        "FAILED" => Ended::Failed,
        "ignored" => Ended::Ignored,
        _ => return None,
    };
    Some((name, ended))
}

#[cfg(test)]
mod tests {
    use super::Results;

    const OUTPUT: &str = "
running 3 tests
test key::tests::codec::one ... ok
test both ... ok
test stops - should panic ... ok

test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 4 tests
test list::two ... FAILED
test list::three ... ignored, for a reason
test both ... FAILED
test list::four ... 

failures:

---- list::two stdout ----
test list::quoted in a message

test result: FAILED. 0 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn only_a_test_that_ran_and_passed_has_passed() {
        let results = Results::parse(OUTPUT);
        for (test, verdict) in [
            ("key::tests::codec::one", Ok("passed")),
            ("stops", Ok("passed")),
            ("both", Err("failed")),
            ("list::two", Err("failed")),
            ("list::three", Err("is ignored")),
            ("list::four", Err("did not run")),
            ("list::five", Err("did not run")),
            ("result: ok.", Err("did not run")),
        ] {
            assert_eq!(
                results.verdict(test),
                verdict.map_err(str::to_owned),
                "{test}"
            );
        }
    }
}
