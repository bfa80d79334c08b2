//! A part of a dimension.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::{Error, Result};
use crate::tensor::Shape;

/// Every `step`-th index of one dimension from start to stop, with the semantics of Python slices;
/// or one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The dimension.
    pub dim: usize,
    /// First index; negative counts from the end.
    pub start: Option<i64>,
    /// One past the last index; negative counts from the end.
    pub stop: Option<i64>,
    /// Positive step.
    pub step: usize,
    /// Whether `start` is an index, which must be inside the dimension (a slice's bounds need not
    /// be).
    pub index: bool,
}

impl Slice {
    /// The first and one past the last index along a dimension of `size`, with Python's semantics.
    pub fn bounds(&self, size: usize) -> (usize, usize) {
        let clamp = |bound: i64| {
            let from_front = if bound < 0 { i128::from(bound) + size as i128 } else { bound.into() };
            from_front.clamp(0, size as i128) as usize
        };
        let start = self.start.map_or(0, clamp);
        (start, self.stop.map_or(size, clamp).max(start))
    }
}

impl Operation for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.is("step", "positive", self.step, self.step > 0)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (mut x, dim) = (inputs[0], self.dim);
        context.has_dims(x, &[dim])?;
        context.at_least_1d(x)?;
        if self.index {
            let (index, size) = (self.start.unwrap_or(0), x[dim] as i128);
            if !(-size..size).contains(&index.into()) {
                return Err(Error::Index { node: context.name.to_owned(), index, dim, input: x });
            }
        }
        let (first, behind) = self.bounds(x[dim]);
        x[dim] = (behind - first).div_ceil(self.step);
        Ok(x)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        let Self { dim, start, stop, step, .. } = self;
        let bound = |bound: &Option<i64>| bound.map_or_else(String::new, |b| b.to_string());
        write!(out, " dim {dim} [{}:{}", bound(start), bound(stop))?;
        if *step == 1 { write!(out, "]") } else { write!(out, ":{step}]") }
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Slice
    }
}
