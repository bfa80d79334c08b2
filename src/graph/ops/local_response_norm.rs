//! Local response normalisation.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Local response normalisation across channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Channels in the window.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// Additive constant.
    pub k: f32,
}

impl Operation for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.sizes_are("size", 1, [self.size])
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.pictures(inputs[0]).map(|_| inputs[0])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        let Self { size, alpha, beta, k } = self;
        write!(out, " size {size} alpha {alpha} beta {beta} k {k}")
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Pictures
    }
}
