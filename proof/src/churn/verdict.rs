//! What is promised, what is aimed at, and what came of it.

use std::fmt;

/// What a row of the verdict is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What holds on any machine.
    Promise,
    /// What a machine may be too slow or too busy for.
    Target,
}

/// A figure beside what it ought to be.
#[derive(Clone, Debug)]
struct Row {
    kind: Kind,
    what: &'static str,
    figure: f64,
    /// The least and the most.
    bounds: [f64; 2],
    /// Unknown where it cannot be told on this machine.
    is_kept: Option<bool>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    rows: Vec<Row>,
}

impl Verdict {
    /// A figure that may be no more than this.
    pub(super) fn promise(&mut self, what: &'static str, figure: f64, most: f64) {
        self.add(Kind::Promise, what, figure, [0.0, most], true);
    }

    /// A figure that ought to be within these bounds, both included, if it can be told here.
    pub(super) fn target(
        &mut self,
        what: &'static str,
        figure: f64,
        bounds: [f64; 2],
        is_told: bool,
    ) {
        self.add(Kind::Target, what, figure, bounds, is_told);
    }

    fn add(
        &mut self,
        kind: Kind,
        what: &'static str,
        figure: f64,
        bounds: [f64; 2],
        is_told: bool,
    ) {
        let [least, most] = bounds;
        self.rows.push(Row {
            kind,
            what,
            figure,
            bounds,
            is_kept: is_told.then_some((least..=most).contains(&figure)),
        });
    }

    pub(super) fn count_broken(&self, kind: Kind) -> usize {
        let rows = self.rows.iter().filter(|row| row.kind == kind);
        rows.filter(|row| row.is_kept == Some(false)).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let became = match (row.kind, row.is_kept) {
                (_, None) => "not to be told here",
                (Kind::Promise, Some(true)) => "kept",
                (Kind::Promise, Some(false)) => "BROKEN",
                (Kind::Target, Some(true)) => "reached",
                (Kind::Target, Some(false)) => "MISSED",
            };
            let [least, most] = row.bounds;
            let bounds = if least > 0.0 {
                format!("{least:.2} to {most:.2}")
            } else {
                format!("at most {most:.2}")
            };
            let Row { what, figure, .. } = row;
            writeln!(f, "{what:<64} {figure:>10.3}  {bounds:<16} {became}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Verdict};

    #[test]
    fn what_is_beyond_its_bounds_is_counted_by_its_kind() {
        let mut verdict = Verdict::default();
        verdict.promise("good", 0.0, 0.0);
        verdict.promise("good", 5.0, 5.0);
        verdict.target("good", 1.0, [0.9, 1.1], true);
        verdict.target("unknown", 6.0, [0.0, 5.0], false);
        let broken = |verdict: &Verdict| {
            [Kind::Promise, Kind::Target].map(|kind| verdict.count_broken(kind))
        };
        assert_eq!(broken(&verdict), [0, 0], "{verdict}");
        verdict.promise("bad", 1.0, 0.0);
        verdict.promise("over", 5.1, 5.0);
        verdict.target("low", 0.89, [0.9, 1.1], true);
        verdict.target("high", 1.11, [0.9, 1.1], true);
        assert_eq!(broken(&verdict), [2, 2], "{verdict}");
        let text = verdict.to_string();
        assert_eq!(text.matches("BROKEN").count(), 2, "{text}");
        assert_eq!(text.matches("MISSED").count(), 2, "{text}");
        assert_eq!(text.matches("not to be told here").count(), 1, "{text}");
    }
}
