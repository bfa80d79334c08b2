use std::sync::Arc;

use crate::graph::ops::BatchNorm;
use crate::graph::ops::operation::{Channels, Fusible};
use crate::graph::{Affine, Graph, Node, Op};
use crate::tensor::Activation;

use super::rewrite::{Rewrite, ranks};

/// Folds a batch norm that is the only reader of a convolution or linear layer into its scale and
/// shift: `scale = weight / sqrt(var + eps)`, `shift = bias - mean * scale + scale * b`, where `b`
/// is the layer's own bias, whose parameter is dropped. Computed in f64 and rounded once.
///
/// A batch norm's channels are dim 1 and a linear layer's features the last dim, so a linear layer
/// is only eligible if its value is known to be 2-d. If the layer has other readers, or the batch
/// norm follows another operation (`DenseNet`), it stays a node.
#[must_use]
pub fn fold_batch_norm(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let ranks = ranks(graph);
    let mut new = Rewrite::new(graph);
    for node in &graph.nodes {
        if let Op::BatchNorm(BatchNorm { eps }) = node.op {
            let x = node.inputs[0];
            let sum = &mut new.nodes[new.now[x.0].0];
            let takes = sum.op.rules().fusible() == Fusible::Epilogue
                && match sum.channels() {
                    Channels::Second(_) => true,
                    Channels::Last(_) => ranks[x.0] == Some(2),
                };
            if takes && uses[x.0] == 1 && !sum.fused.residual && sum.fused.activation == Activation::Identity
            {
                sum.fused.affine = Some(fold(sum, node, eps));
                sum.params[1] = None;
                sum.absorb(node);
                new.replace_by(x);
                continue;
            }
        }
        new.keep(node.clone());
    }
    new.finish()
}

/// Scale and shift of `sum` (including its own bias and affine) followed by `norm`.
fn fold(sum: &Node, norm: &Node, eps: f64) -> Affine {
    let value =
        |param: Option<&[f32]>, c: usize, absent: f64| param.map_or(absent, |data| f64::from(data[c]));
    let of = |node: &'_ Node, index: usize| node.param(index).cloned();
    let params: [_; 4] = std::array::from_fn(|index| of(norm, index));
    let params = params.each_ref().map(|param| param.as_ref().map(|param| param.data()));
    let [weight, bias, mean, var] = params.each_ref().map(Option::as_deref);
    let own_bias = of(sum, 1);
    let own_bias = own_bias.as_ref().map(|param| param.data());
    let own_bias = own_bias.as_deref();
    let own = sum.fused.affine.as_ref();
    let own_scale = own.and_then(|affine| affine.scale.as_deref());
    let own_shift = own.and_then(|affine| affine.shift.as_deref());

    let channels = mean.map_or(0, <[f32]>::len);
    let (scale, shift): (Vec<f32>, Vec<f32>) = (0..channels)
        .map(|c| {
            let norm_scale = value(weight, c, 1.0) / (value(var, c, 1.0) + eps).sqrt();
            let inner_scale = value(own_scale, c, 1.0);
            let inner_shift = inner_scale * value(own_bias, c, 0.0) + value(own_shift, c, 0.0);
            let shift = value(bias, c, 0.0) + norm_scale * (inner_shift - value(mean, c, 0.0));
            ((norm_scale * inner_scale) as f32, shift as f32)
        })
        .unzip();
    Affine { scale: Some(Arc::from(scale)), shift: Some(Arc::from(shift)) }
}
