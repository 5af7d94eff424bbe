//! Loads that are made up, always the same.

use super::trace::Trace;
use crate::draw::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Zipf's law over [`IDS`], with exponents from 0.7 to 1.
    Zipf,
    /// Half as many ids in a row, again and again.
    Loop,
    /// Zipf's law, and now and then a sequence of ids that are in no other.
    Scan,
    /// Zipf's law, of which the frequent ids are others after each tenth.
    Shift,
}

pub(crate) const NAMES: [&str; 4] = ["zipf", "loop", "scan", "shift"];

const IDS: u32 = 100_000;

const REQUESTS: u32 = 1_000_000;

const EXPONENTS: [f64; 4] = [0.7, 0.8, 0.9, 1.0];

/// Of the scan and the shift.
const EXPONENT: f64 = 0.9;

/// Between two scans, and of each.
const SCAN: (u32, u32) = (60_000, 20_000);

const SHIFT_EVERY: u32 = REQUESTS / 10;

/// By so many ids: prime, so that it lands on others each time.
const SHIFT: u32 = 9_973;

const SEED: u64 = 7;

impl Load {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "zipf" => Some(Self::Zipf),
            "loop" => Some(Self::Loop),
            "scan" => Some(Self::Scan),
            "shift" => Some(Self::Shift),
            _ => None,
        }
    }

    /// In percent of the footprint, where nothing else is asked for: of a loop, what is near its
    /// length is of interest.
    pub(crate) fn sizes(self) -> [u32; 5] {
        match self {
            Self::Loop => [50, 80, 90, 95, 99],
            Self::Zipf | Self::Scan | Self::Shift => super::SIZES,
        }
    }

    pub(crate) fn traces(self) -> Vec<Trace> {
        match self {
            Self::Zipf => EXPONENTS.map(zipf).into(),
            Self::Loop => {
                let ids = (0..REQUESTS).map(|request| request % (IDS / 2));
                vec![trace("loop", ids)]
            }
            Self::Scan => vec![scan()],
            Self::Shift => vec![shift()],
        }
    }
}

fn trace(name: &str, ids: impl Iterator<Item = u32>) -> Trace {
    let mut trace = Trace::new(name.to_owned());
    ids.for_each(|id| trace.push(u64::from(id)));
    trace
}

fn zipf(exponent: f64) -> Trace {
    let (ranks, mut random) = (Ranks::new(exponent), Random::new(SEED));
    let ids = (0..REQUESTS).map(|_| ranks.draw(&mut random));
    trace(&format!("zipf {exponent:.1}"), ids)
}

fn scan() -> Trace {
    let (ranks, mut random) = (Ranks::new(EXPONENT), Random::new(SEED));
    let (between, length) = SCAN;
    let ids = (0..REQUESTS).map(|request| {
        let (round, place) = (request / (between + length), request % (between + length));
        place.checked_sub(between).map_or_else(
            || ranks.draw(&mut random),
            |place| IDS + round * length + place,
        )
    });
    trace("scan", ids)
}

fn shift() -> Trace {
    let (ranks, mut random) = (Ranks::new(EXPONENT), Random::new(SEED));
    let ids = (0..REQUESTS)
        .map(|request| (ranks.draw(&mut random) + request / SHIFT_EVERY * SHIFT) % IDS);
    trace("shift", ids)
}

/// Zipf's law with any exponent: the weights of the ranks, each with those before it.
struct Ranks(Vec<f64>);

impl Ranks {
    fn new(exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=IDS).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self(weights.collect())
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let sum = self.0.last().copied().unwrap_or_default();
        let drawn = random.fraction() * sum;
        let rank = self.0.partition_point(|weight| *weight <= drawn);
        u32::try_from(rank).unwrap_or(IDS).min(IDS - 1)
    }
}
