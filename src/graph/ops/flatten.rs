//! Several dimensions become one.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// `start..=end` become one dimension (counted from the front).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten {
    /// First.
    pub start: usize,
    /// Last.
    pub end: usize,
}

impl Operation for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn check(&self, context: &Context) -> Result<()> {
        let Self { start, end } = self;
        context.is("start_dim", &format!("at most end_dim ({end})"), start, start <= end)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (x, &Self { start, end }) = (inputs[0], self);
        if x.rank() == 0 && end == 0 {
            return context.shape(&[1]);
        }
        context.has_dims(x, &[end])?;
        let mut dims = x[..start].to_vec();
        dims.push(x[start..=end].iter().product());
        dims.extend(&x[end + 1..]);
        context.shape(&dims)
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs[0].map(|rank| (rank + self.start).saturating_sub(self.end).max(1))
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dims {} to {}", self.start, self.end)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        inputs[0].order.regrouped(inputs[0].shape, output)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Flatten { start: self.start, end: self.end }
    }
}
