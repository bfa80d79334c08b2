//! A graph's input.

use super::context::Context;
use super::operation::{Arity, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// A graph input; its shape is known in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input;

impl Operation for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(0)
    }

    fn shape(&self, _: &Context, _: &[Shape]) -> Result<Shape> {
        unreachable!("an input's shape comes with the run")
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        None
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }
}
