//! Imports of whatever bytes: nothing panics, and what is taken comes out again as it came in.

use crate::everything;
use crate::input::Input;
use crate::layout::{HEADER, Layout, crc32c};
use kvick::{ErrorKind, ImportExpiry, ImportOptions, Kv, ManualClock};
use std::sync::Arc;
use std::time::Duration;

const FRAME_HEADER: usize = 24;
const TRAILER: usize = 28;

/// What no copy may be refused as.
const NEVER: [ErrorKind; 4] = [
    ErrorKind::OutOfMemory,
    ErrorKind::NotEmpty,
    ErrorKind::KeyExists,
    ErrorKind::Io,
];

/// Imports what follows the first two bytes, once as it is, or with its checksums made right, so that
/// what is behind these is reached too.
///
/// # Panics
///
/// Where an import is refused and has changed something, or is taken and another comes out again.
pub fn copies(input: &[u8]) {
    let mut input = Input::new(input);
    let mends = input.below(4);
    let options = options(input.below(4));
    let mut copy = input.rest().to_vec();
    if mends > 0 {
        mend(&mut copy, mends > 1);
    }
    let kv = database();
    let imported = match kv.import(&copy[..], &options) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(!NEVER.contains(&error.kind()), "{error}");
            let stats = kv.stats();
            assert_eq!((stats.entry_count, stats.bytes), (0, 0));
            assert_eq!((everything(&kv), stats.commit_count), (Vec::new(), 0));
            return;
        }
    };
    let len = usize::try_from(imported.bytes).expect("it is at most what there is");
    let then = Layout::read(&copy[..len]);
    let now = Layout::read(&exported(&kv));
    let (mut then, mut now) = (then.frames.concat(), now.frames.concat());
    assert_eq!(imported.entries, now.len() as u64);
    assert_eq!(imported.entries + imported.expired, then.len() as u64);
    if options == ImportOptions::default().keep_versionstamps() {
        assert_eq!(now, then);
    } else {
        // Other stamps and times, and perhaps not all.
        then.retain(|then| now.iter().any(|now| now.key == then.key));
        for entry in now.iter_mut().chain(&mut then) {
            (entry.stamp, entry.left) = (0, None);
        }
        assert_eq!(now, then);
    }
    let again = database();
    let kept = ImportOptions::default().keep_versionstamps();
    again
        .import(&exported(&kv)[..], &kept)
        .expect("an export can be imported");
    assert_eq!(exported(&again), exported(&kv));
    assert_eq!(everything(&again), everything(&kv));
}

fn options(number: usize) -> ImportOptions {
    let options = ImportOptions::default();
    match number {
        0 => options.keep_versionstamps(),
        1 => options.expiry(ImportExpiry::Dated),
        2 => options.keep_versionstamps().expiry(ImportExpiry::Dropped),
        _ => options.overwrite(),
    }
}

fn database() -> Kv {
    let clock = Arc::new(ManualClock::default());
    clock.set(Duration::from_secs(1_000));
    let builder = Kv::builder().writer_threads(1).background_sweep(false);
    builder.clock(clock).build()
}

fn exported(kv: &Kv) -> Vec<u8> {
    let mut copy = Vec::new();
    kv.export(&mut copy).expect("a vector takes it");
    copy
}

fn seal(bytes: &mut [u8]) {
    if let Some((before, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32c(before).to_le_bytes();
    }
}

/// Makes headers and checksums right, as far as there are frames, and perhaps adds the trailer.
fn mend(copy: &mut Vec<u8>, ends: bool) {
    if copy.len() < HEADER {
        return;
    }
    copy[..16].copy_from_slice(b"\x89kvick\r\n\x01\0\0\0\0\0\0\0");
    seal(&mut copy[..HEADER]);
    let (mut at, mut number, mut headers) = (HEADER, 0u64, Vec::new());
    let mut payload_bytes = 0;
    while copy.len() - at > FRAME_HEADER {
        let (header, rest) = copy[at..].split_at_mut(FRAME_HEADER);
        // One byte of the length is enough here, and does not run over what is there.
        let len = (1 + usize::from(header[4])).min(rest.len());
        let payload = &rest[..len];
        header[..8].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        let len_bytes = u32::try_from(len).expect("it is short").to_le_bytes();
        header[4..8].copy_from_slice(&len_bytes);
        header[8..16].copy_from_slice(&number.to_le_bytes());
        header[16..20].copy_from_slice(&crc32c(payload).to_le_bytes());
        seal(header);
        headers.extend(&header[..20]);
        payload_bytes += len as u64;
        number += 1;
        at += FRAME_HEADER + len;
    }
    copy.truncate(at);
    if ends {
        let (count, newest) = totals(&copy[HEADER..]);
        let mut trailer = count.to_le_bytes().to_vec();
        trailer.extend(payload_bytes.to_le_bytes());
        trailer.extend(newest.to_le_bytes());
        trailer.extend(crc32c(&headers).to_le_bytes());
        debug_assert_eq!(trailer.len(), TRAILER);
        let mut header = vec![2, 0, 0, 0, 28, 0, 0, 0];
        header.extend(number.to_le_bytes());
        header.extend(crc32c(&trailer).to_le_bytes());
        header.extend([0; 4]);
        seal(&mut header);
        copy.extend(header);
        copy.extend(trailer);
    }
}

/// How many entries there are in these frames, as far as they are entries, and the largest stamp.
fn totals(mut frames: &[u8]) -> (u64, u64) {
    let (mut count, mut newest) = (0, 0);
    let number = |bytes: &[u8], at: usize, len: usize| {
        let mut number = [0; 8];
        number[..len].copy_from_slice(&bytes[at..at + len]);
        u64::from_le_bytes(number)
    };
    while frames.len() > FRAME_HEADER {
        let len = usize::try_from(number(frames, 4, 4)).expect("it is short");
        let (frame, rest) = frames.split_at(FRAME_HEADER + len);
        frames = rest;
        let mut payload = &frame[FRAME_HEADER..];
        while payload.len() >= 17 {
            let head = if payload[0] & 0x80 == 0 { 17 } else { 25 };
            let entry = head + number(payload, 1, 4) + number(payload, 5, 4);
            count += 1;
            newest = newest.max(number(payload, 9, 8));
            let entry = usize::try_from(entry).unwrap_or(usize::MAX);
            payload = payload.get(entry..).unwrap_or_default();
        }
    }
    (count, newest)
}
