//! Bugs by their names.

use kvick::simulation;

/// Plants a bug in the engines of this process.
pub(crate) fn plant(name: &str) -> Result<(), String> {
    let mut bugs = simulation::PLANTABLE.iter();
    let bug = bugs.find(|bug| format!("{bug:?}") == name);
    let bug = bug.ok_or_else(|| format!("no such bug: {name}"))?;
    simulation::plant(Some(*bug));
    Ok(())
}
