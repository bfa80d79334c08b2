use crate::graph::ops::{self, Conv2d, ConvPadding};
use crate::graph::{Graph, Node, NodeId, Op};
use crate::tensor::Activation;

use super::rewrite::{Rewrite, ranks};

/// Moves means before linear layers: the mean over the pixels of a 1x1 convolution's result is the
/// convolution of the mean, and the mean of a linear layer's result over dimensions other than its
/// features is the layer of the mean (including bias, scale and shift). One pixel is multiplied
/// instead of all. A mean also moves before batch norms, which may follow such a layer.
///
/// The layer's value must have no other use, and no sum or activation after it.
#[must_use]
pub fn mean_before_linear(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    while let Some(moved) = move_once(&graph) {
        graph = moved;
    }
    graph
}

/// Moves every mean before the layer that it reads; `None` if there is none to move.
fn move_once(graph: &Graph) -> Option<Graph> {
    let uses = graph.uses();
    let ranks = ranks(graph);
    let choose = |node: &Node| -> Option<(NodeId, Mean)> {
        let layer = *node.inputs.first()?;
        let mean = match &graph.nodes[layer.0].op {
            Op::Conv2d(conv) => Mean::behind_conv(conv, &graph.nodes[layer.0], &node.op)?,
            Op::BatchNorm(_) => Mean::behind_batch_norm(&node.op)?,
            Op::Linear(_) => Mean::behind_linear(ranks[layer.0]?, &node.op)?,
            _ => return None,
        };
        let fused = &graph.nodes[layer.0].fused;
        let is_linear = !fused.residual && fused.activation == Activation::Identity;
        (is_linear && uses[layer.0] == 1).then_some((layer, mean))
    };
    let chosen: Vec<_> = graph.nodes.iter().map(choose).collect();
    if chosen.iter().all(Option::is_none) {
        return None;
    }
    let mut moved = vec![false; graph.nodes.len()];
    chosen.iter().flatten().for_each(|(layer, _)| moved[layer.0] = true);

    let mut new = Rewrite::new(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        if moved[index] {
            new.leave_out();
            continue;
        }
        let Some((layer, mean)) = &chosen[index] else {
            new.keep(node.clone());
            continue;
        };
        let mut layer = graph.nodes[layer.0].clone();
        let name = format!("{} before {}", node.name, layer.name);
        let first = new.append(Node::new(name, mean.op.clone(), layer.inputs, Vec::new()));
        layer.inputs = vec![first];
        if mean.flatten {
            let conv = new.append_raw(layer);
            let flatten = Op::Flatten(ops::Flatten { start: 1, end: 3 });
            let value = new.append_raw(Node::new(&node.name, flatten, vec![conv], Vec::new()));
            new.now.push(value);
        } else {
            layer.absorb(node);
            let value = new.append_raw(layer);
            new.now.push(value);
        }
    }
    Some(new.finish())
}

/// A mean before a layer instead of after it.
struct Mean {
    op: Op,
    /// Whether the layer's value still has the picture's dimensions, which the mean did not keep.
    flatten: bool,
}

impl Mean {
    fn behind_conv(conv: &Conv2d, layer: &Node, op: &Op) -> Option<Self> {
        let kernel = layer.param(0)?.shape();
        let pointwise = kernel[2..] == [1, 1]
            && conv.stride == [1, 1]
            && conv.groups == 1
            && matches!(conv.padding, ConvPadding::Explicit([0, 0, 0, 0]) | ConvPadding::SameUpper);
        let pictures = |dims: &[usize]| !dims.is_empty() && dims.iter().all(|&d| d == 2 || d == 3);
        match op {
            Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] }) if pointwise => {
                Some(Self { op: op.clone(), flatten: false })
            }
            Op::Mean(ops::Mean { dims, keepdim: true }) if pointwise && pictures(dims) => {
                Some(Self { op: op.clone(), flatten: false })
            }
            Op::Mean(ops::Mean { dims, keepdim: false }) if pointwise && **dims == [2, 3] => {
                Some(Self { op: Op::Mean(ops::Mean { dims: dims.clone(), keepdim: true }), flatten: true })
            }
            _ => None,
        }
    }

    /// Channels must stay the second dimension.
    fn behind_batch_norm(op: &Op) -> Option<Self> {
        let passes = match op {
            Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] }) => true,
            Op::Mean(ops::Mean { dims, keepdim }) => {
                !dims.is_empty() && !dims.contains(&1) && (*keepdim || !dims.contains(&0))
            }
            _ => false,
        };
        passes.then(|| Self { op: op.clone(), flatten: false })
    }

    fn behind_linear(rank: usize, op: &Op) -> Option<Self> {
        match op {
            Op::Mean(ops::Mean { dims, .. }) if !dims.is_empty() && dims.iter().all(|&d| d + 1 < rank) => {
                Some(Self { op: op.clone(), flatten: false })
            }
            _ => None,
        }
    }
}
