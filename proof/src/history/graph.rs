//! Directed graphs of dependencies, and their strongly connected components.

use super::record::id;

/// Why one transaction must come before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// ww: the other wrote on top of what it wrote.
    Overwritten,
    /// wr: the other read what it wrote.
    Read,
    /// rw: the other wrote what it had not seen.
    Missed,
    /// It was over before the other began.
    RealTime,
}

impl Because {
    const ALL: [Self; 4] = [Self::Overwritten, Self::Read, Self::Missed, Self::RealTime];

    fn bits(self) -> u32 {
        (self as u32) << NODE_BITS
    }
}

/// Some of the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reasons(u8);

impl Reasons {
    pub(super) const ALL: Self = Self(0b1111);

    pub(super) fn of(reasons: &[Because]) -> Self {
        let bits = reasons.iter().map(|because| 1 << *because as u8);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    pub(super) fn has(self, because: Because) -> bool {
        self.0 & (1 << because as u8) != 0
    }
}

const NODE_BITS: u32 = 30;

/// An edge's end and its reason in one word: there are a dozen edges for each transaction.
#[derive(Clone, Copy, Debug)]
struct Target(u32);

impl Target {
    fn new(node: u32, because: Because) -> Self {
        debug_assert!(node < 1 << NODE_BITS, "no round is that long");
        Self(node | because.bits())
    }

    fn node(self) -> u32 {
        self.0 & ((1 << NODE_BITS) - 1)
    }

    fn because(self) -> Because {
        Because::ALL[(self.0 >> NODE_BITS) as usize]
    }
}

/// The edges of a graph, in no order.
#[derive(Debug, Default)]
pub(super) struct Edges(Vec<(u32, Target)>);

impl Edges {
    pub(super) fn with_capacity(edges: usize) -> Self {
        Self(Vec::with_capacity(edges))
    }

    pub(super) fn add(&mut self, from: u32, to: u32, because: Because) {
        self.0.push((from, Target::new(to, because)));
    }
}

/// Edges by where they begin: those of node `n` are `targets[starts[n]..starts[n + 1]]`.
#[derive(Debug)]
pub(super) struct Graph {
    starts: Vec<u32>,
    targets: Vec<Target>,
}

impl Graph {
    pub(super) fn new(nodes: u32, edges: &Edges) -> Self {
        // Counted, summed up to where each node's edges end, and filled from there downwards.
        let mut starts = vec![0; nodes as usize + 1];
        for (from, _) in &edges.0 {
            starts[*from as usize] += 1;
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut targets = vec![Target(0); edges.0.len()];
        for (from, target) in &edges.0 {
            let start = &mut starts[*from as usize];
            *start -= 1;
            targets[*start as usize] = *target;
        }
        Self { starts, targets }
    }

    pub(super) fn node_count(&self) -> u32 {
        id(self.starts.len() - 1)
    }

    fn targets(&self, node: u32) -> &[Target] {
        let from = self.starts[node as usize] as usize;
        &self.targets[from..self.starts[node as usize + 1] as usize]
    }

    pub(super) fn edges(&self, node: u32) -> impl Iterator<Item = (u32, Because)> {
        let targets = self.targets(node).iter();
        targets.map(|target| (target.node(), target.because()))
    }

    /// The graph of some nodes, which are then numbered as they stand, and the edges between them.
    pub(super) fn induced(&self, nodes: &[u32]) -> Self {
        let mut numbers = vec![None; self.node_count() as usize];
        for (number, node) in (0..).zip(nodes) {
            numbers[*node as usize] = Some(number);
        }
        let mut edges = Edges::default();
        for (number, node) in (0..).zip(nodes) {
            for (to, because) in self.edges(*node) {
                if let Some(to) = numbers[to as usize] {
                    edges.add(number, to, because);
                }
            }
        }
        Self::new(id(nodes.len()), &edges)
    }

    /// The sets of nodes that can all reach each other, by edges of these reasons; but for those of
    /// one node. (Tarjan's algorithm, without recursion.)
    pub(super) fn components(&self, reasons: Reasons) -> Vec<Vec<u32>> {
        let mut search = Search {
            graph: self,
            reasons,
            order: vec![0; self.node_count() as usize],
            entered: 0,
            path: Vec::new(),
            open: Vec::new(),
            components: Vec::new(),
        };
        for node in 0..self.node_count() {
            if search.order[node as usize] == 0 {
                search.explore(node);
            }
        }
        search.components
    }
}

/// A node on the path of the search.
struct Step {
    node: u32,
    /// The next of its edges.
    edge: u32,
    /// The earliest open node that is known to be reachable from it.
    lowest: u32,
}

/// The order of a node whose component is complete.
const DONE: u32 = u32::MAX;

struct Search<'g> {
    graph: &'g Graph,
    reasons: Reasons,
    /// By node: when it was entered, from 1; 0 before, [`DONE`] after.
    order: Vec<u32>,
    entered: u32,
    path: Vec<Step>,
    /// Entered, and not yet in a component.
    open: Vec<u32>,
    components: Vec<Vec<u32>>,
}

impl Search<'_> {
    fn enter(&mut self, node: u32) {
        self.entered += 1;
        self.order[node as usize] = self.entered;
        self.open.push(node);
        self.path.push(Step {
            node,
            edge: self.graph.starts[node as usize],
            lowest: self.entered,
        });
    }

    fn explore(&mut self, root: u32) {
        let graph = self.graph;
        self.enter(root);
        while let Some(step) = self.path.last_mut() {
            let end = graph.starts[step.node as usize + 1];
            let mut next = None;
            while step.edge < end {
                let target = graph.targets[step.edge as usize];
                step.edge += 1;
                if !self.reasons.has(target.because()) {
                    continue;
                }
                match self.order[target.node() as usize] {
                    0 => {
                        next = Some(target.node());
                        break;
                    }
                    DONE => {}
                    order => step.lowest = step.lowest.min(order),
                }
            }
            match next {
                Some(node) => self.enter(node),
                None => self.leave(),
            }
        }
    }

    /// The last node of the path has no more edges.
    fn leave(&mut self) {
        let Some(Step { node, lowest, .. }) = self.path.pop() else {
            return;
        };
        if let Some(before) = self.path.last_mut() {
            before.lowest = before.lowest.min(lowest);
        }
        if lowest != self.order[node as usize] {
            return;
        }
        if self.open.last() == Some(&node) {
            // Nearly always, and nothing to allocate for.
            self.open.pop();
            self.order[node as usize] = DONE;
            return;
        }
        let begin = self.open.iter().rposition(|open| *open == node);
        let component = self.open.split_off(begin.unwrap_or(0));
        for member in &component {
            self.order[*member as usize] = DONE;
        }
        self.components.push(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_the_sets_that_reach_each_other() {
        let mut edges = Edges::default();
        let arrows = [
            (0, 1),
            (1, 2),
            (2, 0),
            (2, 3),
            (3, 4),
            (4, 5),
            (5, 3),
            (6, 0),
        ];
        for (from, to) in arrows {
            edges.add(from, to, Because::Read);
        }
        edges.add(3, 1, Because::RealTime);
        let graph = Graph::new(7, &edges);
        let sorted = |reasons| {
            let mut found = graph.components(reasons);
            for component in &mut found {
                component.sort_unstable();
            }
            found.sort();
            found
        };
        assert_eq!(
            sorted(Reasons::of(&[Because::Read])),
            [vec![0, 1, 2], vec![3, 4, 5]]
        );
        assert_eq!(sorted(Reasons::ALL), [vec![0, 1, 2, 3, 4, 5]]);
        assert!(sorted(Reasons::of(&[Because::Missed])).is_empty());
    }
}
