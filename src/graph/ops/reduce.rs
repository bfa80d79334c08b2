//! Sums, largest and smallest values over dimensions.

use std::fmt::{self, Write};

use super::context::Context;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, ReduceOp, Shape};

/// What the values along some dimensions are together; see [`super::Mean`] for their mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// A sum, a maximum or a minimum.
    pub op: ReduceOp,
    /// Which dimensions, counted from the front, ascending.
    pub dims: Vec<usize>,
    /// Whether they stay with size 1.
    pub keepdim: bool,
}

impl Operation for Reduce {
    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.distinct("dim", &self.dims)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        context.has_dims(x, &self.dims)?;
        if self.op != ReduceOp::Sum && self.dims.iter().any(|&d| x.get(d) == Some(&0)) {
            return Err(context.rank("values along the dimensions that are reduced", x));
        }
        let kept: Vec<_> = (0..x.rank())
            .filter(|d| self.keepdim || !self.dims.contains(d))
            .map(|d| if self.dims.contains(&d) { 1 } else { x[d] })
            .collect();
        context.shape(&kept)
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        let gone = if self.keepdim { 0 } else { self.dims.len() };
        inputs[0].map(|rank| rank.saturating_sub(gone))
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dims {:?}{}", self.dims, if self.keepdim { " keepdim" } else { "" })
    }

    fn order(&self, inputs: &[Operand], _: Shape) -> Order {
        let order = inputs[0].order;
        if self.keepdim {
            return order;
        }
        let place = |d: usize| d - self.dims.iter().filter(|&&gone| gone < d).count();
        Order::new(order.iter().filter(|d| !self.dims.contains(d)).map(place))
    }
}
