//! `kvick bench`.

use crate::args::{Args, Word};
use crate::fault::Fault;
use crate::session::Session;
use crate::store::Db;
use hdrhistogram::Histogram;
use kvick::{BigInt, Clock, Key, Outcome, SystemClock};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, LocalSet};

pub(crate) const USAGE: &str = "\
kvick bench: measure a database: get, set, and a transfer, which reads, checks and sets two keys

usage: kvick bench [OPTION]...

  --seconds N        for each of them [default: 3]
  --in-flight N      so many operations at once [default: 32]; in this process, no more than it has processors
  --keys N           among so many keys [default: 1000]
  --value-bytes N    of so many bytes each [default: 100]
  --json             each as a line of JSON, times in microseconds
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

It writes below a key of its own, [\"kvick bench\", ..], and deletes that at the end.
";

#[derive(Clone, Copy)]
struct Asked {
    time: Duration,
    in_flight: usize,
    keys: u64,
    value_bytes: usize,
    is_json: bool,
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked {
        time: Duration::from_secs(3),
        in_flight: 32,
        keys: 1_000,
        value_bytes: 100,
        is_json: false,
    };
    while let Some(word) = args.next()? {
        let Word::Option(name) = word else {
            return Err(args.refused("it takes options only"));
        };
        match &name[..] {
            "seconds" => {
                let time = Duration::try_from_secs_f64(args.number()?);
                asked.time = time.map_err(|error| args.refused(&format!("--seconds: {error}")))?;
            }
            "in-flight" => asked.in_flight = args.number()?,
            "keys" => asked.keys = args.number()?,
            "value-bytes" => asked.value_bytes = args.number()?,
            "json" => asked.is_json = true,
            _ => return Err(args.unknown(&name)),
        }
    }
    if !(1..=10_000).contains(&asked.in_flight) || !(2..=10_000_000).contains(&asked.keys) {
        return Err(args.refused("--in-flight is from 1 to 10000, and --keys from 2 to 10000000"));
    }
    if asked.value_bytes > 65_536 {
        return Err(args.refused("--value-bytes is at most 65536"));
    }
    Ok(asked)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Set,
    Transfer,
}

/// What there is to do, for whoever does it.
#[derive(Clone)]
struct Work {
    db: Db,
    at: Key,
    asked: Asked,
    kind: Kind,
    /// Nobody waits for the result any more.
    is_over: Arc<AtomicBool>,
}

struct Measured {
    nanoseconds: Histogram<u64>,
    conflicts: u64,
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let db = session.db_or_fresh(&args)?;
    // Not that of a measurement beside this one.
    let now = SystemClock.wall_time().as_nanos();
    let at = Key::from_parts(["kvick bench"]).join(BigInt::from(now));
    let done = tokio::select! {
        done = measure_all(&db, &at, asked, session) => done,
        // What was written is to be deleted then too.
        _ = tokio::signal::ctrl_c() => Err(Fault::failed("interrupted")),
    };
    let deleted = db.delete_prefix(at).await;
    done?;
    deleted?;
    Ok(())
}

async fn measure_all(db: &Db, at: &Key, asked: Asked, session: &mut Session) -> Result<(), Fault> {
    fill(db, at, asked).await?;
    for kind in [Kind::Get, Kind::Set, Kind::Transfer] {
        let over = Over::default();
        let work = Work {
            db: db.clone(),
            at: at.clone(),
            asked,
            kind,
            is_over: Arc::clone(&over.0),
        };
        let begin = Instant::now();
        let measured = measure(work).await?;
        let line = told(kind, &measured, begin.elapsed(), asked.is_json);
        session.out.line(&line)?;
        session.out.flush()?;
    }
    Ok(())
}

/// Says so, also where it is interrupted.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn told(kind: Kind, measured: &Measured, took: Duration, is_json: bool) -> String {
    let histogram = &measured.nanoseconds;
    #[expect(clippy::cast_precision_loss, reason = "it is for people")]
    let per_second = histogram.len() as f64 / took.as_secs_f64();
    let at = |quantile| histogram.value_at_quantile(quantile);
    let name = match kind {
        Kind::Get => "get",
        Kind::Set => "set",
        Kind::Transfer => "transfer",
    };
    if is_json {
        let microseconds = |quantile| {
            #[expect(clippy::cast_precision_loss, reason = "it is for people")]
            let nanoseconds = at(quantile) as f64;
            nanoseconds / 1_000.0
        };
        return json!({
            "operation": name,
            "per_second": per_second.round(),
            "p50": microseconds(0.5),
            "p99": microseconds(0.99),
            "conflicts": measured.conflicts,
        })
        .to_string();
    }
    let shown = |quantile| format!("{:?}", Duration::from_nanos(at(quantile) / 100 * 100));
    let conflicts = match measured.conflicts {
        0 => String::new(),
        conflicts => format!(", {conflicts} conflicts"),
    };
    let (p50, p99) = (shown(0.5), shown(0.99));
    format!("{name:8} {per_second:>12.0} a second, p50 {p50}, p99 {p99}{conflicts}")
}

/// Sets every key, some at a time.
async fn fill(db: &Db, at: &Key, asked: Asked) -> Result<(), Fault> {
    let value = vec![b'x'; asked.value_bytes];
    let at_once = (400_000 / (asked.value_bytes + 100)).clamp(1, 500) as u64;
    let mut next = 0;
    while next < asked.keys {
        let mut operation = db.atomic();
        for number in next..asked.keys.min(next + at_once) {
            operation.set(at.join(number), &value[..]);
        }
        // It has no checks that could fail.
        let _ = operation.commit().await?;
        next += at_once;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn measure(work: Work) -> Result<Measured, Fault> {
    let mut all = Vec::new();
    if work.db.database().kv().is_some() {
        // What never waits keeps a thread busy by itself.
        let threads = available_parallelism().map_or(1, usize::from);
        let mut tasks = JoinSet::new();
        for seed in 0..threads.min(work.asked.in_flight) {
            let work = work.clone();
            let runtime = Handle::current();
            tasks.spawn_blocking(move || runtime.block_on(one_after_another(work, seed as u64)));
        }
        while let Some(done) = tasks.join_next().await {
            all.push(done.map_err(Fault::failed)??);
        }
    } else {
        let local = LocalSet::new();
        let run = local.run_until(async {
            let mut tasks = JoinSet::new();
            for seed in 0..work.asked.in_flight {
                tasks.spawn_local(one_after_another(work.clone(), seed as u64));
            }
            while let Some(done) = tasks.join_next().await {
                all.push(done.map_err(Fault::failed)??);
            }
            Ok::<(), Fault>(())
        });
        run.await?;
    }
    let mut sum = Measured {
        nanoseconds: histogram()?,
        conflicts: 0,
    };
    for measured in all {
        sum.nanoseconds
            .add(&measured.nanoseconds)
            .map_err(Fault::failed)?;
        sum.conflicts += measured.conflicts;
    }
    Ok(sum)
}

fn histogram() -> Result<Histogram<u64>, Fault> {
    Histogram::new(3).map_err(Fault::failed)
}

async fn one_after_another(work: Work, seed: u64) -> Result<Measured, Fault> {
    let value = vec![b'x'; work.asked.value_bytes];
    let mut measured = Measured {
        nanoseconds: histogram()?,
        conflicts: 0,
    };
    let mut random = Random(seed + 1);
    let begin = Instant::now();
    while begin.elapsed() < work.asked.time && !work.is_over.load(Ordering::Relaxed) {
        let key = |random: &mut Random| work.at.join(random.next() % work.asked.keys);
        let key = (key(&mut random), key(&mut random));
        let begin = Instant::now();
        match work.kind {
            Kind::Get => {
                work.db.get(key.0).await?;
            }
            Kind::Set => {
                work.db.set(key.0, &value[..]).await?;
            }
            Kind::Transfer => measured.conflicts += transfer(&work.db, key, &value).await?,
        }
        let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        measured.nanoseconds.record(took).map_err(Fault::failed)?;
    }
    Ok(measured)
}

/// Reads two keys and sets both, as they were read; how often somebody came between.
async fn transfer(db: &Db, (from, to): (Key, Key), value: &[u8]) -> Result<u64, Fault> {
    let mut conflicts = 0;
    loop {
        let mut operation = db.atomic();
        for entry in db.get_many([from.clone(), to.clone()]).await? {
            operation.check(&entry).set(entry.key().clone(), value);
        }
        if matches!(operation.commit().await?, Outcome::Committed { .. }) {
            return Ok(conflicts);
        }
        conflicts += 1;
    }
}

/// The generator splitmix64: nothing depends on how good it is.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
