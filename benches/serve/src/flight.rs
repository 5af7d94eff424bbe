//! Requests that are under way over a connection.

use crate::connection::{Content, Part};
use std::time::Instant;

/// One of them.
#[derive(Debug)]
pub(crate) struct Flight<T> {
    id: u32,
    /// When it was sent, or ought to have been.
    pub(crate) begun: Instant,
    /// What it is about.
    pub(crate) what: T,
    is_ok: bool,
    pub(crate) body: Vec<u8>,
}

/// All of them. They are few: whose answer comes is looked for from the first one on.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    under_way: Vec<Flight<T>>,
    /// The bodies of those that have landed, to be used again.
    spare: Vec<Vec<u8>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            under_way: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl<T> Flights<T> {
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(crate) fn begin(&mut self, id: u32, begun: Instant, what: T) {
        self.under_way.push(Flight {
            id,
            begun,
            what,
            is_ok: false,
            body: self.spare.pop().unwrap_or_default(),
        });
    }

    /// Adds a part to the answer that it is of. The result is one that is whole.
    pub(crate) fn take(&mut self, part: &Part<'_>) -> Result<Option<Flight<T>>, String> {
        let place = self
            .under_way
            .iter()
            .position(|flight| flight.id == part.id);
        let place = place.ok_or_else(|| format!("an answer that nobody asked for: {part:?}"))?;
        let flight = &mut self.under_way[place];
        match part.content {
            // Trailers have no status.
            Content::Head(is_ok) => flight.is_ok |= is_ok,
            Content::Data(data) => flight.body.extend_from_slice(data),
        }
        if !part.ends {
            return Ok(None);
        }
        let flight = self.under_way.swap_remove(place);
        if flight.is_ok {
            Ok(Some(flight))
        } else {
            Err(format!("refused: {}", flight.body.escape_ascii()))
        }
    }

    /// Takes the body of one that has landed back.
    pub(crate) fn spare(&mut self, body: Vec<u8>) {
        let mut body = body;
        body.clear();
        self.spare.push(body);
    }
}
