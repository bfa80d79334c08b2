//! One dimension becomes several.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// One dimension becomes several; one of the sizes may be -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unflatten {
    /// The dimension.
    pub dim: usize,
    /// The sizes that replace it.
    pub sizes: Vec<i64>,
}

impl Operation for Unflatten {
    fn name(&self) -> &'static str {
        "unflatten"
    }

    fn check(&self, context: &Context) -> Result<()> {
        let sizes = &self.sizes;
        let free = sizes.iter().filter(|&&d| d == -1).count();
        let valid = free <= 1 && !sizes.is_empty() && sizes.iter().all(|&d| d >= -1);
        context.is("sizes", "sizes of which at most one is -1", sizes, valid)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (x, dim, sizes) = (inputs[0], self.dim, &self.sizes);
        context.at_least_1d(x)?;
        context.has_dims(x, &[dim])?;
        let fail = || context.sizes(format!("of {} elements, as dim {dim} of {x}", x[dim]), sizes);
        let known = sizes
            .iter()
            .filter(|&&size| size != -1)
            .try_fold(1_usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?))
            .ok_or_else(fail)?;
        let free = x[dim].checked_div(known).unwrap_or(0);
        let whole = if sizes.contains(&-1) { known * free } else { known };
        if whole != x[dim] || (known == 0 && sizes.contains(&-1)) {
            return Err(fail());
        }
        let sizes = sizes.iter().map(|&size| usize::try_from(size).unwrap_or(free));
        let dims: Vec<_> =
            x[..dim].iter().copied().chain(sizes).chain(x[dim + 1..].iter().copied()).collect();
        context.shape(&dims)
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs[0].map(|rank| rank - 1 + self.sizes.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dim {} to {:?}", self.dim, self.sizes)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        inputs[0].order.regrouped(inputs[0].shape, output)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Unflatten { dim: self.dim, count: self.sizes.len() }
    }
}
