//! Elementwise operations on a value and a number.

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::{BinaryOp, Shape};

/// Elementwise operations on a value and a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryScalar {
    /// The operation.
    pub op: BinaryOp,
    /// The number.
    pub scalar: f32,
    /// Whether the number is the left operand.
    pub reversed: bool,
}

impl Operation for BinaryScalar {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn shape(&self, _: &Context, inputs: &[Shape]) -> Result<Shape> {
        Ok(inputs[0])
    }

    fn operands(&self, read: &[String]) -> String {
        let (x, scalar) = (&read[0], self.scalar);
        if self.reversed { format!("{scalar}, {x}") } else { format!("{x}, {scalar}") }
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Pointwise
    }
}
