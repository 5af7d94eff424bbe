//! A snapshot that is held for a while, and has to go on showing what it has shown.

use super::value::{Noise, Place, Ticket};
use kvick::{Entry, Kv, Snapshot, Versionstamp};

/// Keys that it is asked for again.
const SEEN_MAX: usize = 64;

/// What was found at a key.
type Found = Option<(Versionstamp, Ticket)>;

/// An open snapshot, and what was read through it.
#[derive(Debug)]
pub(super) struct Held {
    snapshot: Snapshot,
    seen: Vec<(Place, Found)>,
}

impl Held {
    pub(super) fn open(kv: &Kv) -> Self {
        Self {
            snapshot: kv.snapshot(),
            seen: Vec::new(),
        }
    }

    /// Reads a key, and remembers what was there.
    pub(super) fn read(&mut self, noise: &Noise, place: Place) -> Result<(), String> {
        let found = self.find(noise, place)?;
        if self.seen.len() < SEEN_MAX {
            self.seen.push((place, found));
        }
        Ok(())
    }

    /// Reads the keys of a group, which are all of one commit.
    pub(super) fn read_group(&mut self, noise: &Noise, group: u64) -> Result<(), String> {
        let places = Place::group(group);
        let entries = self.snapshot.get_many(places.map(Place::key));
        let entries = entries.map_err(|error| format!("a snapshot is not read: {error}"))?;
        let found = read_group(noise, places, &entries)?;
        if self.seen.len() < SEEN_MAX {
            self.seen.extend(places.into_iter().zip(found));
        }
        Ok(())
    }

    /// Reads one of the keys that were read before: the one of this number, counted round and round.
    pub(super) fn read_again(&self, noise: &Noise, number: usize) -> Result<(), String> {
        let Some(at) = number.checked_rem(self.seen.len()) else {
            return Ok(());
        };
        let (place, before) = self.seen[at];
        let now = self.find(noise, place)?;
        if now == before {
            return Ok(());
        }
        let at = self.snapshot.versionstamp();
        Err(format!(
            "a snapshot of {at} showed {before:?} at {place:?}, and then {now:?}"
        ))
    }

    /// Reads all of them again, and lets go of the snapshot.
    pub(super) fn close(self, noise: &Noise) -> Result<(), String> {
        (0..self.seen.len()).try_for_each(|number| self.read_again(noise, number))
    }

    fn find(&self, noise: &Noise, place: Place) -> Result<Found, String> {
        let found = self.snapshot.with_entry(place.key(), |entry| {
            let Some(entry) = entry else {
                return Ok(None);
            };
            let ticket = noise.read(place, entry.as_bytes().unwrap_or_default())?;
            Ok(Some((entry.versionstamp(), ticket)))
        });
        found.map_err(|error| format!("a snapshot is not read: {error}"))?
    }
}

/// What was found at the keys of a group, which were read at one moment. Each may have been evicted by
/// itself; but what is there is of one commit.
pub(super) fn read_group<const N: usize>(
    noise: &Noise,
    places: [Place; N],
    entries: &[Entry],
) -> Result<[Found; N], String> {
    let mut found = [None; N];
    for ((place, entry), found) in places.into_iter().zip(entries).zip(&mut found) {
        let (Some(version), Some(value)) = (entry.versionstamp(), entry.as_bytes()) else {
            continue;
        };
        *found = Some((version, noise.read(place, value)?));
    }
    let mut there = found.iter().flatten();
    let first = there.next();
    let of = |(version, ticket): &(Versionstamp, Ticket)| (*version, ticket.commit());
    if there.any(|one| Some(of(one)) != first.map(of)) {
        return Err(format!("half a commit at {places:?}: {found:?}"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Held, read_group};
    use crate::churn::value::{Noise, Place, Ticket};
    use kvick::Kv;

    fn set(kv: &Kv, noise: &Noise, place: Place, commit: u64) {
        let mut value = Vec::new();
        noise.write(place, Ticket::new(commit, 100), &mut value);
        kv.set(place.key(), value).unwrap();
    }

    #[test]
    fn a_snapshot_that_shows_something_else_is_noticed() {
        let (kv, noise, place) = (Kv::new(), Noise::new(), Place::single(1));
        set(&kv, &noise, place, 1);
        let mut held = Held::open(&kv);
        held.read(&noise, place).unwrap();
        held.read(&noise, Place::single(2)).unwrap();
        set(&kv, &noise, place, 2);
        set(&kv, &noise, Place::single(2), 2);
        held.read_again(&noise, 0).unwrap();
        held.read_again(&noise, 1).unwrap();
        // As if it were not the same.
        held.snapshot = kv.snapshot();
        assert!(held.read_again(&noise, 0).is_err());
        assert!(held.read_again(&noise, 1).is_err());
        assert!(held.close(&noise).is_err());
    }

    #[test]
    fn half_a_commit_is_noticed_and_an_eviction_is_not_one() {
        let (kv, noise, places) = (Kv::new(), Noise::new(), Place::group(5));
        let read = || {
            read_group(
                &noise,
                places,
                &kv.get_many(places.map(Place::key)).unwrap(),
            )
        };
        let mut operation = kv.atomic();
        for place in places {
            let mut value = Vec::new();
            noise.write(place, Ticket::new(7, 50), &mut value);
            operation.set(place.key(), value);
        }
        assert!(operation.commit().unwrap().is_committed());
        assert_eq!(read().unwrap().iter().flatten().count(), 4);
        kv.delete(places[1].key()).unwrap();
        assert_eq!(read().unwrap().iter().flatten().count(), 3);
        set(&kv, &noise, places[1], 8);
        assert!(read().is_err());
    }
}
