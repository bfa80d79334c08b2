//! Constant padding.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// Constant padding: elements before and after each dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// One pair per dimension.
    pub pads: Vec<[usize; 2]>,
    /// The constant.
    pub value: f32,
}

impl Operation for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (x, pads) = (inputs[0], &self.pads);
        if pads.len() != x.rank() {
            return Err(context.attribute("pads", format!("one pair per dimension of the input {x}"), pads));
        }
        let dims: Vec<_> = x
            .iter()
            .zip(pads)
            .map(|(size, [before, after])| size.saturating_add(*before).saturating_add(*after))
            .collect();
        context.shape(&dims)
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(self.pads.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " by {:?} with {}", self.pads, self.value)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Pad { pads: &self.pads, value: self.value }
    }
}
