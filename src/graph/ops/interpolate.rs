//! Resizing of pictures.

use std::fmt::{self, Write};

use super::context::Context;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, ResizeMode, Shape};

/// The size of a resized picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ResizeTo {
    /// Height and width.
    Size([usize; 2]),
    /// Vertical and horizontal factor of the input's size, rounded down.
    Scale {
        /// The factors.
        factors: [f64; 2],
        /// Whether positions follow from the sizes instead of the factors.
        recompute: bool,
    },
}

/// `torch.nn.functional.interpolate` of pictures (N, C, H, W).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interpolate {
    /// The interpolation.
    pub mode: ResizeMode,
    /// The result's size.
    pub to: ResizeTo,
}

impl Interpolate {
    /// The factors from which positions are computed, unless they follow from the sizes.
    pub fn factors(&self) -> [Option<f64>; 2] {
        match self.to {
            ResizeTo::Scale { factors, recompute: false } => factors.map(Some),
            _ => [None; 2],
        }
    }

    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        match self.to {
            ResizeTo::Size(size) => size,
            // A float that is too large becomes the largest integer, which is not a valid size.
            ResizeTo::Scale { factors, .. } => {
                [0, 1].map(|axis| (input[axis] as f64 * factors[axis]).floor() as usize)
            }
        }
    }
}

impl Operation for Interpolate {
    fn name(&self) -> &'static str {
        "interpolate"
    }

    fn check(&self, context: &Context) -> Result<()> {
        match self.to {
            ResizeTo::Size(size) => context.sizes_are("size", 1, size),
            ResizeTo::Scale { factors, .. } => {
                let valid = factors.iter().all(|factor| factor.is_finite() && *factor > 0.0);
                context.is("scale_factor", "positive", factors, valid)
            }
        }
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let [n, c, height, width] = context.filled_pictures(x)?;
        let [h, w] = self.size([height, width]);
        if h == 0 || w == 0 {
            let expected = format!("such that the size {h}x{w} of the resized input {x} is not 0");
            return Err(context.attribute("scale_factor", expected, self.to));
        }
        context.shape(&[n, c, h, w])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        match self.to {
            ResizeTo::Size([h, w]) => write!(out, " to {h}x{w}")?,
            ResizeTo::Scale { factors: [h, w], .. } => write!(out, " by {h}x{w}")?,
        }
        let (name, align_corners, antialias) = match self.mode {
            ResizeMode::Nearest => ("nearest", false, false),
            ResizeMode::NearestExact => ("nearest-exact", false, false),
            ResizeMode::Linear { align_corners, antialias } => ("bilinear", align_corners, antialias),
            ResizeMode::Cubic { align_corners, antialias } => ("bicubic", align_corners, antialias),
        };
        write!(out, " {name}")?;
        for (flag, text) in [(align_corners, " align_corners"), (antialias, " antialias")] {
            if flag {
                out.push_str(text);
            }
        }
        Ok(())
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }
}
