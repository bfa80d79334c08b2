//! What a resizing is.

pub use crate::tensor::ResizeMode;

use crate::tensor::FeatureMap;

/// A resizing of one map into another with the same pictures and channels, whose channels are dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResizeDesc {
    /// What is read; not empty unless the output is.
    pub input: FeatureMap,
    /// What is written.
    pub output: FeatureMap,
    /// How.
    pub mode: ResizeMode,
    /// Vertical and horizontal scale factor that the user gave, by which positions are computed then;
    /// torch's `scale_factor` without `recompute_scale_factor`. Without one it is the sizes' ratio.
    /// It does not count with `align_corners`.
    pub scale_factors: [Option<f64>; 2],
}
