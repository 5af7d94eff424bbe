//! What is reported: kvick beside a peer, in one workload.

/// The figures of one round: kvick's, and the peer's.
pub(crate) type Round = (f64, f64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
}

/// The figures are medians of the rounds, and the smaller the better; the ratio is the peer's figure
/// over kvick's in the same round, and the larger the better for kvick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) workload: String,
    pub(crate) keys: u32,
    pub(crate) value_bytes: u32,
    pub(crate) distribution: String,
    pub(crate) threads: u32,
    pub(crate) peer: String,
    pub(crate) unit: Unit,
    pub(crate) kvick: f64,
    pub(crate) theirs: f64,
    pub(crate) ratio: f64,
    pub(crate) ratio_min: f64,
    pub(crate) ratio_max: f64,
    pub(crate) rounds: usize,
}

impl Cell {
    /// A plain cell: one thread, uniform, values of the headline.
    pub(crate) fn new(workload: &str, keys: u32, peer: &str, rounds: &[Round]) -> Self {
        let column = |of: fn(&Round) -> f64| {
            let mut column: Vec<f64> = rounds.iter().map(of).collect();
            column.sort_by(f64::total_cmp);
            column
        };
        let ratios = column(|(kvick, theirs)| theirs / kvick);
        Self {
            workload: workload.to_owned(),
            keys,
            value_bytes: crate::workload::SMALL,
            distribution: "uniform".to_owned(),
            threads: 1,
            peer: peer.to_owned(),
            unit: Unit::Nanoseconds,
            kvick: median(&column(|round| round.0)),
            theirs: median(&column(|round| round.1)),
            ratio: median(&ratios),
            ratio_min: ratios.first().copied().unwrap_or(f64::NAN),
            ratio_max: ratios.last().copied().unwrap_or(f64::NAN),
            rounds: rounds.len(),
        }
    }

    /// The line of a quick run.
    pub(crate) fn line(&self) -> String {
        let Self {
            workload,
            keys,
            peer,
            ratio,
            ratio_min,
            ratio_max,
            ..
        } = self;
        format!("ratio {workload} {keys} {peer} {ratio:.2} {ratio_min:.2} {ratio_max:.2}")
    }
}

/// The middle one, or the lower of the two, of figures in order.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}
