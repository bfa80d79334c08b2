//! Batch norm.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use super::operation::{Fusible, Operation};
use crate::error::Result;
use crate::tensor::Shape;

/// Batch norm with running statistics. Parameters: weight, bias (both optional), mean, variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", false), ("bias", false), ("running_mean", true), ("running_var", true)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        let valid = self.eps.is_finite() && self.eps >= 0.0;
        context.is("eps", "finite and not negative", self.eps, valid)?;
        context.param_is(2, "(num_features,)", |shape| shape.rank() == 1)?;
        let channels = context.param_shape(2).unwrap_or_default()[0];
        [0, 1, 3].into_iter().try_for_each(|index| context.vector(index, channels))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        if !(2..=4).contains(&x.rank()) {
            return Err(context.rank("a 2-d to 4-d input with channels as its second dimension", x));
        }
        let channels = context.param_shape(2).map_or(0, |mean| mean.numel());
        if x[1] != channels {
            return Err(context.channels("running_mean", "channels", channels, x[1], x));
        }
        Ok(x)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " eps {}", self.eps)
    }

    fn fusible(&self) -> Fusible {
        Fusible::Activation
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Along(1)
    }
}
