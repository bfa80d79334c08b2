//! Reshape.

use std::fmt;

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use super::sizes::resolved;
use super::text::write_sizes;
use crate::error::{Error, Result};
use crate::tensor::{Order, Shape};

/// A new logical shape: -1 for one inferred dimension, [`super::kept`] for the input's own sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// The target shape.
    pub dims: Vec<i64>,
}

impl Operation for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn check(&self, context: &Context) -> Result<()> {
        let free = self.dims.iter().filter(|&&d| d == -1).count();
        context.is("shape", "sizes of which at most one is -1", &self.dims, free <= 1)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let dims = resolved(context, &self.dims, x)?;
        let fail = || Error::Reshape { node: context.name.to_owned(), input: x, to: dims.clone() };
        let known = dims
            .iter()
            .filter(|&&d| d != -1)
            .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
            .ok_or_else(fail)?;
        let free = x.numel().checked_div(known).unwrap_or(0);
        let sizes: Vec<_> = dims.iter().map(|&d| usize::try_from(d).unwrap_or(free)).collect();
        let fits =
            if dims.contains(&-1) { known * free == x.numel() && known > 0 } else { known == x.numel() };
        if fits { context.shape(&sizes) } else { Err(fail()) }
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(self.dims.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write_sizes(out, &self.dims)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        inputs[0].order.regrouped(inputs[0].shape, output)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Reshape
    }
}
