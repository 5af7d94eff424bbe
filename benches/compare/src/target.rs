//! What kvick is to reach beside which peer: one table.

use crate::cell::Cell;
use crate::{alone, memory};

/// The sizes for which there are targets.
pub(crate) const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// What the ratio over each of these peers must be at least, at each size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) title: &'static str,
    workload: &'static str,
    peers: &'static [&'static str],
    least: [Option<f64>; 3],
}

const fn target(
    title: &'static str,
    workload: &'static str,
    peers: &'static [&'static str],
    [small, medium, large]: [f64; 3],
) -> Target {
    Target {
        title,
        workload,
        peers,
        least: [some(small), some(medium), some(large)],
    }
}

/// Zero is no target.
const fn some(least: f64) -> Option<f64> {
    if least > 0.0 { Some(least) } else { None }
}

const SURREALMX: &[&str] = &["surrealmx"];

/// Of a cache that is read through, at each number of threads.
pub(crate) static READ_THROUGH: [Target; 8] = [
    read_through("load on miss, one thread", "get_or_load/zipf"),
    read_through("load on miss, two threads", "get_or_load/zipf/2t"),
    read_through("load on miss, four threads", "get_or_load/zipf/4t"),
    read_through("load on miss, eight threads", "get_or_load/zipf/8t"),
    read_through("set on miss, one thread", "get_then_set/zipf"),
    read_through("set on miss, two threads", "get_then_set/zipf/2t"),
    read_through("set on miss, four threads", "get_then_set/zipf/4t"),
    read_through("set on miss, eight threads", "get_then_set/zipf/8t"),
];

/// Over the faster of the two caches.
const fn read_through(title: &'static str, workload: &'static str) -> Target {
    target(title, workload, &["moka", "quick_cache"], [1.3, 1.3, 1.3])
}

/// Those that a record has something of; the general ones, where it has nothing.
pub(crate) fn of(cells: &[Cell]) -> &'static [Target] {
    let is_measured = |target: &Target| cells.iter().any(|cell| cell.workload == target.workload);
    if READ_THROUGH.iter().any(is_measured) {
        &READ_THROUGH
    } else {
        &ALL
    }
}

static ALL: [Target; 14] = [
    target(
        "get, zero-copy, over surrealmx `with_value`",
        "get_hit",
        SURREALMX,
        [2.5, 6.0, 4.0],
    ),
    target(
        "get, keys built beforehand, over the fastest of quick_cache, dashmap, papaya",
        "get_hit",
        &["quick_cache", "dashmap", "papaya"],
        [1.0, 1.0, 1.0],
    ),
    target(
        "set existing over surrealmx `set`",
        "set_existing",
        SURREALMX,
        [18.0, 9.0, 4.5],
    ),
    target(
        "two-key transfer over a serializable transaction of surrealmx",
        "transfer",
        SURREALMX,
        [14.0, 7.0, 4.0],
    ),
    target(
        "two-key transfer over Deno KV itself, denokv_sqlite in memory",
        "transfer",
        &["denokv_sqlite"],
        [50.0, 50.0, 20.0],
    ),
    target(
        "insert new over surrealmx `set`",
        "insert_new",
        SURREALMX,
        [3.0, 2.0, 1.2],
    ),
    target(
        "list of 100 over surrealmx `scan_with`",
        "list_100",
        SURREALMX,
        [4.0, 3.5, 3.0],
    ),
    target(
        "list of 10,000 over surrealmx `scan_with`",
        "list_10000",
        SURREALMX,
        [4.0, 5.0, 5.0],
    ),
    target(
        "memory, RSS: surrealmx over kvick",
        memory::RESIDENT,
        SURREALMX,
        [0.0, 1.2, 1.1],
    ),
    target(
        "read p99.99 under 16 writers over `RwLock<BTreeMap>`",
        "tail_p99.99",
        &["btreemap"],
        [0.0, 10.0, 0.0],
    ),
    target(
        "get, two threads over one",
        "two_threads_get",
        &["one_thread"],
        [1.9, 1.9, 1.9],
    ),
    target(
        "transfer, two threads over one",
        "two_threads_transfer",
        &["one_thread"],
        [0.0, 0.0, 1.5],
    ),
    target(
        "get in a snapshot, fresh over a million updates old",
        "old_snapshot_1000000",
        &["fresh_snapshot"],
        [0.0, 0.5, 0.0],
    ),
    target(
        "get in a snapshot, fresh over 100,000 updates old",
        "old_snapshot_100000",
        &["fresh_snapshot"],
        [0.0, 0.5, 0.0],
    ),
];

const _: () = assert!(alone::SNAPSHOT_KEYS == SIZES[1]);
const _: () = assert!(crate::tail::KEYS == SIZES[1]);

/// A target at one size, and what was measured of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Result<'a> {
    pub(crate) least: f64,
    pub(crate) cell: &'a Cell,
}

impl Result<'_> {
    pub(crate) fn is_reached(self) -> bool {
        self.cell.ratio >= self.least
    }
}

impl Target {
    pub(crate) fn has_several_peers(&self) -> bool {
        self.peers.len() > 1
    }

    /// What was measured at each size. Of several peers, the fastest counts; all must be there.
    pub(crate) fn results<'a>(&self, cells: &'a [Cell]) -> [Option<Result<'a>>; 3] {
        let mut sizes = SIZES.iter().zip(self.least);
        [(); 3].map(|()| {
            let (keys, least) = sizes.next()?;
            let of = |peer: &&str| {
                cells.iter().find(|cell| {
                    cell.workload == self.workload && cell.keys == *keys && cell.peer == *peer
                })
            };
            let cells: Option<Vec<&Cell>> = self.peers.iter().map(of).collect();
            let cell = cells?
                .into_iter()
                .min_by(|a, b| a.ratio.total_cmp(&b.ratio))?;
            Some(Result {
                least: least?,
                cell,
            })
        })
    }
}
