//! Concatenation.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Arity, Operand, Operation, leading_order};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Concatenation of values along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat {
    /// The dimension.
    pub dim: usize,
}

impl Operation for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn arity(&self) -> Arity {
        Arity::AtLeastOne
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (mut out, dim) = (inputs[0], self.dim);
        context.at_least_1d(out)?;
        context.has_dims(out, &[dim])?;
        let mut total = 0usize;
        for &x in inputs {
            let fits = x.rank() == out.rank() && (0..x.rank()).all(|d| d == dim || x[d] == out[d]);
            if !fits {
                return Err(context.mismatch(format!("concatenated along dim {dim}"), inputs[0], x));
            }
            total = total.saturating_add(x[dim]);
        }
        out[dim] = total;
        context.shape(&out)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dim {}", self.dim)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        leading_order(inputs, output)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Concat(self.dim)
    }
}
