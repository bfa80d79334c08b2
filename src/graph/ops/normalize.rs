//! Division by a norm.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Division by the Euclidean norm along a dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// The dimension, counted from the front.
    pub dim: usize,
    /// The least divisor.
    pub eps: f32,
}

impl Operation for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.is("eps", "0 or more", self.eps, self.eps >= 0.0)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.at_least_1d(inputs[0])?;
        context.has_dims(inputs[0], &[self.dim])?;
        Ok(inputs[0])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dim {} eps {}", self.dim, self.eps)
    }

    fn order(&self, inputs: &[Operand], _: Shape) -> Order {
        inputs[0].order.with_last(self.dim)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Along(self.dim)
    }
}
