//! Convolution.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use super::operation::{Channels, Fusible, Operand, Operation};
use super::text::{write_padding, write_pair};
use super::window::{extent, too_large, windows};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// The zero padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvPadding {
    /// Rows above, columns on the left, rows below, columns on the right.
    Explicit([usize; 4]),
    /// TensorFlow's `SAME`: the output is `ceil(input / stride)`; an odd zero goes below and to the
    /// right.
    SameUpper,
}

/// `torch.nn.functional.conv2d`. Inputs: x. Parameters: weight `[oc, ic / groups, kh, kw]`, bias
/// (optional).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding around the picture.
    pub padding: ConvPadding,
    /// Vertical and horizontal dilation; 1 is none.
    pub dilation: [usize; 2],
    /// Number of groups of input and output channels.
    pub groups: usize,
}

/// Zeros around the picture (top, left, bottom, right) and the output's height and width of a
/// convolution; `None` if the kernel does not fit even once.
pub fn conv_geometry(
    conv: &Conv2d,
    kernel: [usize; 2],
    input: [usize; 2],
) -> Option<([usize; 4], [usize; 2])> {
    let mut output = [0; 2];
    let mut padding = [0; 4];
    for axis in 0..2 {
        let extent = extent(kernel[axis], conv.dilation[axis]);
        let stride = conv.stride[axis];
        let [before, after] = match conv.padding {
            ConvPadding::Explicit(sides) => [sides[axis], sides[axis + 2]],
            ConvPadding::SameUpper => {
                let covered = extent + (input[axis].div_ceil(stride).max(1) as i128 - 1) * stride as i128;
                let missing = usize::try_from((covered - input[axis] as i128).max(0)).ok()?;
                [missing / 2, missing.div_ceil(2)]
            }
        };
        output[axis] = windows(input[axis] as i128 + before as i128 + after as i128 - extent, stride)?;
        [padding[axis], padding[axis + 2]] = [before, after];
    }
    (input.iter().all(|&size| size > 0)).then_some((padding, output))
}

impl Operation for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", true), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.sizes_are("stride", 1, self.stride)?;
        context.sizes_are("dilation", 1, self.dilation)?;
        if let ConvPadding::Explicit(sides) = self.padding {
            context.sizes_are("padding", 0, sides)?;
        }
        context.sizes_are("groups", 1, [self.groups])?;
        context.param_is(
            0,
            "(out_channels, in_channels / groups, height, width), none of them 0",
            |shape| shape.rank() == 4 && !shape.contains(&0),
        )?;
        let outputs = context.weight()[0];
        context.is(
            "groups",
            &format!("a divisor of the {outputs} output channels"),
            self.groups,
            outputs.is_multiple_of(self.groups),
        )?;
        context.vector(1, outputs)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let [n, c, h, w] = context.pictures(x)?;
        let weight = context.weight();
        let channels = weight[1] * self.groups;
        if c != channels {
            return Err(context.channels("weight", "channels", channels, c, x));
        }
        let kernel = [weight[2], weight[3]];
        let Some((around, [oh, ow])) = conv_geometry(self, kernel, [h, w]) else {
            let padding = match self.padding {
                ConvPadding::Explicit(sides) => sides,
                ConvPadding::SameUpper => [0; 4],
            };
            return Err(too_large(context, kernel, self.dilation, padding, x));
        };
        padded(context, x, around)?;
        context.shape(&[n, weight[0], oh, ow])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    /// Each output value is a sum over all dimensions of the weight but the first.
    fn multiply_adds(&self, context: &Context, _: &[Shape], output: Shape) -> u64 {
        output.product_with(&context.weight()[1..])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write_pair(out, "stride", self.stride)?;
        match self.padding {
            ConvPadding::Explicit(sides) => write_padding(out, sides)?,
            ConvPadding::SameUpper => write!(out, " padding same_upper")?,
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
        Channels::Second(context.weight()[0])
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Convolution
    }
}

/// An error unless the padded map could be stored, as some kernels do.
fn padded(context: &Context, x: Shape, sides: [usize; 4]) -> Result<()> {
    let [top, left, bottom, right] = sides;
    let beyond = |size: usize, before: usize, after: usize| size.saturating_add(before).saturating_add(after);
    let dims = [x[0], x[1], beyond(x[2], top, bottom), beyond(x[3], left, right)];
    if Shape::try_new(&dims).is_some() {
        return Ok(());
    }
    Err(context.attribute("padding", format!("such that the padded input {dims:?} fits memory"), sides))
}
