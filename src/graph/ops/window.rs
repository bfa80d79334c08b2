//! The window of a pool, and the geometry of sliding windows.

use std::fmt::{self, Write};

use super::context::Context;
use super::text::{write_padding, write_pair};
use crate::error::{Error, Result};
use crate::tensor::Shape;

/// The window of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Vertical and horizontal dilation; 1 is none. torch's averages have none; those of dense
    /// networks may.
    pub dilation: [usize; 2],
    /// Whether a last window may extend beyond the edge.
    pub ceil_mode: bool,
}

/// Height and width of a pool's output; `None` if the window does not fit even once.
pub fn pool_geometry(window: &Window, input: [usize; 2]) -> Option<[usize; 2]> {
    let mut output = [0; 2];
    for axis in 0..2 {
        let stride = window.stride[axis];
        let begin = input[axis] as i128 + window.padding[axis] as i128;
        let room =
            begin + window.padding[axis + 2] as i128 - extent(window.kernel[axis], window.dilation[axis]);
        let overhang = if window.ceil_mode { stride as i128 - 1 } else { 0 };
        output[axis] = windows(room + overhang, stride)?;
        // A window that starts after the picture would contain padding only.
        if window.ceil_mode && (output[axis] as i128 - 1) * stride as i128 >= begin {
            output[axis] -= 1;
        }
    }
    (input.iter().all(|&size| size > 0)).then_some(output)
}

/// Pixels that a kernel spans.
pub fn extent(kernel: usize, dilation: usize) -> i128 {
    // Beyond any picture, but sums with it do not overflow.
    const BEYOND: i128 = i128::MAX / 4;
    (kernel as i128 - 1).saturating_mul(dilation as i128).min(BEYOND) + 1
}

/// The number of windows that start within `room` pixels after the first.
pub fn windows(room: i128, stride: usize) -> Option<usize> {
    // A number that is too large to count is too large to store, which the caller detects.
    (room >= 0).then(|| usize::try_from(room / stride as i128 + 1).unwrap_or(usize::MAX))
}

/// The error for a window that does not fit even once.
pub fn too_large(
    context: &Context,
    kernel: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 4],
    input: Shape,
) -> Error {
    let size = |axis: usize| input[axis + 2].saturating_add(padding[axis]).saturating_add(padding[axis + 2]);
    let extent = |axis: usize| usize::try_from(extent(kernel[axis], dilation[axis])).unwrap_or(usize::MAX);
    Error::WindowTooLarge {
        node: context.name.to_owned(),
        kernel,
        extent: [extent(0), extent(1)],
        padded: [size(0), size(1)],
        input,
    }
}

/// The shape of a pool to a given size.
///
/// # Errors
/// If the input is not a picture.
pub fn adaptive_shape(context: &Context, output: [Option<usize>; 2], x: Shape) -> Result<Shape> {
    let [n, c, h, w] = context.filled_pictures(x)?;
    context.shape(&[n, c, output[0].unwrap_or(h), output[1].unwrap_or(w)])
}

impl Window {
    /// Checks that the attributes are in range.
    ///
    /// # Errors
    /// [`Error::Attribute`].
    pub fn check(&self, context: &Context) -> Result<()> {
        context.sizes_are("kernel_size", 1, self.kernel)?;
        context.sizes_are("stride", 1, self.stride)?;
        context.sizes_are("dilation", 1, self.dilation)?;
        let half = self.kernel.map(|k| k / 2);
        context.is(
            "padding",
            &format!("at most half the kernel size {:?}", self.kernel),
            self.padding,
            (0..4).all(|side| self.padding[side] <= half[side % 2]),
        )
    }

    /// The shape of a pool's output.
    ///
    /// # Errors
    /// If the input is not a picture, or is smaller than the window.
    pub fn shape(&self, context: &Context, x: Shape) -> Result<Shape> {
        let [n, c, h, w] = context.filled_pictures(x)?;
        match pool_geometry(self, [h, w]) {
            Some([oh, ow]) => context.shape(&[n, c, oh, ow]),
            None => Err(too_large(context, self.kernel, self.dilation, self.padding, x)),
        }
    }

    /// The attributes as text.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, " kernel {}x{}", self.kernel[0], self.kernel[1])?;
        write_pair(out, "stride", self.stride)?;
        write_padding(out, self.padding)?;
        write_pair(out, "dilation", self.dilation)?;
        if self.ceil_mode { write!(out, " ceil_mode") } else { Ok(()) }
    }
}
