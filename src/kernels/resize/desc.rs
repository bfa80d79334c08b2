//! Descriptors of resizing.

pub use crate::tensor::ResizeMode;

use crate::tensor::FeatureMap;

/// A resizing of one map into another with the same pictures and channels, whose channels are
/// dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizeDesc {
    /// What is read; not empty unless the output is.
    pub input: FeatureMap,
    /// What is written.
    pub output: FeatureMap,
    /// The interpolation.
    pub mode: ResizeMode,
    /// Vertical and horizontal scale factor given by the user, from which positions are then
    /// computed: torch's `scale_factor` without `recompute_scale_factor`. By default, the ratio of
    /// the sizes. It has no effect with `align_corners`.
    pub scale_factors: [Option<f64>; 2],
}
