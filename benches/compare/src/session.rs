//! A run of the program: what is planned, what has been found, and how it is shown meanwhile.

use crate::cell::Cell;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// What is timed of a slice.
    pub(crate) slice: Duration,
    /// How long reads are observed in a round, while others write.
    pub(crate) tail: Duration,
    pub(crate) tail_rounds: u32,
    pub(crate) memory_rounds: u32,
    /// Whether each cell is printed, in a line that other programs read.
    pub(crate) prints_lines: bool,
}

impl Plan {
    pub(crate) const QUICK: Self = Self {
        rounds: 5,
        slice: Duration::from_millis(20),
        tail: Duration::from_millis(600),
        tail_rounds: 3,
        memory_rounds: 1,
        prints_lines: true,
    };

    pub(crate) const FULL: Self = Self {
        rounds: 9,
        slice: Duration::from_millis(60),
        tail: Duration::from_secs(2),
        tail_rounds: 5,
        memory_rounds: 3,
        prints_lines: false,
    };
}

pub(crate) struct Session {
    pub(crate) plan: Plan,
    pub(crate) cells: Vec<Cell>,
    bar: ProgressBar,
}

impl Session {
    /// With so many cells to come. The bar shows on a terminal only.
    pub(crate) fn new(plan: Plan, cells: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {percent}%, {eta} left  {msg}");
        let bar = ProgressBar::new(u64::try_from(cells).unwrap_or(u64::MAX));
        Self {
            plan,
            cells: Vec::new(),
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
        }
    }

    pub(crate) fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.tick();
    }

    /// One that was planned is done, or is none that the peer can do.
    pub(crate) fn done(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn report(&mut self, cell: Cell) -> io::Result<()> {
        if self.plan.prints_lines {
            let line = cell.line();
            self.bar.suspend(|| writeln!(io::stdout(), "{line}"))?;
        }
        self.cells.push(cell);
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<Cell> {
        self.bar.finish_and_clear();
        self.cells
    }
}
