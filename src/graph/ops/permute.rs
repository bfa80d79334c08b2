//! Dimensions in a new order.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Dimensions in a new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permute {
    /// The input dimension of each output dimension.
    pub dims: Vec<usize>,
}

impl Operation for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.distinct("dims", &self.dims)?;
        let valid = self.dims.iter().all(|&d| d < self.dims.len());
        context.is("dims", "a permutation", &self.dims, valid)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        if self.dims.len() != x.rank() {
            return Err(context.attribute("dims", format!("one per dimension of the input {x}"), &self.dims));
        }
        let sizes: Vec<_> = self.dims.iter().map(|&d| x[d]).collect();
        context.shape(&sizes)
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(self.dims.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dims {:?}", self.dims)
    }

    fn order(&self, inputs: &[Operand], _: Shape) -> Order {
        let place = |d: usize| self.dims.iter().position(|&old| old == d).expect("a permutation");
        Order::new(inputs[0].order.iter().map(place))
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Permute(&self.dims)
    }
}
