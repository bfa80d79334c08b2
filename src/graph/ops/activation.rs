//! Pointwise functions.

use std::fmt;

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::{Activation, Shape};

impl Operation for Activation {
    fn name(&self) -> &'static str {
        Self::name(*self)
    }

    fn check(&self, context: &Context) -> Result<()> {
        match *self {
            Self::Clamp { lo, hi } => context.is("min", "at most max", [lo, hi], lo <= hi),
            Self::LeakyRelu { slope } => context.is("negative_slope", "a number", slope, !slope.is_nan()),
            Self::Elu { alpha } => context.is("alpha", "a finite number", alpha, alpha.is_finite()),
            Self::Celu { alpha } => {
                context.is("alpha", "a number other than 0", alpha, alpha != 0.0 && !alpha.is_nan())
            }
            Self::Softplus { beta, threshold } => {
                context.is("beta", "a number other than 0", beta, beta != 0.0 && !beta.is_nan())?;
                context.is("threshold", "a number", threshold, !threshold.is_nan())
            }
            _ => Ok(()),
        }
    }

    fn shape(&self, _: &Context, inputs: &[Shape]) -> Result<Shape> {
        Ok(inputs[0])
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.write_attributes(out)
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Pointwise
    }
}
