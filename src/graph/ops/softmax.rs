//! Softmax.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// Softmax over one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The dimension, counted from the front.
    pub dim: usize,
    /// Whether to return its logarithm.
    pub log: bool,
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.has_dims(inputs[0], &[self.dim]).map(|()| inputs[0])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " dim {}", self.dim)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Along(self.dim)
    }
}
