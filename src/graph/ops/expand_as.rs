//! Repetition to another value's shape.

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Arity, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Repetition to the shape of the second input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpandAs;

impl Operation for ExpandAs {
    fn name(&self) -> &'static str {
        "expand_as"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.broadcast_to(inputs[0], inputs[1], "expanded to the second one's shape")
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs[1]
    }

    fn order(&self, inputs: &[Operand], _: Shape) -> Order {
        inputs[1].order
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Mixes
    }
}
