//! Finds operations that reduce a whole map and then modify the map by the result: squeeze and
//! excitation.

use std::collections::BTreeSet;

use super::value::Value;
use crate::graph::{Graph, NodeId, Op};
use crate::tensor::Shape;

/// The nodes that reduce a map to a point, which a later node combines with a map, and the nodes in
/// between.
pub struct Squeezed {
    /// The reducing nodes, in order.
    pub pools: BTreeSet<NodeId>,
    /// These and the nodes in between.
    pub nodes: BTreeSet<NodeId>,
}

/// Finds them in a graph with these shapes, from the classifier's sizes alone.
pub fn find(graph: &Graph, shapes: &[Shape]) -> Squeezed {
    let area = |id: NodeId| match *shapes[id.0] {
        [_, _, height, width] => Some(height * width),
        _ => None,
    };
    let mut squeezed = Squeezed { pools: BTreeSet::new(), nodes: BTreeSet::new() };
    let mut pending = Vec::new();
    for node in &graph.nodes {
        if let (Op::Binary(_), &[a, b]) = (&node.op, &node.inputs[..]) {
            match (area(a), area(b)) {
                (Some(1), Some(2..)) => pending.push(a),
                (Some(2..), Some(1)) => pending.push(b),
                _ => {}
            }
        }
    }
    while let Some(id) = pending.pop() {
        let node = &graph.nodes[id.0];
        if matches!(node.op, Op::Input(_) | Op::Constant(_)) || !squeezed.nodes.insert(id) {
            continue;
        }
        let reduces = node.inputs.iter().any(|&input| area(input).is_some_and(|area| area > 1));
        if reduces {
            squeezed.pools.insert(id);
        } else {
            pending.extend(&node.inputs);
        }
    }
    squeezed
}

impl Value {
    /// Whether the value is the same for all windows.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Constant | Self::Global)
    }
}
