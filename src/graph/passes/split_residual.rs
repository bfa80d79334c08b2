use std::borrow::Cow;

use crate::error::Result;
use crate::graph::infer::infer_shapes;
use crate::graph::ops::Binary;
use crate::graph::{Fused, Graph, Node, Op};
use crate::tensor::{Activation, BinaryOp, Shape};

use super::rewrite::Rewrite;

/// For inputs of these shapes, splits every layer whose residual does not have the shape of the
/// layer's result (torch broadcasts the two) into layer, sum and activation again. In the returned
/// graph, which is nearly always the graph itself, a residual has its node's shape.
///
/// # Errors
/// As [`infer_shapes`].
pub fn split_broadcast_residuals<'g>(graph: &'g Graph, inputs: &[Shape]) -> Result<Cow<'g, Graph>> {
    let shapes = infer_shapes(graph, inputs)?;
    let mut split = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.fused.residual) {
        let read: Vec<_> = node.inputs.iter().map(|id| shapes[id.0]).collect();
        let sum = without_residual(node).shape(&read[..1])?;
        split[index] = sum != read[1];
    }
    if !split.contains(&true) {
        return Ok(Cow::Borrowed(graph));
    }
    let mut new = Rewrite::new(graph);
    for (node, split) in graph.nodes.iter().zip(split) {
        if !split {
            new.keep(node.clone());
            continue;
        }
        let mut layer = without_residual(node);
        // Names are restored in the reverse order of fusion.
        let mut name = node.name.clone();
        let mut uncover = |fallback: &str| {
            let inner = layer.covers.pop().unwrap_or_else(|| format!("{}.{fallback}", node.name));
            std::mem::replace(&mut name, inner)
        };
        let activation = node.fused.activation;
        let activation = (activation != Activation::Identity).then(|| (uncover("sum"), activation));
        let sum_name = uncover("layer");
        layer.name = name;

        let other = new.now(node.inputs[1]);
        let layer = new.append(layer);
        let mut value = new.append_raw(Node::new(
            sum_name,
            Op::Binary(Binary::new(BinaryOp::Add)),
            vec![layer, other],
            Vec::new(),
        ));
        if let Some((name, activation)) = activation {
            value = new.append_raw(Node::new(name, Op::Activation(activation), vec![value], Vec::new()));
        }
        new.now.push(value);
    }
    Ok(Cow::Owned(new.finish()))
}

/// The layer with only its scale and shift.
fn without_residual(node: &Node) -> Node {
    let fused = Fused { affine: node.fused.affine.clone(), ..Fused::default() };
    Node { inputs: node.inputs[..1].to_vec(), fused, ..node.clone() }
}
