//! Descriptors of pooling, and the positions of windows.

use crate::error::Result;
use crate::kernels::conv::Padding;
use crate::tensor::{FeatureMap, reserved};

/// The reduction of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolOp {
    /// The largest value; NaN if there is one.
    Max,
    /// The sum over the number of values.
    Average {
        /// Whether padding counts as values of zero (torch's `count_include_pad`).
        include_padding: bool,
        /// A different divisor (torch's `divisor_override`).
        divisor: Option<i64>,
    },
}

/// The input pixels of an output pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolWindow {
    /// A window of fixed size that moves by a stride. Padding is never a maximum.
    Sliding {
        /// Height and width.
        kernel: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Vertical and horizontal dilation; 1 is none.
        dilation: [usize; 2],
        /// Padding around the picture. The last windows may extend beyond it, if the output's size
        /// was rounded up.
        padding: Padding,
    },
    /// The input split evenly into one window per output pixel; windows overlap if it is not
    /// divisible (torch's `AdaptiveAvgPool2d`, `AdaptiveMaxPool2d`).
    Adaptive,
}

/// A pooling of one map into another with the same pictures and channels, whose channels are dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolDesc {
    /// What is read.
    pub input: FeatureMap,
    /// What is written.
    pub output: FeatureMap,
    /// The reduction of a window.
    pub op: PoolOp,
    /// The pixels of a window.
    pub window: PoolWindow,
}

/// The input rows (or columns) of one output row, inside the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) taps: usize,
    /// This axis's factor of the divisor of a sum.
    pub(super) divisor: f32,
}

/// One axis of the windows.
pub(super) struct Axis {
    pub(super) spans: Vec<Span>,
    pub(super) dilation: usize,
}

impl Axis {
    /// The vertical axis for `i` = 0, the horizontal one for 1.
    pub(super) fn new(desc: &PoolDesc, i: usize) -> Result<Self> {
        let size = [desc.input.height, desc.input.width][i];
        let out = [desc.output.height, desc.output.width][i];
        let mut spans = reserved(out, "where a pool's windows lie")?;
        let PoolWindow::Sliding { kernel, stride, dilation, padding } = desc.window else {
            spans.extend((0..out).map(|o| {
                let (first, end) = (o * size / out, ((o + 1) * size).div_ceil(out));
                Span { first, taps: end - first, divisor: (end - first) as f32 }
            }));
            return Ok(Self { spans, dilation: 1 });
        };
        let (kernel, stride, dilation) = (kernel[i], stride[i], dilation[i]);
        let [before, after] = [[padding.top, padding.bottom], [padding.left, padding.right]][i];
        let include_padding = matches!(desc.op, PoolOp::Average { include_padding: true, .. });
        spans.extend((0..out).map(|o| {
            let start = o * stride;
            let skipped = before.saturating_sub(start).div_ceil(dilation).min(kernel);
            let first = start + skipped * dilation;
            let inside = (before + size).saturating_sub(first).div_ceil(dilation);
            let taps = inside.min(kernel - skipped);
            // A window that exists because of rounding up counts its padding, but nothing beyond
            // it.
            let padded = kernel.min((before + size + after).saturating_sub(start).div_ceil(dilation));
            let divisor = if include_padding { padded } else { taps };
            // Without taps the value does not matter, but it must be valid.
            let first = if taps == 0 { 0 } else { first - before };
            Span { first, taps, divisor: divisor as f32 }
        }));
        Ok(Self { spans, dilation })
    }
}
