//! In which order each value's dimensions lie in memory, where that is free to choose.
//!
//! Kernels write what they compute in an order of their own (pictures channels last, the results of
//! linear layers row by row, those of an attention as the next linear layer reads them), and what
//! only moves values keeps the order it finds, whatever the dimensions are called: a picture that was
//! permuted to (N, H, W, C) still has its channels innermost after padding or concatenation. So
//! reshapes and permutations in between stay views.

use crate::graph::{Graph, Node, Op, slice_bounds};
use crate::tensor::{MAX_RANK, Shape, View};

/// Dimensions from the outermost to the innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    dims: [u8; MAX_RANK],
    rank: usize,
}

impl Order {
    fn new(dims: impl Iterator<Item = usize>) -> Self {
        let mut order = Self { dims: [0; MAX_RANK], rank: 0 };
        for dim in dims {
            order.dims[order.rank] = dim as u8;
            order.rank += 1;
        }
        order
    }

    /// As numpy's C-contiguous arrays.
    pub fn logical(rank: usize) -> Self {
        Self::new(0..rank)
    }

    /// Channels last for pictures.
    fn physical(rank: usize) -> Self {
        if rank == 4 { Self::new([0, 2, 3, 1].into_iter()) } else { Self::logical(rank) }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.dims[..self.rank].iter().map(|&d| d.into())
    }

    /// The same with `dim` innermost.
    pub fn with_last(&self, dim: usize) -> Self {
        Self::new(self.iter().filter(|&d| d != dim).chain([dim]))
    }

    /// A dense value of this shape in this order.
    pub fn layout(&self, shape: Shape) -> View {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for d in self.iter().rev() {
            strides[d] = step;
            step *= shape[d];
        }
        View { shape, strides, offset: 0 }
    }

    /// The order of a value of shape `from` in this order, once its shape is `to`: dimensions that
    /// stay, or are cut or joined, lie where they lay.
    fn regrouped(&self, from: Shape, to: Shape) -> Self {
        if from.numel() == 0 {
            return Self::logical(to.rank());
        }
        let mut depth = [0; MAX_RANK];
        self.iter().enumerate().for_each(|(at, d)| depth[d] = at + 1);
        // Runs of dimensions of as many elements on both sides: how deep each lies, and its new ones.
        let mut groups: Vec<(usize, std::ops::Range<usize>)> = Vec::with_capacity(to.rank());
        let (mut old, mut new) = (0, 0);
        while new < to.rank() {
            let first = new;
            let (mut left, mut right) = (1, to[new]);
            new += 1;
            let mut deepest = 0;
            let mut take = |left: &mut usize, old: &mut usize| {
                *left *= from[*old];
                if from[*old] > 1 {
                    deepest = deepest.max(depth[*old]);
                }
                *old += 1;
            };
            while old < from.rank() && from[old] == 1 && right != 1 {
                take(&mut left, &mut old);
            }
            if old < from.rank() && (right != 1 || from[old] == 1) {
                take(&mut left, &mut old);
            }
            while left != right {
                if left < right {
                    take(&mut left, &mut old);
                } else {
                    right *= to[new];
                    new += 1;
                }
            }
            groups.push((deepest, first..new));
        }
        groups.sort_by_key(|(deepest, _)| *deepest);
        Self::new(groups.into_iter().flat_map(|(_, dims)| dims))
    }
}

/// How every node's value lies, if nothing else decides: in the node's order, spread where that
/// costs no copy.
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
            // A copy whose memory is looked at in two ways.
            Op::Reshape { .. } | Op::Flatten { .. } | Op::Unflatten { .. } => true,
            Op::LayerNorm { shape, .. } => shape.len() > 1,
            // An output may be written where it is returned.
            _ => graph.outputs.iter().any(|id| id.0 == index),
        };
        let dense = order.layout(shape);
        let spread = dense.spread();
        let fits = !is_dense && takes_rows(graph, shapes, &readers, index, &spread);
        if fits { spread } else { dense }
    };
    (0..graph.nodes.len()).map(layout).collect()
}

/// Whether all that reads a node's value, lying like this, reads it row by row. What reshapes it
/// must find a view.
fn takes_rows(graph: &Graph, shapes: &[Shape], readers: &[Vec<usize>], index: usize, view: &View) -> bool {
    readers[index].iter().all(|&reader| {
        let through = |view: &View| takes_rows(graph, shapes, readers, reader, view);
        match &graph.nodes[reader].op {
            Op::Identity => through(view),
            Op::Permute { dims } => through(&view.permute(dims)),
            Op::Slice { dim, start, stop, step, .. } => {
                let (start, _) = slice_bounds(*start, *stop, view.shape[*dim]);
                through(&view.slice(*dim, start, shapes[reader][*dim], *step))
            }
            Op::Reshape { .. } | Op::Flatten { .. } | Op::Unflatten { .. } => {
                view.reshape(shapes[reader]).is_some_and(|view| through(&view))
            }
            Op::LayerNorm { shape, .. } => shape.len() == 1,
            _ => true,
        }
    })
}

/// The order of every node's value.
pub(super) fn orders(graph: &Graph, shapes: &[Shape]) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let order = of_node(graph, node, shapes, &orders, index);
        debug_assert_eq!(order.rank, shapes[index].rank(), "{}", node.name);
        orders.push(order);
    }
    orders
}

fn of_node(graph: &Graph, node: &Node, shapes: &[Shape], orders: &[Order], index: usize) -> Order {
    let shape = shapes[index];
    let rank = shape.rank();
    let input = |i: usize| (orders[node.inputs[i].0], shapes[node.inputs[i].0]);
    // Of several operands the first that has the result's rank and is no constant, which lies as it
    // was given and is small.
    let leading = || {
        let computed = |id: &&crate::graph::NodeId| !matches!(graph.nodes[id.0].op, Op::Constant);
        let fits = |id: &&crate::graph::NodeId| shapes[id.0].rank() == rank;
        let chosen = node.inputs.iter().filter(fits).find(computed);
        let full = node.inputs.iter().filter(fits).find(|id| computed(id) && shapes[id.0] == shape);
        full.or(chosen).map_or(Order::logical(rank), |id| orders[id.0])
    };
    match &node.op {
        Op::Input
        | Op::Conv2d(_)
        | Op::MaxPool2d(_)
        | Op::AvgPool2d { .. }
        | Op::AdaptiveAvgPool2d { .. }
        | Op::AdaptiveMaxPool2d { .. }
        | Op::LocalResponseNorm { .. } => Order::physical(rank),
        // A token's features of all heads side by side.
        Op::Attention { .. } if rank > 2 => Order::new((0..rank - 3).chain([rank - 2, rank - 3, rank - 1])),
        Op::Constant | Op::Linear | Op::MatMul | Op::Attention { .. } => Order::logical(rank),
        Op::LayerNorm { shape: normalized, .. } => {
            let leads = rank - normalized.len();
            Order::new(input(0).0.iter().filter(|&d| d < leads).chain(leads..rank))
        }
        Op::Normalize { dim, .. } => input(0).0.with_last(*dim),
        Op::BatchNorm { .. }
        | Op::Activation(_)
        | Op::PRelu
        | Op::Softmax { .. }
        | Op::BinaryScalar { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Roll { .. }
        | Op::Mean { keepdim: true, .. }
        | Op::Identity => input(0).0,
        Op::Binary(_) | Op::Concat { .. } => leading(),
        Op::ExpandAs => input(1).0,
        Op::Expand { .. } => {
            let added = rank - input(0).1.rank();
            Order::new((0..added).chain(input(0).0.iter().map(|d| d + added)))
        }
        Op::Mean { dims, keepdim: false } => {
            let place = |d: usize| d - dims.iter().filter(|&&gone| gone < d).count();
            Order::new(input(0).0.iter().filter(|d| !dims.contains(d)).map(place))
        }
        Op::Permute { dims } => {
            let place = |d: usize| dims.iter().position(|&old| old == d).expect("a permutation");
            Order::new(input(0).0.iter().map(place))
        }
        Op::Reshape { .. } | Op::Flatten { .. } | Op::Unflatten { .. } => {
            let (order, from) = input(0);
            order.regrouped(from, shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::{GraphBuilder, NodeId, infer_shapes};
    use crate::tensor::Param;

    fn regrouped(order: &[usize], from: &[usize], to: &[usize]) -> Vec<usize> {
        let order = Order::new(order.iter().copied());
        order.regrouped(Shape::new(from), Shape::new(to)).iter().collect()
    }

    #[test]
    fn dimensions_stay_where_they_lie() {
        // Channels cut into groups, shuffled and joined again stay innermost.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 12, 5, 7], &[2, 3, 4, 5, 7]), [0, 3, 4, 1, 2]);
        assert_eq!(regrouped(&[0, 3, 4, 2, 1], &[2, 4, 3, 5, 7], &[2, 12, 5, 7]), [0, 2, 3, 1]);
        // Windows that become a picture again.
        assert_eq!(regrouped(&[0, 1, 3, 2, 4, 5], &[2, 3, 7, 4, 7, 9], &[2, 21, 28, 9]), [0, 1, 2, 3]);
        // A picture whose pixels become tokens.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[2, 9, 35]), [0, 2, 1]);
        // What is joined across the order is in logical order.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[2, 315]), [0, 1]);
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[18, 5, 7]), [1, 2, 0]);
    }

    /// Whether the rows of a linear layer's result have gaps, if these are its readers.
    fn has_gaps(readers: impl Fn(&mut GraphBuilder, NodeId)) -> bool {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[2, 5, 8]).unwrap();
        let weight = Param::new(Shape::new(&[1024, 8]), &vec![0.0; 8192]).unwrap();
        let y = builder.add("wide", Op::Linear, &[x], vec![Some(Arc::new(weight)), None]).unwrap();
        readers(&mut builder, y);
        let graph = builder.traced().clone();
        let shapes = infer_shapes(&graph, &[Shape::new(&[2, 5, 8])]).unwrap();
        !layouts(&graph, &shapes, &orders(&graph, &shapes))[y.0].is_dense()
    }

    #[test]
    fn gaps_cost_no_copy() {
        let mean = Op::Mean { dims: vec![1], keepdim: false };
        let heads = Op::Unflatten { dim: 2, sizes: vec![16, 64] };
        let flat = Op::Flatten { start: 1, end: 2 };
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

    #[test]
    fn dimensions_of_size_one() {
        for (from, to) in [
            (&[2, 1, 3][..], &[2, 3][..]),
            (&[2, 3], &[2, 3, 1, 1]),
            (&[2, 3], &[1, 2, 1, 3]),
            (&[1, 1, 1], &[1]),
            (&[1], &[1, 1]),
            (&[], &[1, 1]),
            (&[1, 1], &[]),
            (&[2, 3, 1, 1], &[6]),
            (&[1, 6, 1], &[2, 1, 3]),
        ] {
            let order: Vec<_> = (0..from.len()).collect();
            let found = regrouped(&order, from, to);
            // In some order of those of size one, which does not matter.
            let layout = Order::new(found.iter().copied()).layout(Shape::new(to));
            assert!(layout.is_contiguous(), "{from:?} to {to:?}: {found:?}");
        }
    }
}
