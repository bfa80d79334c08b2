//! Transposed convolution.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::dense_form::{DenseForm, PER_WINDOW};
use super::operation::{Channels, Fusible, Operand, Operation};
use super::text::{write_padding, write_pair};
use super::window::extent;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// `torch.nn.functional.conv_transpose2d`: each input pixel adds its value times the kernel to the
/// output, `stride` pixels after its neighbour's. Inputs: x. Parameters: weight
/// `[ic, oc / groups, kh, kw]`, bias or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2d {
    /// Vertical and horizontal distance in the output between the kernels of neighbouring input
    /// pixels.
    pub stride: [usize; 2],
    /// Rows and columns that are cut off the output on each side.
    pub padding: [usize; 2],
    /// Rows added at the bottom and columns added on the right of the output.
    pub output_padding: [usize; 2],
    /// Vertical and horizontal; 1 is none.
    pub dilation: [usize; 2],
    /// Input and output channels are cut into this many groups.
    pub groups: usize,
}

impl ConvTranspose2d {
    /// The output's size along an axis, which must be positive.
    fn size(&self, axis: usize, kernel: usize, input: usize) -> i128 {
        (input as i128 - 1) * self.stride[axis] as i128 - 2 * self.padding[axis] as i128
            + extent(kernel, self.dilation[axis])
            + self.output_padding[axis] as i128
    }

    fn outputs(&self, weight: Shape) -> usize {
        weight[1] * self.groups
    }
}

impl Operation for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", true), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.sizes_are("stride", 1, self.stride)?;
        context.sizes_are("padding", 0, self.padding)?;
        context.sizes_are("output_padding", 0, self.output_padding)?;
        context.sizes_are("dilation", 1, self.dilation)?;
        context.sizes_are("groups", 1, [self.groups])?;
        context.is(
            "output_padding",
            &format!("smaller than the stride {:?} or the dilation {:?}", self.stride, self.dilation),
            self.output_padding,
            (0..2).all(|axis| self.output_padding[axis] < self.stride[axis].max(self.dilation[axis])),
        )?;
        context.param_is(
            0,
            "(in_channels, out_channels / groups, height, width), none of them 0",
            |shape| shape.rank() == 4 && !shape.contains(&0),
        )?;
        let weight = context.weight();
        context.is(
            "groups",
            &format!("a divisor of the {} input channels", weight[0]),
            self.groups,
            weight[0].is_multiple_of(self.groups),
        )?;
        context.vector(1, self.outputs(weight))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let [n, c, h, w] = context.filled_pictures(x)?;
        let weight = context.weight();
        if c != weight[0] {
            return Err(context.channels("weight", "channels", weight[0], c, x));
        }
        let size = [self.size(0, weight[2], h), self.size(1, weight[3], w)];
        if size.iter().any(|&size| size < 1) {
            let expected = format!("such that the output's size {}x{} is positive", size[0], size[1]);
            return Err(context.attribute("padding", expected, self.padding));
        }
        // A size that cannot be counted cannot be stored either.
        let count = |size: i128| usize::try_from(size).unwrap_or(usize::MAX);
        let shape = context.shape(&[n, self.outputs(weight), count(size[0]), count(size[1])])?;
        // Some kernels store a map with the zeros around it that the ends of the weights see.
        let padded = [0, 1]
            .map(|axis| count(size[axis] + extent(weight[2 + axis], self.dilation[axis])).max(x[2 + axis]));
        if Shape::try_new(&[n, c, padded[0], padded[1]]).is_none() {
            let expected =
                format!("such that the padded input {:?} fits memory", [n, c, padded[0], padded[1]]);
            return Err(context.attribute("dilation", expected, self.dilation));
        }
        Ok(shape)
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    /// Each input value is multiplied by its channel's weights: all dimensions but the first.
    fn multiply_adds(&self, context: &Context, inputs: &[Shape], _: Shape) -> u64 {
        inputs[0].product_with(&context.weight()[1..])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write_pair(out, "stride", self.stride)?;
        let [vertical, horizontal] = self.padding;
        write_padding(out, [vertical, horizontal, vertical, horizontal])?;
        match self.output_padding {
            [0, 0] => {}
            [h, w] if h == w => write!(out, " output_padding {h}")?,
            [h, w] => write!(out, " output_padding {h}x{w}")?,
        }
        write_pair(out, "dilation", self.dilation)?;
        if self.groups == 1 { Ok(()) } else { write!(out, " groups {}", self.groups) }
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }

    fn fusible(&self) -> Fusible {
        Fusible::Epilogue
    }

    fn channels(&self, context: &Context) -> Channels {
        Channels::Second(self.outputs(context.weight()))
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Refused {
            what: "a transposed convolution, whose map is finer than the one that it reads, in a dense form",
            advice: PER_WINDOW,
        }
    }
}
