//! Max pool to a given size.

use std::fmt;

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use super::text::write_output;
use super::window::adaptive_shape;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Max pool to a given size; `None` keeps the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveMaxPool2d {
    /// Output height and width.
    pub output: [Option<usize>; 2],
}

impl Operation for AdaptiveMaxPool2d {
    fn name(&self) -> &'static str {
        "adaptive_max_pool2d"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.is("output_size", "positive, or None", self.output, !self.output.contains(&Some(0)))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        adaptive_shape(context, self.output, inputs[0])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write_output(out, self.output)
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::AdaptivePool { output: self.output, maximum: true }
    }
}
