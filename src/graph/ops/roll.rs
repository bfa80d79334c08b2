//! Cyclic shifts along dimensions.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::{DenseForm, PER_WINDOW};
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// A cyclic shift along dimensions: values shifted beyond the end reappear at the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Dimension and shift, which may be negative.
    pub shifts: Vec<(usize, i64)>,
}

impl Roll {
    fn dims(&self) -> Vec<usize> {
        self.shifts.iter().map(|&(dim, _)| dim).collect()
    }
}

impl Operation for Roll {
    fn name(&self) -> &'static str {
        "roll"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.distinct("dims", &self.dims())
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        context.at_least_1d(inputs[0])?;
        context.has_dims(inputs[0], &self.dims()).map(|()| inputs[0])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.shifts.iter().try_for_each(|(dim, shift)| write!(out, " dim {dim} by {shift}"))
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Refused {
            what: "a map that is rolled, as for windows of attention, in a dense form",
            advice: PER_WINDOW,
        }
    }
}
