//! The transfers of a file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::Failure;
use crate::args::Input;
use crate::bank::{Bank, Fate, How};
use crate::crew::{self, Results};
use crate::csv::{self, Malformed, OPENING, Statement, statements};
use crate::report::{self, Bar, Grouped};

/// A line that changed nothing.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    line: usize,
    reason: Reason,
}

/// Why a line changed nothing.
#[derive(Debug, PartialEq)]
enum Reason {
    Malformed(Malformed),
    OpenedBefore { account: String, line: usize },
    TotalTooLarge,
    UnknownAccount(String),
    InsufficientFunds { account: String, balance: u64 },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.reason {
            Reason::Malformed(malformed) => malformed.fmt(f),
            Reason::OpenedBefore { account, line } => {
                write!(f, "{account:?} was opened on line {line}")
            }
            Reason::TotalTooLarge => {
                write!(f, "all balances together would be more than {}", u64::MAX)
            }
            Reason::UnknownAccount(account) => write!(
                f,
                "unknown account {account:?}: no line {OPENING},{},BALANCE opens it",
                csv::quote(account)
            ),
            Reason::InsufficientFunds { account, balance } => {
                write!(f, "insufficient funds: {account:?} has {balance}")
            }
        }
    }
}

/// What a file says that can be tried: everything about it but the funds has been looked at.
#[derive(Debug)]
struct Plan {
    bank: Bank,
    names: Vec<String>,
    transfers: Vec<Transfer>,
    refused: Vec<Refused>,
}

#[derive(Debug, PartialEq)]
struct Transfer {
    line: usize,
    from: usize,
    to: usize,
    amount: u64,
}

/// What came of a file.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) bank: Bank,
    pub(crate) results: Results,
    names: Vec<String>,
    refused: Vec<Refused>,
    is_in_order: bool,
}

pub(crate) fn run(input: &Input) -> Result<Applied, Failure> {
    let plan = plan(&read(input)?)?;
    let bar = Bar::of_transfers(plan.transfers.len());
    let next = AtomicUsize::new(0);
    let (refuse, refused) = mpsc::channel();
    let results = crew::run(&plan.bank, input.crew, None, &bar, |_, stop, tally| {
        while !stop.is_set() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(transfer) = plan.transfers.get(index) else {
                break;
            };
            let Transfer { from, to, .. } = *transfer;
            let fate = tally.transfer(&plan.bank, from, to, transfer.amount)?;
            if let Fate::InsufficientFunds { balance } = fate {
                let account = plan.names[from].clone();
                // The receiver outlives the threads.
                let _ = refuse.send(Refused {
                    line: transfer.line,
                    reason: Reason::InsufficientFunds { account, balance },
                });
            }
        }
        Ok(())
    })?;
    drop(refuse);
    let mut refused: Vec<_> = plan.refused.into_iter().chain(refused).collect();
    refused.sort_by_key(|refused| refused.line);
    Ok(Applied {
        bank: plan.bank,
        results,
        names: plan.names,
        refused,
        is_in_order: input.crew.threads == 1,
    })
}

fn read(input: &Input) -> Result<Vec<u8>, Failure> {
    let read = if let Some(path) = &input.path {
        fs::read(path)
    } else {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).map(|_| text)
    };
    read.map_err(|error| {
        let name = match &input.path {
            Some(path) => path.display().to_string(),
            None => "standard input".to_owned(),
        };
        Failure::Input { name, error }
    })
}

/// Opens the accounts, and finds those of every transfer.
fn plan(text: &[u8]) -> kvick::Result<Plan> {
    let mut plan = Plan {
        bank: Bank::new(How::ByCheck),
        names: Vec::new(),
        transfers: Vec::new(),
        refused: Vec::new(),
    };
    // The line of each account's opening, and its number.
    let mut accounts: HashMap<String, (usize, usize)> = HashMap::new();
    let mut transfers = Vec::new();
    for (line, statement) in statements(text) {
        let refused = match statement {
            Ok(Statement::Opening { account, balance }) => match accounts.entry(account.into()) {
                Entry::Occupied(opened) => Some(Reason::OpenedBefore {
                    account: opened.key().clone(),
                    line: opened.get().0,
                }),
                Entry::Vacant(vacant) => {
                    if plan.bank.open(("account", vacant.key()), balance)? {
                        plan.names.push(vacant.key().clone());
                        vacant.insert((line, plan.names.len() - 1));
                        None
                    } else {
                        Some(Reason::TotalTooLarge)
                    }
                }
            },
            Ok(Statement::Transfer { from, to, amount }) => {
                transfers.push((line, from, to, amount));
                None
            }
            Err(malformed) => Some(Reason::Malformed(malformed)),
        };
        plan.refused
            .extend(refused.map(|reason| Refused { line, reason }));
    }
    let number = |name: &str| match accounts.get(name) {
        Some((_, number)) => Ok(*number),
        None => Err(Reason::UnknownAccount(name.to_owned())),
    };
    for (line, from, to, amount) in transfers {
        match number(&from).and_then(|from| Ok((from, number(&to)?))) {
            Ok((from, to)) => plan.transfers.push(Transfer {
                line,
                from,
                to,
                amount,
            }),
            Err(reason) => plan.refused.push(Refused { line, reason }),
        }
    }
    Ok(plan)
}

impl Applied {
    /// The lines that changed nothing, in the order of the file.
    pub(crate) fn write_refused(&self, out: &mut impl Write) -> io::Result<()> {
        for refused in &self.refused {
            writeln!(out, "refused: {refused}")?;
        }
        if !self.is_in_order && self.results.tally.refused > 0 {
            writeln!(
                out,
                "note: the threads apply the lines in no particular order, so one may come before \
                 the one that brings its funds; --threads 1 applies them in that of the file"
            )?;
        }
        Ok(())
    }

    /// The balance of every account, in the order of their openings, and what became of the lines.
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        writeln!(out, "account,balance")?;
        for (number, name) in self.names.iter().enumerate() {
            let balance = self.bank.balance(number)?;
            writeln!(out, "{},{balance}", csv::quote(name))?;
        }
        writeln!(out)?;
        let order = if self.is_in_order {
            format_args!("in the order of the file")
        } else {
            format_args!("in no particular order")
        };
        for (name, count, note) in [
            ("accounts opened", self.names.len(), format_args!("")),
            ("lines applied", self.applied_count(), order),
            ("lines refused", self.refused.len(), format_args!("")),
        ] {
            report::row(out, name, &Grouped(count as u64).to_string(), note)?;
        }
        Ok(())
    }

    fn applied_count(&self) -> usize {
        usize::try_from(self.results.tally.made).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Crew;

    fn refused(text: &str) -> Vec<String> {
        let plan = plan(text.as_bytes()).unwrap();
        plan.refused.iter().map(Refused::to_string).collect()
    }

    #[test]
    fn openings_count_wherever_they_stand() {
        let plan = plan(b"ann,bob,2\n@opening,ann,5\n@opening,bob,0\n").unwrap();
        let transfer = Transfer {
            line: 1,
            from: 0,
            to: 1,
            amount: 2,
        };
        assert_eq!(plan.transfers, [transfer]);
        assert!(plan.refused.is_empty());
        assert_eq!(plan.bank.total(), 5);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        let text = "@opening,ann,5\n@opening,ann,6\nann,bob,1\nbob,ann,1\n@opening,bob,18446744073709551615\nann\n";
        let refused = refused(text);
        assert_eq!(refused.len(), 5);
        for (found, expected) in refused.iter().zip([
            "line 2: \"ann\" was opened on line 1",
            "line 5: all balances together",
            "line 6: 3 fields are wanted, not 1",
            "line 3: unknown account \"bob\"",
            "line 4: unknown account \"bob\"",
        ]) {
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn the_shipped_transfers_are_all_valid_whatever_their_order() {
        let text = include_bytes!("../data/transfers.csv");
        assert_eq!(text.split_inclusive(|byte| *byte == b'\n').count(), 10_000);
        let plan = plan(text).unwrap();
        assert_eq!(plan.refused, []);
        let mut outgoing = vec![0; plan.bank.len()];
        for transfer in &plan.transfers {
            outgoing[transfer.from] += transfer.amount;
        }
        for (account, outgoing) in outgoing.iter().enumerate() {
            assert!(plan.bank.balance(account).unwrap() >= *outgoing);
        }
    }

    #[test]
    fn nothing_is_a_file_too() {
        let plan = plan(b"").unwrap();
        let crew = Crew {
            threads: 2,
            auditors: 1,
        };
        let bar = Bar::of_transfers(0);
        let results = crew::run(&plan.bank, crew, None, &bar, |_, _, _| Ok(())).unwrap();
        assert_eq!(results.findings.violations, 0);
        assert!(results.findings.audits >= 1);
    }
}
