//! Repetition along dimensions of size one.

use std::fmt;

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Arity, Operand, Operation};
use super::sizes::resolved;
use super::text::write_sizes;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Repetition along dimensions of size one and new leading ones; -1 keeps a size, [`super::kept`]
/// takes the second input's, of which only the shape is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expand {
    /// The sizes.
    pub sizes: Vec<i64>,
    /// Whether there is a second input.
    pub like: bool,
}

impl Operation for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(1 + usize::from(self.like))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let sizes = resolved(context, &self.sizes, if self.like { inputs[1] } else { x })?;
        let fail = || context.sizes(format!("such that {x} broadcasts to them, or -1"), &sizes);
        let missing = sizes.len().checked_sub(x.rank()).ok_or_else(fail)?;
        let mut dims = Vec::with_capacity(sizes.len());
        for (d, &size) in sizes.iter().enumerate() {
            let own = d.checked_sub(missing).map(|d| x[d]);
            dims.push(match (own, usize::try_from(size)) {
                (Some(1) | None, Ok(size)) => size,
                (Some(own), Ok(size)) if own == size => own,
                (Some(own), Err(_)) => own,
                _ => return Err(fail()),
            });
        }
        context.shape(&dims)
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(self.sizes.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write_sizes(out, &self.sizes)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        let added = output.rank() - inputs[0].shape.rank();
        Order::new((0..added).chain(inputs[0].order.iter().map(|d| d + added)))
    }

    fn dense(&self) -> DenseForm<'_> {
        if self.like { DenseForm::Mixes } else { DenseForm::UNKNOWN }
    }
}
