//! Elementwise operations on two values.

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Arity, Fusible, Operand, Operation, leading_order};
use crate::error::Result;
use crate::tensor::{BinaryOp, Order, Shape};

/// An elementwise operation on two values, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The operation.
    pub op: BinaryOp,
    /// Whether the result replaces the first value, as in `x += y`: then it must have its shape.
    pub in_place: bool,
}

impl Binary {
    /// The operation with a new result.
    pub const fn new(op: BinaryOp) -> Self {
        Self { op, in_place: false }
    }
}

impl Operation for Binary {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let [left, right] = [inputs[0], inputs[1]];
        if self.in_place { context.in_place(left, right) } else { context.broadcast(left, right) }
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs[0].zip(inputs[1]).map(|(a, b)| a.max(b))
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        leading_order(inputs, output)
    }

    fn fusible(&self) -> Fusible {
        Fusible::Activation
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Joined
    }
}
