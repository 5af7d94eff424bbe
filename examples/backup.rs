//! A backup in a file, and what becomes of it when the process is gone: versionstamps, and sessions
//! that end when they would have.
//!
//! The clock is driven by hand here, the wall clock with it. Without `clock`, kvick goes by those of
//! the system.

use kvick::{Error, ErrorKind, ImportExpiry, ImportOptions, Kv, ManualClock, NewValue};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Writes a backup beside the one that is there, and then takes its place.
fn back_up(kv: &Kv, path: &Path) -> kvick::Result<u64> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh).map_err(Error::other)?;
    // Others go on writing; this is all of one moment.
    let exported = kv.export(&mut file)?;
    file.sync_all().map_err(Error::other)?;
    fs::rename(fresh, path).map_err(Error::other)?;
    Ok(exported.entries)
}

/// The database as it was, but for what would have expired since.
fn restore(path: &Path, clock: &Arc<ManualClock>) -> kvick::Result<Kv> {
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(clock))
        .build();
    let file = File::open(path).map_err(Error::other)?;
    let as_it_was = ImportOptions::default()
        .keep_versionstamps()
        .expiry(ImportExpiry::Dated);
    kv.import(file, &as_it_was)?;
    Ok(kv)
}

fn main() -> kvick::Result<()> {
    let name = format!("kvick-backup-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let clock = Arc::new(ManualClock::default());
    clock.set(1_000_000 * MINUTE);

    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .build();
    kv.set(("account", "alice"), 100u64)?;
    kv.set(
        ("session", "4f2a"),
        NewValue::from("alice").expire_in(30 * MINUTE),
    )?;
    kv.set(
        ("session", "9c31"),
        NewValue::from("bob").expire_in(5 * MINUTE),
    )?;
    let read = kv.get(("account", "alice"))?;
    assert_eq!(back_up(&kv, &path)?, 3);
    drop(kv);

    clock.advance(10 * MINUTE);
    let kv = restore(&path, &clock)?;
    assert_eq!(kv.get(("session", "4f2a"))?.expires_in(), Some(20 * MINUTE));
    assert!(kv.get(("session", "9c31"))?.is_missing());
    // What was read before the backup can still be checked.
    let mut payment = kv.atomic();
    payment.check(&read).set(("account", "alice"), 90u64);
    assert!(payment.commit()?.is_committed());

    // A backup that has been damaged is refused, with the place, before anything is applied.
    let mut bytes = fs::read(&path).map_err(Error::other)?;
    fs::remove_file(&path).map_err(Error::other)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let refused = Kv::new().import(&bytes[..], &ImportOptions::default());
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::InvalidExport));
    Ok(())
}
