//! Watching keys.

use super::client::Client;
use super::wire;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::version::Versionstamp;
use crate::watch::Emission;
use denokv_proto::{Database, WatchKeyOutput, WatchStream};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Some keys of a client's database, watched: [`Client::watch`].
///
/// A [`Stream`] of [`Emission`]s, and without one, [`recv`](Self::recv). Changes are coalesced: whoever comes
/// late is shown the newest state and none in between. An emission has another version of some key than the one
/// before, whatever the database sends; where it only repeats itself, nothing is shown.
///
/// The moment of an emission is not told. Its versionstamp is the largest that any of the entries has had: they are as
/// they were then, or later.
#[must_use = "a watch shows nothing until it is asked"]
pub struct Watch {
    keys: Vec<Key>,
    /// Until it has ended.
    stream: Option<WatchStream>,
    /// As they were shown last; none before they were.
    entries: Vec<Entry>,
    newest: Versionstamp,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch ")?;
        f.debug_list().entries(&self.keys).finish()
    }
}

impl Watch {
    /// The next emission. Waits for it. If this future is dropped, nothing is lost.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none; those of the database.
    pub async fn recv(&mut self) -> Result<Emission> {
        let next = poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await;
        next.unwrap_or_else(|| Err(Error::ended()))
    }

    /// Takes in what the database says; `None` where nothing has changed by it.
    fn take_in(&mut self, outputs: Vec<WatchKeyOutput>) -> Result<Option<Emission>> {
        if outputs.len() != self.keys.len() {
            return Err(Error::unexpected("not as many keys as are watched"));
        }
        let is_first = self.entries.is_empty();
        let mut entries = Vec::with_capacity(outputs.len());
        for (index, output) in outputs.into_iter().enumerate() {
            let entry = match (output, self.entries.get(index)) {
                (WatchKeyOutput::Unchanged, Some(entry)) => entry.clone(),
                (WatchKeyOutput::Unchanged, None) => {
                    return Err(Error::unexpected("no entry to begin with"));
                }
                (WatchKeyOutput::Changed { entry }, _) => wire::entry_of(&self.keys[index], entry)?,
            };
            entries.push(entry);
        }
        let versions = entries.iter().filter_map(Entry::versionstamp);
        self.newest = versions.fold(self.newest, Versionstamp::max);
        let is_changed = |index: &usize| {
            let before = self.entries.get(*index).map(Entry::versionstamp);
            before != Some(entries[*index].versionstamp())
        };
        let changed: Vec<usize> = (0..entries.len()).filter(is_changed).collect();
        if changed.is_empty() && !is_first {
            return Ok(None);
        }
        self.entries.clone_from(&entries);
        Ok(Some(Emission {
            versionstamp: self.newest,
            entries,
            changed,
        }))
    }
}

impl Stream for Watch {
    type Item = Result<Emission>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(stream) = &mut this.stream else {
                return Poll::Ready(None);
            };
            let emission = match ready!(stream.as_mut().poll_next(context)) {
                None => {
                    this.stream = None;
                    return Poll::Ready(None);
                }
                Some(Ok(outputs)) => this.take_in(outputs).transpose(),
                Some(Err(error)) => Some(Err(Error::from_database(error))),
            };
            if emission.is_some() {
                return Poll::Ready(emission);
            }
        }
    }
}

impl FusedStream for Watch {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<D: Database> Client<D> {
    /// Watches keys: shows their entries at once, and again whenever one of them has got another
    /// version, all of them as they were at one moment.
    ///
    /// The versionstamp decides, not the value (W03). A watch of no keys ends at once (W06). A key may be given more
    /// than once. Whether it ends with the database is the database's affair: that of a `Kv` does, and that of
    /// `denokv_remote` goes on, and connects again where it has to.
    ///
    /// # Errors
    ///
    /// `TooManyKeys` beyond [`watch_keys_max`](crate::Limits::watch_keys_max); `KeyTooLarge`.
    pub fn watch<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Watch> {
        let limits = self.limits();
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        limits.check_watch_keys(keys.len())?;
        for key in &keys {
            limits.check_key_read(key.as_bytes().len())?;
        }
        let encoded = || keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        let stream = (!keys.is_empty()).then(|| self.database().watch(encoded()));
        Ok(Watch {
            keys,
            stream,
            entries: Vec::new(),
            newest: Versionstamp::from_bytes([0; 10]),
        })
    }
}
