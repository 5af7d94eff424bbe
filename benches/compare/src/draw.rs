//! Random numbers, uniform and zipf.

use crate::keys::Permutation;
use std::sync::Arc;

/// How often which entry is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Distribution {
    Uniform(u32),
    Zipf(Arc<Zipf>),
}

/// A cheap source of numbers, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // A number below 2^32 times the bound, divided by 2^32: it is below the bound.
        u32::try_from(((self.next() >> 32) * u64::from(bound)) >> 32).unwrap_or_default()
    }

    /// At least 0, and below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }

    pub(crate) fn index(&mut self, distribution: &Distribution) -> u32 {
        match distribution {
            Distribution::Uniform(size) => self.below(*size),
            Distribution::Zipf(zipf) => zipf.index(self.fraction()),
        }
    }
}

/// Zipf's distribution with exponent 0.99, as YCSB has it: after Gray and others, "Quickly
/// generating billion-record synthetic databases", 1994. Which entries are the frequent ones is
/// random.
#[derive(Debug)]
pub(crate) struct Zipf {
    size: u32,
    permutation: Permutation,
    zeta: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub(crate) fn new(size: u32) -> Self {
        let zeta_of = |size: u32| (1..=size).map(|rank| f64::from(rank).powf(-THETA)).sum();
        let zeta: f64 = zeta_of(size);
        let two: f64 = zeta_of(2);
        let eta = (1.0 - (2.0 / f64::from(size)).powf(1.0 - THETA)) / (1.0 - two / zeta);
        Self {
            size,
            permutation: Permutation::new(size),
            zeta,
            eta,
        }
    }

    fn index(&self, fraction: f64) -> u32 {
        let scaled = fraction * self.zeta;
        let rank = if scaled < 1.0 {
            0
        } else if scaled < 1.0 + 0.5_f64.powf(THETA) {
            1
        } else {
            let base = self.eta * fraction - self.eta + 1.0;
            let rank = f64::from(self.size) * base.powf(1.0 / (1.0 - THETA));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is between 0 and the size"
            )]
            (rank as u32).min(self.size - 1)
        };
        self.permutation.of(rank)
    }
}
