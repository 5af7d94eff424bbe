//! A run: both servers in turns, round by round.

use crate::args::Plan;
use crate::call::Caller;
use crate::deno::{self, Deno};
use crate::figures::{Cell, Client, Figures, Round};
use crate::load::{self, Tally, Window};
use crate::quiet::{self, Since};
use crate::subject::{Subject, TOKEN};
use crate::workload::{self, Get, Set, Transfer, Workload};
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const WORKLOADS: [&str; 3] = ["get", "set", "transfer"];

/// How a load is given.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// So many in flight over a connection.
    InFlight(usize),
    /// One every so often, over a connection.
    Every(Duration),
}

/// Measures everything that is planned.
pub(crate) fn measure(
    plan: &Plan,
    subjects: &[Subject; 2],
    denos: &mut [Deno],
    asks_frames: bool,
) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for (client, count) in [(Client::Deno, 1), (Client::TwoDenos, 2)] {
        let Some(denos) = denos.get_mut(..count) else {
            break;
        };
        for name in plan.workloads() {
            cells.push(cell(plan, client, name, |subject| {
                let times = [plan.warm_up, plan.slice];
                deno::measure(denos, &subjects[subject], name, plan.in_flight(), times)
            })?);
        }
    }
    if asks_frames {
        measure_frames(plan, subjects, &mut cells)?;
    }
    Ok(cells)
}

fn measure_frames(
    plan: &Plan,
    subjects: &[Subject; 2],
    cells: &mut Vec<Cell>,
) -> Result<(), String> {
    for name in plan.workloads() {
        let in_flight = Pace::InFlight(plan.in_flight_each);
        cells.push(cell(plan, Client::Frames, name, |subject| {
            slice(plan, &subjects[subject], name, in_flight)
        })?);
    }
    for name in plan.workloads() {
        let reached = cells
            .iter()
            .find(|cell: &&Cell| cell.client == Client::Frames && cell.workload == name);
        let reached = reached.map(|cell| [0, 1].map(|it| cell.median(it, |of| of.rate)));
        let reached = reached.ok_or("a rate is half of one that was measured")?;
        cells.push(cell(plan, Client::HalfRate, name, |subject| {
            let rate = reached[subject] / 2.0;
            let every = Duration::from_secs_f64(f64::from(plan.connections) / rate);
            slice(plan, &subjects[subject], name, Pace::Every(every))
        })?);
    }
    Ok(())
}

/// A workload by a client, in rounds. Who begins a round alternates. One that others have disturbed is done
/// again, as long as there is patience, and the least disturbed counts.
fn cell(
    plan: &Plan,
    client: Client,
    workload: &'static str,
    mut slice: impl FnMut(usize) -> Result<Figures, String>,
) -> Result<Cell, String> {
    let mut rounds: Vec<Round> = Vec::new();
    let patience = Instant::now() + plan.patience;
    for number in 0..plan.rounds {
        let mut best: Option<Round> = None;
        loop {
            quiet::wait(patience);
            let since = Since::now();
            let figures = if number % 2 == 0 {
                let kvick = slice(0)?;
                [kvick, slice(1)?]
            } else {
                let reference = slice(1)?;
                [slice(0)?, reference]
            };
            let others = since.others();
            if best.as_ref().is_none_or(|best| others < best.others) {
                best = Some(Round { figures, others });
            }
            if quiet::is_quiet(others) || Instant::now() >= patience {
                break;
            }
        }
        rounds.extend(best);
    }
    let cell = Cell {
        client,
        workload,
        rounds,
    };
    let ratio = cell.ratio();
    let line = format!(
        "ratio {} {workload} {:.2} {:.2} {:.2}",
        client.name(),
        ratio.median,
        ratio.min,
        ratio.max
    );
    writeln!(io::stdout(), "{line}").map_err(|error| error.to_string())?;
    Ok(cell)
}

/// Asks a server for one workload, over all connections at once.
fn slice(plan: &Plan, subject: &Subject, name: &str, pace: Pace) -> Result<Figures, String> {
    match name {
        "get" => slice_of(plan, subject, pace, Get::new),
        "set" => slice_of(plan, subject, pace, Set::new),
        "transfer" => slice_of(plan, subject, pace, Transfer::new),
        other => Err(format!("there is no workload {other:?}")),
    }
}

fn slice_of<W>(
    plan: &Plan,
    subject: &Subject,
    pace: Pace,
    workload: fn(u64) -> W,
) -> Result<Figures, String>
where
    W: Workload + Send,
{
    let mut connections = Vec::new();
    for seed in 0..plan.connections {
        let caller = Caller::connect(subject.address, TOKEN)?;
        connections.push((caller, workload(u64::from(seed))));
    }
    let from = Instant::now() + plan.warm_up;
    let window = Window {
        from,
        until: from + plan.slice,
    };
    let (tallies, cpu) = thread::scope(|scope| {
        let runs = connections.iter_mut().map(|(caller, workload)| {
            scope.spawn(move || match pace {
                Pace::InFlight(in_flight) => load::closed(caller, workload, in_flight, window),
                Pace::Every(every) => load::open(caller, workload, every, window),
            })
        });
        let runs: Vec<_> = runs.collect();
        sleep_until(window.from);
        let before = subject.cpu();
        sleep_until(window.until);
        let cpu = subject.cpu().saturating_sub(before);
        let tallies: Result<Vec<Tally>, String> = runs
            .into_iter()
            .map(|run| run.join().map_err(|_| "a load has panicked".to_owned())?)
            .collect();
        (tallies, cpu)
    });
    let mut sum = Tally::new();
    for tally in tallies? {
        sum.add(&tally);
    }
    let (caller, _) = &mut connections[0];
    workload::check(caller)?;
    Ok(figures(&sum, cpu, plan.slice))
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53")]
fn figures(sum: &Tally, cpu: Duration, slice: Duration) -> Figures {
    let (done, conflicts) = (sum.done as f64, sum.conflicts as f64);
    let at = |part| sum.latencies.value_at_quantile(part) as f64 / 1e3;
    Figures {
        rate: done / slice.as_secs_f64(),
        conflicts: conflicts / (done + conflicts),
        cpu_us: cpu.as_secs_f64() / done * 1e6,
        p50_us: at(0.5),
        p99_us: at(0.99),
        p999_us: at(0.999),
    }
}

fn sleep_until(then: Instant) {
    #[expect(clippy::disallowed_methods, reason = "it is time itself that passes")]
    thread::sleep(then.saturating_duration_since(Instant::now()));
}
