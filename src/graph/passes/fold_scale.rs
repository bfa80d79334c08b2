use std::sync::Arc;

use crate::graph::ops::Binary;
use crate::graph::ops::operation::Channels;
use crate::graph::{Affine, Graph, Node, Op};
use crate::tensor::BinaryOp;

use super::rewrite::{Rewrite, Sum, ranks};

/// Folds a per-channel factor (a parameter, such as the layer scale of Touvron et al. 2021) of a
/// convolution or linear layer into its scale, even if the layer's dimensions are permuted in
/// between. Computed in f64 and rounded once.
#[must_use]
pub fn fold_scale(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let ranks = ranks(graph);
    let mut new = Rewrite::new(graph);
    for node in &graph.nodes {
        let factor = |a: usize, b: usize| {
            let constant = &graph.nodes[node.inputs[a].0];
            let sum = Sum::behind(graph, &uses, node.inputs[b])?;
            let values = per_channel(graph, constant, sum, ranks[node.inputs[b].0])?;
            Some((node.inputs[b], sum, values))
        };
        let found = match node.op {
            Op::Binary(Binary { op: BinaryOp::Mul, .. }) => factor(0, 1).or_else(|| factor(1, 0)),
            _ => None,
        };
        let Some((value, sum, values)) = found else {
            new.keep(node.clone());
            continue;
        };
        let layer = &mut new.nodes[new.now[sum.layer.0].0];
        layer.fused.affine = Some(scaled(layer.fused.affine.as_ref(), &values));
        layer.absorb(node);
        new.replace_by(value);
    }
    new.finish()
}

/// The values of a constant with one value per channel of a layer, broadcast along all other
/// dimensions of the layer's value; `rank` is that value's rank, if known.
fn per_channel(graph: &Graph, constant: &Node, sum: Sum, rank: Option<usize>) -> Option<Vec<f32>> {
    let (Op::Constant(_), Some(param)) = (&constant.op, constant.param(0)) else { return None };
    let layer = &graph.nodes[sum.layer.0];
    let (is_second, count) = match layer.channels() {
        Channels::Second(count) => (true, count),
        Channels::Last(count) => (false, count),
    };
    // The channels' distance from the last dimension; without a permutation, this does not require
    // a linear layer's rank.
    let from_end = match sum.dims(graph) {
        Some(dims) => {
            let channels = if is_second { 1 } else { dims.len() - 1 };
            dims.len() - 1 - dims.iter().position(|&d| d == channels)?
        }
        None => {
            if is_second {
                2
            } else {
                0
            }
        }
    };
    let shape = param.shape();
    let own = shape.rank().checked_sub(from_end + 1)?;
    let fits = shape[own] == count
        && shape.numel() == shape[own]
        // A factor with more dimensions would add dimensions to the product.
        && (own == 0 || rank.is_some_and(|rank| shape.rank() <= rank));
    fits.then(|| param.data().to_vec())
}

fn scaled(affine: Option<&Affine>, factors: &[f32]) -> Affine {
    let times = |values: &Arc<[f32]>| -> Arc<[f32]> {
        let products = values.iter().zip(factors).map(|(&a, &b)| (f64::from(a) * f64::from(b)) as f32);
        products.collect()
    };
    let scale = affine.and_then(|affine| affine.scale.as_ref()).map_or_else(|| Arc::from(factors), times);
    Affine { scale: Some(scale), shift: affine.and_then(|affine| affine.shift.as_ref()).map(times) }
}
