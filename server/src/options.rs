//! How a server is to behave.

use crate::access::AccessToken;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How a server is to behave: its bounds, and what it does beside the protocol.
///
/// The limits of reads and writes are those of the database ([`kvick::Limits`]), which by default are those of
/// the Deno runtime; so are its memory and its numbers. Times are of a millisecond at least, and of a year at
/// most, and of connections and requests there is one at least: what is beyond counts as that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What clients have to show. `None` asks for nothing, which [`serve`](crate::serve) refuses on an
    /// address that is not of this machine alone. Default: `None`.
    pub access_token: Option<AccessToken>,
    /// Whether writes are refused, by the status that clients know for it. Default: no.
    pub read_only: bool,
    /// Whether a check of the versionstamp zero is one of a missing key, as clients before 0.8.2 of
    /// `@deno/kv` send it. No entry has that versionstamp. Default: yes.
    pub zero_versionstamp_is_absent: bool,
    /// Whether messages can be enqueued. No client can receive them, only a program that has the database
    /// itself. Default: yes.
    pub takes_messages: bool,
    /// The most bytes of the body of a request; one for metadata has 16 KiB at most. Default: 2 MiB.
    pub body_bytes_max: usize,
    /// The most connections at once; more wait. Default: 1,024.
    pub connections_max: usize,
    /// The most requests at once over one connection of HTTP/2, watches among them. Default: 256.
    pub streams_max: u32,
    /// How long the head of a request may take, how long a connection of HTTP/1.1 may be idle that has none
    /// under way, and how long a connection may be there over which nobody has shown the token, whatever else
    /// is asked over it. Default: 60 seconds.
    pub head_timeout: Duration,
    /// How long over a connection nothing may be asked, nothing of an answer taken and nothing watched, and up to
    /// as much again. Default: 5 minutes. (Clients ask for the metadata each minute.)
    pub idle_timeout: Duration,
    /// How long the body of a request may take. Default: 10 seconds.
    pub body_timeout: Duration,
    /// How long a client may take no bytes of what it is sent. Default: 30 seconds.
    pub write_timeout: Duration,
    /// How often a watch says that it is still there. Default: 5 seconds.
    pub watch_keep_alive: Duration,
    /// How long requests under way may take once the server is to end. Default: 10 seconds.
    pub shutdown_timeout: Duration,
}

/// What is longer is as good as for ever, and no clock can add it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Options {
    /// The same, with every bound one that can be kept: times of a millisecond to a year, and one
    /// connection and one request at least.
    pub(crate) fn clamped(mut self) -> Self {
        for time in [
            &mut self.head_timeout,
            &mut self.idle_timeout,
            &mut self.body_timeout,
            &mut self.write_timeout,
            &mut self.watch_keep_alive,
            &mut self.shutdown_timeout,
        ] {
            *time = (*time).clamp(Duration::from_millis(1), LONGEST);
        }
        self.connections_max = self.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        self.streams_max = self.streams_max.max(1);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token: None,
            read_only: false,
            zero_versionstamp_is_absent: true,
            takes_messages: true,
            body_bytes_max: 2 << 20,
            connections_max: 1_024,
            streams_max: 256,
            head_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            watch_keep_alive: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}
