//! The plainest circle in a strongly connected component, and its name.
//!
//! As Elle does it: the component is searched with few reasons first and more of them later, so
//! that the name is that of the strongest guarantee that is broken.

use super::anomaly::{Cycle, Kind, RealTime};
use super::graph::{Because, Graph, Reasons};
use std::collections::VecDeque;

/// A circle: each node with why it must come before the next one, and the last before the first.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) kind: Kind,
    pub(super) steps: Vec<(u32, Because)>,
}

/// Searches that are made for a shortest circle, and for one with a single missed write. A broken
/// engine makes components of a whole round.
const SEARCHES_MAX: usize = 64;
const SINGLE_SEARCHES_MAX: usize = 4000;

/// The plainest circle of a component.
pub(super) fn plainest(graph: &Graph, component: &[u32]) -> Option<Circle> {
    let local = graph.induced(component);
    let found = [RealTime::Without, RealTime::With]
        .into_iter()
        .find_map(|real_time| {
            let (cycle, steps) = plainest_with(&local, real_time)?;
            Some((Kind::Cycle(cycle, real_time), steps))
        });
    let (kind, steps) = found?;
    let named = |(node, because)| (component[node as usize], because);
    let steps = steps.into_iter().map(named).collect();
    Some(Circle { kind, steps })
}

type Steps = Vec<(u32, Because)>;

fn plainest_with(graph: &Graph, real_time: RealTime) -> Option<(Cycle, Steps)> {
    let reasons = |reasons: &[Because]| match real_time {
        RealTime::Without => Reasons::of(reasons),
        RealTime::With => Reasons::of(&[reasons, &[Because::RealTime]].concat()),
    };
    let writes = reasons(&[Because::Overwritten]);
    let flow = reasons(&[Because::Overwritten, Because::Read]);
    let all = reasons(&[Because::Overwritten, Because::Read, Because::Missed]);
    let named = |cycle| move |steps| (cycle, steps);
    shortest(graph, writes)
        .map(named(Cycle::G0))
        .or_else(|| shortest(graph, flow).map(named(Cycle::G1c)))
        .or_else(|| single(graph, flow).map(named(Cycle::GSingle)))
        .or_else(|| shortest(graph, all).map(named(Cycle::G2Item)))
}

/// The shortest circle by edges of these reasons that the first so many nodes of a component are
/// on.
fn shortest(graph: &Graph, reasons: Reasons) -> Option<Steps> {
    let components = graph.components(reasons);
    let smallest = components.into_iter().min_by_key(Vec::len)?;
    let sources = smallest.iter().take(SEARCHES_MAX);
    let circles = sources.filter_map(|node| path(graph, *node, *node, reasons));
    circles.min_by_key(Vec::len)
}

/// The shortest circle with one missed write, and else edges of these reasons.
fn single(graph: &Graph, reasons: Reasons) -> Option<Steps> {
    let missed = (0..graph.node_count()).flat_map(|from| {
        let edges = graph.edges(from);
        let missed = edges.filter(|(_, because)| *because == Because::Missed);
        missed.map(move |(to, because)| (from, to, because))
    });
    let circles = missed
        .take(SINGLE_SEARCHES_MAX)
        .filter_map(|(from, to, because)| {
            let mut steps = vec![(from, because)];
            steps.extend(path(graph, to, from, reasons)?);
            Some(steps)
        });
    circles.min_by_key(Vec::len)
}

/// The shortest way of one edge or more, without its end.
fn path(graph: &Graph, from: u32, to: u32, reasons: Reasons) -> Option<Steps> {
    // By node: whence it was reached first, and why.
    let mut reached: Vec<Option<(u32, Because)>> = vec![None; graph.node_count() as usize];
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        for (next, because) in graph.edges(node) {
            let before = &mut reached[next as usize];
            if !reasons.has(because) || before.is_some() {
                continue;
            }
            *before = Some((node, because));
            if next == to {
                return Some(back(&reached, from, to));
            }
            queue.push_back(next);
        }
    }
    None
}

fn back(reached: &[Option<(u32, Because)>], from: u32, to: u32) -> Steps {
    let mut steps = Vec::new();
    let mut node = to;
    while let Some((before, because)) = reached[node as usize] {
        steps.push((before, because));
        node = before;
        if node == from {
            break;
        }
    }
    steps.reverse();
    steps
}
