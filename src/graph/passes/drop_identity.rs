use crate::graph::ops;
use crate::graph::{Graph, Node, Op};
use crate::tensor::Activation;

use super::rewrite::Rewrite;

/// Makes the readers of an identity read its input instead: dropout, `Identity`, and layout
/// operations whose attributes leave the value unchanged.
#[must_use]
pub fn drop_identity(graph: &Graph) -> Graph {
    let mut new = Rewrite::new(graph);
    for node in &graph.nodes {
        if changes_nothing(node) { new.replace_by(node.inputs[0]) } else { new.keep(node.clone()) }
    }
    new.finish()
}

fn changes_nothing(node: &Node) -> bool {
    match &node.op {
        // Flattening a scalar at 0 adds a dimension.
        Op::Flatten(ops::Flatten { start, end }) => start == end && *start > 0,
        Op::Permute(ops::Permute { dims }) => dims.iter().enumerate().all(|(i, &d)| i == d),
        Op::Roll(ops::Roll { shifts }) => shifts.iter().all(|&(_, shift)| shift == 0),
        Op::Concat(_) => node.inputs.len() == 1,
        Op::Identity(_)
        | Op::Activation(Activation::Identity)
        | Op::Slice(ops::Slice { start: None | Some(0), stop: None, step: 1, .. }) => true,
        Op::Pad(ops::Pad { pads, .. }) | Op::PadEdges(ops::PadEdges { pads, .. }) => {
            pads.iter().all(|pad| *pad == [0, 0])
        }
        _ => false,
    }
}
