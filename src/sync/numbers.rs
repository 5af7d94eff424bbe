//! Small numbers for threads, so that each can have a place of its own in an array.
//!
//! A thread asks for the lowest number that nobody has, keeps it, and gives it back when it ends. As
//! long as it has it nobody else does, so it may change what lies at its place by a load and a store;
//! and whoever has the number next finds what it has left there (NUMBERED).

use super::{AtomicU64, Ordering, Planted, ordering, planted};

/// So many numbers there are. The bits of a word, and nearly always more than threads that run at
/// once.
pub(crate) const NUMBERS: usize = if cfg!(loom) { 1 } else { 64 };

/// The numbers that somebody has, as bits.
#[derive(Debug)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The lowest number that nobody has; none where all are taken.
    pub(crate) fn take(&self) -> Option<usize> {
        // ORDERING: Relaxed. The exchange decides.
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones() as usize;
            if number >= NUMBERS {
                return None;
            }
            // ORDERING: NUMBERED: Acquire, with the Release of `give_back`: what the last one who had
            // the number wrote to its place comes before what this one reads there. All changes of the
            // word are read-modify-writes, so others in between pass it on.
            // MODEL: tally::number_is_handed_on_with_its_count.
            let learn = ordering(Ordering::Acquire, Planted::WeakNumber);
            let with = taken | (1 << number);
            match (self.0).compare_exchange(taken, with, learn, Ordering::Relaxed) {
                Ok(_) => return Some(number),
                Err(now) => taken = now,
            }
        }
    }

    /// Nobody has this number any more. It was taken, and whoever calls this does not use it again.
    pub(crate) fn give_back(&self, number: usize) {
        if planted(Planted::KeptNumber) {
            return;
        }
        // ORDERING: NUMBERED, as in `take`.
        let publish = ordering(Ordering::Release, Planted::WeakNumber);
        self.0.fetch_sub(1 << number, publish);
    }
}

/// What a thread has in place of a number that has not asked for one yet.
const UNASKED: usize = usize::MAX;

/// What a thread has in place of a number that got none, or has given its own back.
const NONE: usize = usize::MAX - 1;

#[cfg(not(any(loom, simulated)))]
mod threads {
    use super::{NONE, Numbers, UNASKED};
    use std::cell::Cell;

    static NUMBERS: Numbers = Numbers::new();

    std::thread_local! {
        /// Apart from the lease, because what is to be dropped when a thread ends is dearer to look at.
        static NUMBER: Cell<usize> = const { Cell::new(UNASKED) };
        static LEASE: Lease = Lease(NUMBERS.take());
    }

    /// A number, until the thread ends.
    struct Lease(Option<usize>);

    impl Drop for Lease {
        fn drop(&mut self) {
            // What else is dropped when the thread ends may count, and does it with no number.
            NUMBER.set(NONE);
            if let Some(number) = self.0 {
                NUMBERS.give_back(number);
            }
        }
    }

    /// The number of the calling thread; something larger than every number where it has none.
    #[inline]
    pub(crate) fn thread_number() -> usize {
        NUMBER.get()
    }

    /// Gives the calling thread a number, if it has not asked for one yet.
    #[cold]
    pub(crate) fn number_thread() {
        if NUMBER.get() == UNASKED {
            let leased = LEASE.try_with(|lease| lease.0).ok().flatten();
            NUMBER.set(leased.unwrap_or(NONE));
        }
    }
}

#[cfg(any(loom, simulated))]
mod threads {
    /// None: clients of a simulation take turns on one thread, also between a load and a store.
    pub(crate) const fn thread_number() -> usize {
        super::NONE
    }

    pub(crate) const fn number_thread() {
        const { assert!(super::UNASKED != super::NONE) };
    }
}

pub(crate) use threads::{number_thread, thread_number};

#[cfg(all(test, not(any(loom, simulated))))]
mod tests {
    use super::{NUMBERS, Numbers, number_thread, thread_number};
    use std::thread;

    #[test]
    fn the_lowest_number_that_is_free_is_taken() {
        let numbers = Numbers::new();
        for number in 0..NUMBERS {
            assert_eq!(numbers.take(), Some(number));
        }
        assert_eq!(numbers.take(), None);
        for number in [40, 7] {
            numbers.give_back(number);
        }
        assert_eq!(numbers.take(), Some(7));
        assert_eq!(numbers.take(), Some(40));
        assert_eq!(numbers.take(), None);
    }

    #[test]
    fn threads_that_live_have_different_numbers() {
        number_thread();
        let own = thread_number();
        let other = thread::spawn(|| {
            number_thread();
            thread_number()
        });
        assert_ne!(other.join().expect("it has not panicked"), own);
        number_thread();
        assert_eq!(thread_number(), own);
    }

    #[test]
    fn a_thread_that_ends_gives_its_number_back() {
        // Many times as many threads as there are numbers, one after the other.
        for _ in 0..4 * NUMBERS {
            let thread = thread::spawn(|| {
                number_thread();
                thread_number()
            });
            let number = thread.join().expect("it has not panicked");
            assert!(number < NUMBERS, "all numbers are taken");
        }
    }
}
