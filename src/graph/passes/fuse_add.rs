use crate::graph::node::SumShape;
use crate::graph::ops::{self, Binary};
use crate::graph::{Graph, Node, NodeId, Op};
use crate::tensor::BinaryOp;

use super::rewrite::{Rewrite, Sum, ranks};

/// Turns x in `layer(..) + x` into the residual of the layer (a convolution or a linear layer), so
/// that a skip connection needs no separate pass over memory.
///
/// The layer's value must have no other use and nothing fused after it yet; it may be permuted, in
/// which case the permutation moves after the sum and its inverse is applied to x. If both operands
/// are such layers, the later one is chosen, since the other's value then exists already. The fused
/// layer takes the position of the sum, after both operands, so no cycle can arise.
///
/// Sizes are not known here, so the other operand may turn out to be broadcast (a 1x1 map added to
/// a larger one): for such inputs [`super::split_broadcast_residuals`] undoes the fusion.
#[must_use]
pub fn fuse_add(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let ranks = ranks(graph);
    // For each sum: the layer it is fused into, and the other operand.
    let choose = |node: &Node| -> Option<(Sum, NodeId)> {
        let (Op::Binary(Binary { op: BinaryOp::Add, .. }), [a, b]) = (&node.op, node.inputs.as_slice())
        else {
            return None;
        };
        let (later, earlier) = if a > b { (*a, *b) } else { (*b, *a) };
        [(later, earlier), (earlier, later)].into_iter().find_map(|(value, other)| {
            let sum = Sum::behind(graph, &uses, value)?;
            // A vector or scalar is always broadcast, and the inverse permutation needs the same
            // number of dimensions.
            let fits = match (sum.dims(graph), ranks[value.0], ranks[other.0]) {
                (Some(dims), _, rank) => rank == Some(dims.len()),
                (None, Some(value), Some(other)) => value == other,
                (None, _, _) => true,
            };
            fits.then_some((sum, other))
        })
    };
    let chosen: Vec<_> = graph.nodes.iter().map(choose).collect();
    let mut moved = vec![false; graph.nodes.len()];
    for (sum, _) in chosen.iter().flatten() {
        moved[sum.layer.0] = true;
        sum.permute.into_iter().for_each(|id| moved[id.0] = true);
    }

    let mut new = Rewrite::new(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        if moved[index] {
            new.leave_out();
            continue;
        }
        let Some((sum, other)) = chosen[index] else {
            new.keep(node.clone());
            continue;
        };
        let mut layer = graph.nodes[sum.layer.0].clone();
        layer.fused.residual = true;
        layer.fused.sum_shape = match node.op {
            Op::Binary(Binary { in_place: false, .. }) => SumShape::Broadcast,
            _ if node.inputs[0] == other => SumShape::Residual,
            _ => SumShape::Layer,
        };
        layer.absorb(node);
        let (Some(permute), Some(dims)) = (sum.permute, sum.dims(graph)) else {
            layer.inputs.push(other);
            new.keep(layer);
            continue;
        };
        let mut permute = graph.nodes[permute.0].clone();
        let inverse = (0..dims.len()).filter_map(|d| dims.iter().position(|&old| old == d)).collect();
        let name = format!("{} of {}", permute.name, node.name);
        let residual =
            new.append(Node::new(name, Op::Permute(ops::Permute { dims: inverse }), vec![other], Vec::new()));
        layer.inputs = layer.inputs.iter().map(|&id| new.now(id)).chain([residual]).collect();
        permute.inputs = vec![new.append_raw(layer)];
        let value = new.append_raw(permute);
        new.now.push(value);
    }
    new.finish()
}
