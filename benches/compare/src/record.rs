//! Record files: a run's cells as CSV, and beside it what ran where.

use crate::cell::{Cell, Unit};
use crate::machine::Machine;
use crate::table;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

const HEAD: &str = "workload,keys,value_bytes,distribution,threads,peer,kvick_ns,peer_ns,\
                    kvick_bytes,peer_bytes,ratio_median,ratio_min,ratio_max,rounds";

const COLUMNS: usize = 14;

/// Writes a run's files into a folder, which is made if it is not there. The result is the path
/// without its ending: `.csv`, `.md` and `.svg` go there.
pub(crate) fn write(
    folder: &Path,
    machine: &Machine,
    cells: &[Cell],
    chart: &str,
) -> io::Result<PathBuf> {
    let name = format!("{}-{}", machine.date, machine.slug());
    let path = write_page(folder, &name, machine, cells, "")?;
    fs::write(path.with_extension("svg"), chart)?;
    Ok(path)
}

/// The same under a name, without a chart: `.csv` and `.md`. The page ends with this.
pub(crate) fn write_page(
    folder: &Path,
    name: &str,
    machine: &Machine,
    cells: &[Cell],
    end: &str,
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    fs::write(path.with_extension("csv"), csv(cells))?;
    let page = format!("{}\n{}{end}", machine.page(), table::targets(cells));
    fs::write(path.with_extension("md"), page)?;
    Ok(path)
}

fn csv(cells: &[Cell]) -> String {
    let mut text = format!("{HEAD}\n");
    for cell in cells {
        let (kvick, theirs) = (cell.kvick, cell.theirs);
        let figures = match cell.unit {
            Unit::Nanoseconds => format!("{kvick:.1},{theirs:.1},,"),
            Unit::Bytes => format!(",,{kvick:.1},{theirs:.1}"),
        };
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{figures},{:.4},{:.4},{:.4},{}",
            cell.workload,
            cell.keys,
            cell.value_bytes,
            cell.distribution,
            cell.threads,
            cell.peer,
            cell.ratio,
            cell.ratio_min,
            cell.ratio_max,
            cell.rounds,
        );
    }
    text
}

/// Why a file is no record.
#[derive(Debug)]
pub(crate) enum Unreadable {
    File(io::Error),
    /// Counted from 1.
    Line(usize),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line(line) => write!(f, "line {line} is none of a record"),
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<Cell>, Unreadable> {
    let text = fs::read_to_string(path).map_err(Unreadable::File)?;
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, head)| head != HEAD) {
        return Err(Unreadable::Line(1));
    }
    let cells = lines.map(|(line, text)| cell(text).ok_or(Unreadable::Line(line)));
    cells.collect()
}

fn cell(line: &str) -> Option<Cell> {
    let columns: Vec<&str> = line.split(',').collect();
    let columns: &[&str; COLUMNS] = columns.as_slice().try_into().ok()?;
    let [
        workload,
        keys,
        value_bytes,
        distribution,
        threads,
        peer,
        figures @ ..,
    ] = columns;
    let [
        ns,
        theirs_ns,
        bytes,
        theirs_bytes,
        ratio,
        ratio_min,
        ratio_max,
        rounds,
    ] = figures;
    let (unit, kvick, theirs) = if ns.is_empty() {
        (Unit::Bytes, bytes, theirs_bytes)
    } else {
        (Unit::Nanoseconds, ns, theirs_ns)
    };
    Some(Cell {
        workload: (*workload).to_owned(),
        keys: keys.parse().ok()?,
        value_bytes: value_bytes.parse().ok()?,
        distribution: (*distribution).to_owned(),
        threads: threads.parse().ok()?,
        peer: (*peer).to_owned(),
        unit,
        kvick: kvick.parse().ok()?,
        theirs: theirs.parse().ok()?,
        ratio: ratio.parse().ok()?,
        ratio_min: ratio_min.parse().ok()?,
        ratio_max: ratio_max.parse().ok()?,
        rounds: rounds.parse().ok()?,
    })
}
