//! Sums, maxima and minima over dimensions.

use std::fmt::{self, Write};

use super::context::Context;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, ReduceOp, Shape};

/// A reduction of the values along some dimensions; see [`super::Mean`] for their mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// A sum, a maximum or a minimum.
    pub op: ReduceOp,
    /// The dimensions, counted from the front, ascending.
    pub dims: Vec<usize>,
    /// Whether they are kept with size 1.
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
        reduced_shape(context, &self.dims, self.keepdim, x)
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        reduced_rank(&self.dims, self.keepdim, inputs[0])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dims {:?}{}", self.dims, if self.keepdim { " keepdim" } else { "" })
    }

    fn order(&self, inputs: &[Operand], _: Shape) -> Order {
        reduced_order(&self.dims, self.keepdim, inputs[0].order)
    }
}

/// The shape of a reduction of `x`, which has all of `dims`.
///
/// # Errors
/// [`crate::Error::TooLarge`].
pub fn reduced_shape(context: &Context, dims: &[usize], keepdim: bool, x: Shape) -> Result<Shape> {
    let kept: Vec<_> = (0..x.rank())
        .filter(|d| keepdim || !dims.contains(d))
        .map(|d| if dims.contains(&d) { 1 } else { x[d] })
        .collect();
    context.shape(&kept)
}

/// The number of dimensions of a reduction.
pub fn reduced_rank(dims: &[usize], keepdim: bool, rank: Option<usize>) -> Option<usize> {
    let gone = if keepdim { 0 } else { dims.len() };
    rank.map(|rank| rank.saturating_sub(gone))
}

/// The dimension order of a reduction: the remaining dimensions keep their order.
pub fn reduced_order(dims: &[usize], keepdim: bool, order: Order) -> Order {
    if keepdim {
        return order;
    }
    let place = |d: usize| d - dims.iter().filter(|&&gone| gone < d).count();
    Order::new(order.iter().filter(|d| !dims.contains(d)).map(place))
}
