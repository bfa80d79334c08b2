use crate::graph::{Binary, Graph, Node, NodeId, Op};
use crate::tensor::Activation;

use super::{Rewrite, ranks};

/// Make `conv(..) + x` the convolution's residual, so that a skip connection is no pass over
/// memory.
///
/// The convolution's value must have no other use and nothing behind it yet. If both operands are
/// such convolutions, the later one is taken: the other's value is then there. The fused
/// convolution stands where the sum stood, behind both operands, so no cycle can arise.
///
/// Sizes are not known here, so that the other operand may turn out to be broadcast (a 1x1 map
/// added to a larger one): for such inputs [`super::split_broadcast_residuals`] undoes the fusion.
#[must_use]
pub fn fuse_add(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let ranks = ranks(graph);
    let is_free = |id: NodeId| {
        let node = &graph.nodes[id.0];
        matches!(node.op, Op::Conv2d(_))
            && uses[id.0] == 1
            && !node.fused.residual
            && node.fused.activation == Activation::Identity
    };
    // For each sum: the convolution that takes it over, and the other operand.
    let choose = |node: &Node| -> Option<(NodeId, NodeId)> {
        let (Op::Binary(Binary::Add), [a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
        let (later, earlier) = if a > b { (*a, *b) } else { (*b, *a) };
        let conv = [later, earlier].into_iter().find(|&id| is_free(id))?;
        let other = if conv == later { earlier } else { later };
        // A vector or scalar is always broadcast.
        ranks[other.0].is_none_or(|rank| rank == 4).then_some((conv, other))
    };
    let chosen: Vec<_> = graph.nodes.iter().map(choose).collect();
    let mut moved = vec![false; graph.nodes.len()];
    chosen.iter().flatten().for_each(|(conv, _)| moved[conv.0] = true);

    let mut new = Rewrite::new(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        if moved[index] {
            new.leave_out();
        } else if let Some((conv, other)) = chosen[index] {
            let mut conv = graph.nodes[conv.0].clone();
            conv.inputs.push(other);
            conv.fused.residual = true;
            conv.absorb(node);
            new.keep(conv);
        } else {
            new.keep(node.clone());
        }
    }
    new.finish()
}
