//! How pictures are resized, named for graphs and kernels alike.

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
