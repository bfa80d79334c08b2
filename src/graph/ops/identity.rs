//! The value itself.

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// The value itself: dropout at inference, `Identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity;

impl Operation for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn shape(&self, _: &Context, inputs: &[Shape]) -> Result<Shape> {
        Ok(inputs[0])
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Identity
    }
}
