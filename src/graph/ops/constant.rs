//! A parameter as a graph value.

use super::context::{Context, Role};
use super::operation::{Arity, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// A parameter as a graph value. No inputs. Parameters: value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant;

impl Operation for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(0)
    }

    fn roles(&self) -> &'static [Role] {
        &[("value", true)]
    }

    fn shape(&self, context: &Context, _: &[Shape]) -> Result<Shape> {
        Ok(context.weight())
    }

    fn rank(&self, context: &Context, _: &[Option<usize>]) -> Option<usize> {
        context.param_shape(0).map(|shape| shape.rank())
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::logical(output.rank())
    }
}
