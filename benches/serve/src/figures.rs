//! What is measured of a server in a slice, and of both in all slices of a kind.

/// Of one server in one slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// How many were done in a second.
    pub(crate) rate: f64,
    /// How many of those that were tried were not done, because others had changed what was read.
    pub(crate) conflicts: f64,
    /// The time of processors that the server took for one.
    pub(crate) cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

/// A round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Of both servers: kvick, and the reference.
    pub(crate) figures: [Figures; 2],
    /// The part of all processors that others have had.
    pub(crate) others: f64,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Deno,
    /// Two processes of it, with half as many in flight each.
    TwoDenos,
    /// The one of this program.
    Frames,
    /// The same at half of the rate that each server has reached with it.
    HalfRate,
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deno => "deno",
            Self::TwoDenos => "two-denos",
            Self::Frames => "frames",
            Self::HalfRate => "half-rate",
        }
    }
}

/// A workload by a client.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) client: Client,
    pub(crate) workload: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// The median of the rounds, the minimum and the maximum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Cell {
    /// How many times as many as the reference, round by round.
    pub(crate) fn ratio(&self) -> Spread {
        spread(
            self.rounds
                .iter()
                .map(|round| round.figures[0].rate / round.figures[1].rate),
        )
    }

    /// The median of a figure, of one of the two.
    pub(crate) fn median(&self, subject: usize, figure: fn(&Figures) -> f64) -> f64 {
        spread(
            self.rounds
                .iter()
                .map(|round| figure(&round.figures[subject])),
        )
        .median
    }

    /// The median part that others have had.
    pub(crate) fn others(&self) -> f64 {
        spread(self.rounds.iter().map(|round| round.others)).median
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    };
    Spread {
        median,
        min: values[0],
        max: values[values.len() - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_spread_is_of_what_lies_in_the_middle_and_at_the_ends() {
        let of = |values: &[f64]| {
            let spread = spread(values.iter().copied());
            [spread.median, spread.min, spread.max].map(|value| format!("{value}"))
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), ["2", "1", "3"]);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), ["2.5", "1", "4"]);
    }
}
