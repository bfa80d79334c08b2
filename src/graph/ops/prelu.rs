//! A leaky ReLU with learned slopes.

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// The slope is a parameter with one value or one per channel (dim 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PRelu;

impl Operation for PRelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", true)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.param_is(0, "() or (num_parameters,)", |shape| shape.rank() <= 1 && shape.numel() > 0)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        let slopes = context.weight().numel();
        let channels = x.get(1).copied().unwrap_or(1);
        if slopes == 1 || slopes == channels {
            return Ok(x);
        }
        Err(context.channels("weight", "channels", slopes, channels, x))
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Along(1)
    }
}
