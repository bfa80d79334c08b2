//! What a resizing is.

use crate::tensor::FeatureMap;

/// How an output pixel is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResizeMode {
    /// The pixel at the start of the output pixel's area (torch's `nearest`).
    Nearest,
    /// The pixel at the middle of the output pixel's area (torch's `nearest-exact`).
    NearestExact,
    /// A line between the nearest two, along each axis (torch's `bilinear`).
    Linear {
        /// Whether the middles of the corner pixels meet, and not the corners of the pictures.
        align_corners: bool,
        /// Whether a smaller output averages over as many pixels as it replaces.
        antialias: bool,
    },
    /// Cubic convolution (Keys 1981) of the nearest four, along each axis (torch's `bicubic`): with
    /// -0.75 as its parameter, or with -0.5 if it is antialiased.
    Cubic {
        /// As of `Linear`.
        align_corners: bool,
        /// As of `Linear`.
        antialias: bool,
    },
}

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
