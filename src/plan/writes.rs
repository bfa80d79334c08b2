//! Which layouts a node's kernel can write.

use super::row_views::{are_rows, with_last};
use crate::graph::Op;
use crate::graph::ops;
use crate::tensor::View;

/// Whether a node's kernel can write its result to a view with this layout.
pub(super) fn writes_to(op: &Op, view: &View) -> bool {
    match op {
        Op::Concat(_)
        | Op::Softmax(_)
        | Op::Mean(_)
        | Op::Reduce(_)
        | Op::GroupNorm(_)
        | Op::Pad(_)
        | Op::PadEdges(_)
        | Op::Roll(_) => true,
        Op::Conv2d(_)
        | Op::ConvTranspose2d(_)
        | Op::MaxPool2d(_)
        | Op::AvgPool2d(_)
        | Op::AdaptiveAvgPool2d(_)
        | Op::AdaptiveMaxPool2d(_)
        | Op::Interpolate(_)
        | Op::LocalResponseNorm(_) => view.feature_map().channels_last(),
        Op::Linear(_) => are_rows(view, 1),
        Op::LayerNorm(ops::LayerNorm { shape, .. }) => are_rows(view, shape.len()),
        Op::Normalize(ops::Normalize { dim, .. }) => are_rows(&with_last(view, *dim), 1),
        Op::Attention(_) | Op::MatMul(_) => {
            view.shape.last().is_none_or(|&size| size <= 1) || view.strides().last() == Some(&1)
        }
        op => is_pointwise(op),
    }
}

/// Whether a node is elementwise, so that any layout is possible.
pub(super) fn is_pointwise(op: &Op) -> bool {
    matches!(
        op,
        Op::Activation(_)
            | Op::PRelu(_)
            | Op::BatchNorm(_)
            | Op::Binary(_)
            | Op::BinaryScalar(_)
            | Op::Where(_)
    )
}
