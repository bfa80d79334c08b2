//! Means.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use super::reduce::{reduced_order, reduced_rank, reduced_shape};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Mean over dimensions (counted from the front, ascending).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mean {
    /// The dimensions.
    pub dims: Vec<usize>,
    /// Whether they are kept with size 1.
    pub keepdim: bool,
}

impl Operation for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.distinct("dim", &self.dims)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        context.has_dims(x, &self.dims)?;
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

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Mean { dims: &self.dims, keepdim: self.keepdim }
    }
}
