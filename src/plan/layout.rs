//! Chooses the order of each value's dimensions in memory, where it is free.
//!
//! Kernels have a preferred output order (pictures channels-last, the results of linear layers row
//! by row, those of attention as the next linear layer reads them). Operations that only move
//! values keep their input's order in memory, regardless of the logical order of dimensions: a
//! picture permuted to (N, H, W, C) still has its channels innermost after padding or
//! concatenation. So reshapes and permutations in between stay views.

use crate::graph::ops::{self, Operand};
use crate::graph::{Graph, NodeId, Op};
use crate::tensor::{Order, Shape, View};

/// The default layout of every node's value: in the node's order, with gaps where they cost no
/// copy.
pub(super) fn layouts(graph: &Graph, shapes: &[Shape], orders: &[Order]) -> Vec<View> {
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            readers[input.0].push(index);
        }
    }
    let layout = |index: usize| {
        let (order, shape) = (orders[index], shapes[index]);
        let is_dense = match &graph.nodes[index].op {
            // A copy whose memory is viewed in two ways.
            Op::Reshape(_) | Op::Flatten(_) | Op::Unflatten(_) => true,
            Op::LayerNorm(ops::LayerNorm { shape, .. }) => shape.len() > 1,
            // An output may be written directly to the returned array.
            _ => graph.outputs.iter().any(|id| id.0 == index),
        };
        let dense = order.layout(shape);
        let spread = dense.spread();
        let fits = !is_dense && takes_rows(graph, shapes, &readers, index, &spread);
        if fits { spread } else { dense }
    };
    (0..graph.nodes.len()).map(layout).collect()
}

/// Whether all readers of a node's value with this layout read it row by row. For reshapes it must
/// stay a view.
fn takes_rows(graph: &Graph, shapes: &[Shape], readers: &[Vec<usize>], index: usize, view: &View) -> bool {
    readers[index].iter().all(|&reader| {
        let through = |view: &View| takes_rows(graph, shapes, readers, reader, view);
        match &graph.nodes[reader].op {
            Op::Identity(_) => through(view),
            Op::Permute(ops::Permute { dims }) => through(&view.permute(dims)),
            Op::Slice(slice) => {
                let dim = slice.dim;
                let (start, _) = slice.bounds(view.shape[dim]);
                through(&view.slice(dim, start, shapes[reader][dim], slice.step))
            }
            Op::Reshape(_) | Op::Flatten(_) | Op::Unflatten(_) => {
                view.reshape(shapes[reader]).is_some_and(|view| through(&view))
            }
            Op::LayerNorm(ops::LayerNorm { shape, .. }) => shape.len() == 1,
            _ => true,
        }
    })
}

/// The order of every node's value.
pub(super) fn orders(graph: &Graph, shapes: &[Shape]) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let operand = |id: &NodeId| Operand {
            order: orders[id.0],
            shape: shapes[id.0],
            is_constant: matches!(graph.nodes[id.0].op, Op::Constant(_)),
        };
        let operands: Vec<_> = node.inputs.iter().map(operand).collect();
        let order = node.op.order(&operands, shapes[index]);
        debug_assert_eq!(order.rank(), shapes[index].rank(), "{}", node.name);
        orders.push(order);
    }
    orders
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::{GraphBuilder, infer_shapes};
    use crate::tensor::Param;

    /// Whether the rows of a linear layer's result have gaps, given these readers.
    fn has_gaps(readers: impl Fn(&mut GraphBuilder, NodeId)) -> bool {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[2, 5, 8]).unwrap();
        let weight = Param::new(Shape::new(&[1024, 8]), &vec![0.0; 8192]).unwrap();
        let y =
            builder.add("wide", Op::Linear(ops::Linear), &[x], vec![Some(Arc::new(weight)), None]).unwrap();
        readers(&mut builder, y);
        let graph = builder.traced().clone();
        let shapes = infer_shapes(&graph, &[Shape::new(&[2, 5, 8])]).unwrap();
        !layouts(&graph, &shapes, &orders(&graph, &shapes))[y.0].is_dense()
    }

    #[test]
    fn gaps_cost_no_copy() {
        let mean = Op::Mean(ops::Mean { dims: vec![1], keepdim: false });
        let heads = Op::Unflatten(ops::Unflatten { dim: 2, sizes: vec![16, 64] });
        let flat = Op::Flatten(ops::Flatten { start: 1, end: 2 });
        assert!(has_gaps(|builder, y| {
            let heads = builder.add("heads", heads.clone(), &[y], vec![]).unwrap();
            builder.add("mean", mean.clone(), &[heads], vec![]).unwrap();
            builder.add("other", mean.clone(), &[y], vec![]).unwrap();
        }));
        assert!(!has_gaps(|builder, y| {
            builder.add("mean", mean.clone(), &[y], vec![]).unwrap();
            builder.add("flat", flat.clone(), &[y], vec![]).unwrap();
        }));
        assert!(!has_gaps(|builder, y| builder.output(y).unwrap()));
    }
}
