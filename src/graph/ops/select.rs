//! Elementwise selection from two values.

use super::context::Context;
use super::operation::{Arity, Operand, Operation, leading_order};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// `torch.where`: the second value where the first is not zero, else the third, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Where;

impl Operation for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(3)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.broadcast(context.broadcast(inputs[0], inputs[1])?, inputs[2])
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs.iter().try_fold(0, |most, rank| rank.map(|rank| most.max(rank)))
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        leading_order(inputs, output)
    }
}
