//! How a list is read, and that every way of reading it gives the same.

use super::model::{Stored, assert_entries};
use kvick::{ErrorKind, Key, List};
use std::ops::ControlFlow;

/// How a list is read.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) reverse: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) batch: Option<usize>,
    pub(crate) fresh_batches: bool,
}

impl Options {
    pub(crate) fn on<'a>(&self, mut list: List<'a>) -> List<'a> {
        if self.reverse {
            list = list.reverse();
        }
        if let Some(limit) = self.limit {
            list = list.limit(limit);
        }
        if let Some(batch) = self.batch {
            list = list.batch_size(batch);
        }
        if self.fresh_batches {
            list = list.fresh_batches();
        }
        list
    }
}

/// That entries, keys, their count, and looks at each all give what is expected, or are all refused.
#[track_caller]
pub(crate) fn assert_list(
    list: &List<'_>,
    expected: &Result<Vec<(&Key, &Stored)>, ErrorKind>,
    limit: Option<usize>,
) {
    let expected = match expected {
        Ok(expected) => expected,
        Err(refusal) => return assert_list_refused(list, *refusal),
    };
    let mut entries = list.clone().entries().expect("a range can be listed");
    assert_entries(&entries.by_ref().collect::<Vec<_>>(), expected);
    assert!(entries.next().is_none(), "R14: an iterator is fused");
    let place = entries.cursor().expect("a list that has begun has a place");
    let ended_by_limit = limit == Some(expected.len());
    assert!(ended_by_limit || place.is_empty(), "C04");
    let keys = list.clone().keys().expect("its keys can be listed");
    assert!(keys.eq(expected.iter().map(|(key, _)| (*key).clone())));
    assert_eq!(list.clone().count().expect("and counted"), expected.len());
    let mut shown = Vec::new();
    let half = expected.len().div_ceil(2);
    let flow = list.clone().try_for_each(|entry| {
        shown.push(entry.to_entry());
        if shown.len() == half {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(flow.expect("and shown").is_break(), half > 0);
    assert_entries(&shown, &expected[..half]);
}

#[track_caller]
fn assert_list_refused(list: &List<'_>, refusal: ErrorKind) {
    for refused in [
        list.clone().entries().map(drop),
        list.clone().keys().map(drop),
        list.clone().count().map(drop),
    ] {
        let kind = refused.map_err(|error| error.kind());
        assert_eq!(kind, Err(refusal), "{list:?}");
    }
}
