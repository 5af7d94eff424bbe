//! The subjects: kvick and its peers, a file each.

mod btreemap;
mod dashmap;
mod denokv_sqlite;
mod kvick;
mod moka;
mod papaya;
mod quick_cache;
mod skipdb;
mod skipmap;
mod surrealmx;

use crate::store::Store;
use btreemap::Btreemap;
pub(crate) use kvick::Kvick;

pub(crate) const KVICK: &str = Kvick::NAME;
pub(crate) const MOKA: &str = moka::Moka::NAME;
pub(crate) const QUICK_CACHE: &str = quick_cache::QuickCache::NAME;

/// The peers, in the order of the tables.
pub(crate) const NAMES: [&str; 9] = [
    surrealmx::Surrealmx::NAME,
    skipdb::Skipdb::NAME,
    denokv_sqlite::DenokvSqlite::NAME,
    moka::Moka::NAME,
    quick_cache::QuickCache::NAME,
    dashmap::Dashmap::NAME,
    papaya::Papaya::NAME,
    skipmap::Skipmap::NAME,
    Btreemap::NAME,
];

/// What is to be done with a subject, whatever its type.
pub(crate) trait Visit<R> {
    fn visit<S: Store>(self) -> R;
}

/// Does it with the subject of this name.
pub(crate) fn with<R>(name: &str, visit: impl Visit<R>) -> R {
    match name {
        Kvick::NAME => visit.visit::<Kvick>(),
        surrealmx::Surrealmx::NAME => visit.visit::<surrealmx::Surrealmx>(),
        skipdb::Skipdb::NAME => visit.visit::<skipdb::Skipdb>(),
        denokv_sqlite::DenokvSqlite::NAME => visit.visit::<denokv_sqlite::DenokvSqlite>(),
        moka::Moka::NAME => visit.visit::<moka::Moka>(),
        quick_cache::QuickCache::NAME => visit.visit::<quick_cache::QuickCache>(),
        dashmap::Dashmap::NAME => visit.visit::<dashmap::Dashmap>(),
        papaya::Papaya::NAME => visit.visit::<papaya::Papaya>(),
        skipmap::Skipmap::NAME => visit.visit::<skipmap::Skipmap>(),
        Btreemap::NAME => visit.visit::<Btreemap>(),
        _ => unreachable!("{name} is none of the subjects"),
    }
}
