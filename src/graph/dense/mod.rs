//! Convolutionization: turns a classifier into a dense predictor.
//!
//! The classifier is given as a graph and the size of the picture that it classifies, its *window*.
//! The dense graph computes, for a picture of any size at least as large, the classifier's output
//! for a window at every multiple of a *stride* (Sermanet et al., arXiv:1312.6229; Long, Shelhamer
//! and Darrell, arXiv:1411.4038). It uses the same parameters:
//!
//! * a linear layer becomes a convolution whose kernel covers the layer's input map, or one pixel;
//! * an operation on its whole map (global and adaptive pools, means) becomes a sliding window of
//!   that size;
//! * a stride beyond the requested one is removed, and all later layers are dilated by it ("filter
//!   rarefaction", a trous): the map then holds all shifted maps, interleaved.
//!
//! Padding belongs to the map: cells of a padded network see the picture's pixels where the
//! classifier, given the window alone, sees zeros.

mod fold;
mod rewrite;
mod rewriter;
mod slide;
mod squeeze;
mod value;

pub use rewriter::Squeeze;
pub use value::Reach;

use super::Graph;
use crate::error::{Error, Result};
use crate::tensor::Shape;

use rewriter::Rewriter;

/// A dense predictor: one input (N, C, H, W), one output (N, classes, rows, columns).
#[derive(Clone, Debug)]
pub struct Dense {
    /// As traced, without passes.
    pub graph: Graph,
    /// The geometry of its cells.
    pub geometry: Geometry,
}

/// The geometry of a map's cells, vertically and horizontally, in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The size of the classifier's window.
    pub window: [usize; 2],
    /// The distance between the windows of neighbouring cells.
    pub stride: [usize; 2],
    /// The stride if no strides are removed.
    pub native_stride: [usize; 2],
    /// The receptive field of the first cell, including zeros outside the picture.
    pub receptive_field: [Reach; 2],
}

/// The dense predictor of a classifier for windows of the size of `input` (N, C, H, W).
///
/// `stride` is the distance of windows in pixels; `None` is the network's own.
///
/// # Errors
/// [`Error::Unsupported`] if a layer has no dense form, with the reason; [`Error::Input`] if the
/// graph is not a classifier of pictures; errors of shape inference.
pub fn convolutionize(
    graph: &Graph,
    input: Shape,
    stride: Option<[usize; 2]>,
    squeeze: Squeeze,
) -> Result<Dense> {
    let wrong = |what: &str, expected: &str, found: String| Error::Input {
        what: what.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    let [_, _, height, width] = *input else {
        return Err(wrong("convolutionize", "a classifier of pictures (N, C, H, W)", format!("{input}")));
    };
    let ([_], [_]) = (&graph.inputs[..], &graph.outputs[..]) else {
        let found = format!("{} and {}", graph.inputs.len(), graph.outputs.len());
        return Err(wrong("convolutionize", "a classifier with one input and one output", found));
    };
    if stride.is_some_and(|stride| stride.contains(&0)) {
        return Err(Error::Attribute {
            node: "convolutionize".into(),
            attribute: "stride",
            expected: "positive".into(),
            found: format!("{stride:?}"),
        });
    }
    let graph = super::passes::dead_code(graph);
    let (_, native) = Rewriter::new(&graph, input, None, squeeze)?.run()?;
    let native_stride = native.native;
    let stride = stride.unwrap_or(native_stride);
    let (dense, cell) = Rewriter::new(&graph, input, Some(stride), squeeze)?.run()?;
    let geometry = Geometry { window: [height, width], stride, native_stride, receptive_field: cell.reach };
    debug_assert_eq!(dense.validate(), Ok(()));
    Ok(Dense { graph: dense, geometry })
}
