//! Tests that need a process to themselves, because they count what the process has.

use std::env;
use std::process::Command;

/// Set in the process of a test that runs alone, to the test's name.
const VARIABLE: &str = "KVICK_ALONE";

/// Runs `body` in a process in which no other test runs. `test` is the full name of the test that
/// calls this.
#[track_caller]
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if env::var(VARIABLE).is_ok_and(|name| name == test) {
        return body();
    }
    let binary = env::current_exe().expect("the test binary has a path");
    let output = Command::new(binary)
        .args([test, "--exact", "--test-threads=1", "--nocapture"])
        .env(VARIABLE, test)
        .output()
        .expect("the test binary can be run");
    let (told, complained) = (&output.stdout, &output.stderr);
    let told = String::from_utf8_lossy(told);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{test}, alone:\n{told}\n{}",
        String::from_utf8_lossy(complained)
    );
}
