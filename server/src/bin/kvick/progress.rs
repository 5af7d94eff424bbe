//! How far long work is: on the standard error, and only if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{self, IsTerminal};

/// Is wiped away when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of so many entries, if that is known.
    pub(crate) fn new(verb: &'static str, total: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let template = match total {
            Some(_) => "{msg} {human_pos} of {human_len} {wide_bar} {rate}, {eta} left",
            None => "{msg} {human_pos} {spinner} {rate}",
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        // One that is not understood is a bar all the same.
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            // That it is not shown is no reason to stop.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
        bar.set_message(verb);
        Self { bar }
    }

    pub(crate) fn set(&self, done: u64) {
        // Nobody reads as fast as it goes.
        if done.is_multiple_of(128) {
            self.bar.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
