//! Reading through: caches that are full, asked by several threads, which load what is not there.
//!
//! Nine in ten requests are for keys that a cache of this size can hold, twice over, and the tenth is
//! for one that nobody has asked for before. So about nine in ten are hits, whatever the cache evicts
//! by; how many they are is counted beside the measuring, and stands in the record.

pub(crate) mod args;

use crate::cell::Cell;
use crate::draw::{Distribution, Zipf};
use crate::machine::Machine;
use crate::peers::{self, Kvick, Visit};
use crate::session::Session;
use crate::slice::{self, Task};
use crate::store::Store;
use crate::subject::{Subject, value};
use crate::workload::{Case, Form, Workload};
use crate::{check, pair, record, table};
use args::Wanted;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

/// The caches beside which kvick is measured.
pub(crate) const PEERS: [&str; 2] = [peers::MOKA, peers::QUICK_CACHE];

const FORMS: [Form; 2] = [Form::GetOrLoad, Form::GetThenSet];

/// Of the entries that a cache may hold, those that are asked for again and again are one in this
/// many.
const HOT_SHARE: u32 = 2;

/// How often a cache is asked before time is taken, for each entry that it may hold. A tenth of that is
/// new to it: as much as it holds.
const WARM_UP: u32 = 10;

/// How many batches the hits are counted of.
const COUNTED: u32 = 400;

/// The hits of a cache, of all requests.
struct Hits {
    cache: &'static str,
    beside: &'static str,
    distribution: &'static str,
    keys: u32,
    value_bytes: u32,
    share: f64,
}

/// Measures what is asked for, prints the tables and writes the record.
pub(crate) fn measure(wanted: &Wanted) -> io::Result<()> {
    let machine = Machine::this();
    check::all(&wanted.peers);
    let (cells, hits) = cells(wanted)?;
    let hits = listed(&hits);
    let mut out = io::stdout();
    writeln!(out, "\n{}", table::all(&cells).trim_end())?;
    writeln!(out, "\n{}\n{}", table::targets(&cells), hits.trim_end())?;
    if let Some(folder) = &wanted.record {
        let name = format!("{}-{}-readthrough", machine.date, machine.slug());
        let end = format!(
            "\n```text\n{}\n\n{hits}```\n",
            table::all(&cells).trim_end()
        );
        let path = record::write_page(folder, &name, &machine, &cells, &end)?;
        writeln!(out, "\nwritten: {}.csv and .md", path.display())?;
    }
    Ok(())
}

fn cells(wanted: &Wanted) -> io::Result<(Vec<Cell>, Vec<Hits>)> {
    let distributions = 1 + usize::from(wanted.is_varied);
    let pairs = wanted.peers.len() * wanted.keys.len() * wanted.value_bytes.len() * distributions;
    let mut session = Session::new(wanted.plan, pairs * FORMS.len() * wanted.threads.len());
    let mut hits = Vec::new();
    for keys in &wanted.keys {
        let zipf = Arc::new(Zipf::new(keys / HOT_SHARE));
        for value_bytes in &wanted.value_bytes {
            for peer in &wanted.peers {
                let pair = Pair {
                    session: &mut session,
                    hits: &mut hits,
                    wanted,
                    keys: *keys,
                    value_bytes: *value_bytes,
                    zipf: &zipf,
                };
                peers::with(peer, pair)?;
            }
        }
    }
    Ok((session.finish(), hits))
}

/// kvick and a peer that are to be measured: full stores, the same throughout.
struct Pair<'a> {
    session: &'a mut Session,
    hits: &'a mut Vec<Hits>,
    wanted: &'a Wanted,
    keys: u32,
    value_bytes: u32,
    zipf: &'a Arc<Zipf>,
}

impl Visit<io::Result<()>> for Pair<'_> {
    fn visit<S: Store>(mut self) -> io::Result<()> {
        self.session
            .doing(&format!("{} keys in {}", self.keys, S::NAME));
        let value = value(self.value_bytes);
        let kvick = Subject::<Kvick>::limited(self.keys, value);
        let peer = Subject::<S>::limited(self.keys, value);
        let zipf = Distribution::Zipf(Arc::clone(self.zipf));
        self.distributed(&kvick, &peer, &zipf)?;
        if self.wanted.is_varied {
            let uniform = Distribution::Uniform(self.keys / HOT_SHARE);
            self.distributed(&kvick, &peer, &uniform)?;
        }
        Ok(())
    }
}

impl Pair<'_> {
    /// Every form and number of threads, with keys of one distribution.
    fn distributed<S: Store>(
        &mut self,
        kvick: &Subject<Kvick>,
        peer: &Subject<S>,
        distribution: &Distribution,
    ) -> io::Result<()> {
        let is_zipf = matches!(distribution, Distribution::Zipf(_));
        let task = |workload, threads, time| Task {
            workload,
            distribution: distribution.clone(),
            threads,
            time,
            insert_max: u32::MAX,
        };
        let time = self.session.plan.slice;
        let warm_up = task(Workload::ReadThrough(Form::GetThenSet), 1, time);
        let batches = (self.keys / warm_up.workload.batch()).max(1) * WARM_UP;
        slice::hits(kvick, &warm_up, batches);
        slice::hits(peer, &warm_up, batches);
        for form in FORMS {
            for threads in &self.wanted.threads {
                let case = Case {
                    workload: Workload::ReadThrough(form),
                    zipf: is_zipf,
                    threads: *threads,
                    value_bytes: self.value_bytes,
                };
                let what = format!("{case} of {} in {}", self.keys, S::NAME);
                self.session.doing(&what);
                let task = task(case.workload, *threads, time);
                let rounds = pair::rounds(kvick, peer, &task, self.session.plan.rounds);
                self.session.report(Cell {
                    value_bytes: case.value_bytes,
                    distribution: case.distribution().to_owned(),
                    threads: case.threads,
                    ..Cell::new(&case.to_string(), self.keys, S::NAME, &rounds)
                })?;
                self.session.done();
            }
        }
        let shares = [
            (Kvick::NAME, slice::hits(kvick, &warm_up, COUNTED)),
            (S::NAME, slice::hits(peer, &warm_up, COUNTED)),
        ];
        self.hits.extend(shares.map(|(cache, share)| Hits {
            cache,
            beside: S::NAME,
            distribution: if is_zipf { "zipf" } else { "uniform" },
            keys: self.keys,
            value_bytes: self.value_bytes,
            share,
        }));
        Ok(())
    }
}

/// A table: a row a size, a length of values and a distribution, a column a cache.
fn listed(hits: &[Hits]) -> String {
    let mut rows = vec![
        [
            "hits, of all requests",
            "distribution",
            "value",
            "cache",
            "",
            "peer",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for pair in hits.chunks(2) {
        let [ours, theirs] = pair else { continue };
        rows.push(vec![
            format!("{} keys", table::grouped(ours.keys)),
            ours.distribution.to_owned(),
            format!("{} bytes", ours.value_bytes),
            ours.cache.to_owned(),
            format!("{:.2} %", ours.share * 100.0),
            theirs.beside.to_owned(),
            format!("{:.2} %", theirs.share * 100.0),
        ]);
    }
    let mut text = String::new();
    let _ = write!(text, "{}", table::aligned(&rows));
    text
}
