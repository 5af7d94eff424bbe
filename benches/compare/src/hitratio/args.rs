//! The command line of the hit ratios.

use super::format::{self, Format};
use super::load::{self, Load};
use crate::args::{Misuse, number, record_folder, unknown};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) traces: Vec<PathBuf>,
    /// Of the traces, unless their names say it.
    pub(crate) format: Option<Format>,
    pub(crate) loads: Vec<Load>,
    /// In percent of the footprint.
    pub(crate) sizes: Option<Vec<u32>>,
    /// The folder of the record, unless none is to be written.
    pub(crate) record: Option<PathBuf>,
}

/// Reads what comes behind the command's name.
pub(crate) fn parse(mut parser: Parser) -> Result<Wanted, Misuse> {
    let mut wanted = Wanted {
        traces: Vec::new(),
        format: None,
        loads: Vec::new(),
        sizes: None,
        record: Some(record_folder()),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("trace") => wanted.traces.push(parser.value()?.into()),
            Arg::Long("format") => {
                let name = parser.value()?.string()?;
                let format = Format::named(&name);
                let format = format.ok_or_else(|| unknown("format", &name, &format::NAMES))?;
                wanted.format = Some(format);
            }
            Arg::Long("load") => {
                let name = parser.value()?.string()?;
                let load = Load::named(&name);
                let load = load.ok_or_else(|| unknown("load", &name, &load::NAMES))?;
                wanted.loads.push(load);
            }
            Arg::Long("sizes") => {
                let list = parser.value()?.string()?;
                let sizes = list.split(',').map(|size| number(&size.into(), 1, 100));
                wanted.sizes = Some(sizes.collect::<Result<_, _>>()?);
            }
            Arg::Long("out") => wanted.record = Some(parser.value()?.into()),
            Arg::Long("no-record") => wanted.record = None,
            _ => return Err(arg.unexpected().into()),
        }
    }
    if wanted.traces.is_empty() && wanted.loads.is_empty() {
        return Err(Misuse::new("give a --trace or a --load"));
    }
    Ok(wanted)
}
