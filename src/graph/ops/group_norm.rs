//! Group norm.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// Normalisation of groups of channels, picture by picture; as many groups as channels are an instance norm.
/// Parameters: weight, bias (each or none), one value per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// The channels are cut into this many groups.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", false), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.sizes_are("num_groups", 1, [self.groups])?;
        let valid = self.eps.is_finite() && self.eps >= 0.0;
        context.is("eps", "finite and not negative", self.eps, valid)?;
        [0, 1].into_iter().try_for_each(|index| {
            context.param_is(index, "(num_channels,)", |shape| {
                shape.rank() == 1 && shape[0].is_multiple_of(self.groups)
            })
        })
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        if x.rank() < 2 {
            return Err(context.rank("an input with channels as its second dimension", x));
        }
        for (index, role) in ["weight", "bias"].into_iter().enumerate() {
            if let Some(shape) = context.param_shape(index).filter(|shape| shape[0] != x[1]) {
                return Err(context.channels(role, "channels", shape[0], x[1], x));
            }
        }
        if !x[1].is_multiple_of(self.groups) {
            let expected = format!("a divisor of the {} channels of the input {x}", x[1]);
            return Err(context.attribute("num_groups", expected, self.groups));
        }
        Ok(x)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " groups {} eps {}", self.groups, self.eps)
    }
}
