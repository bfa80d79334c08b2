//! Group norm and instance norm.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::Shape;

/// Normalisation of groups of channels, picture by picture. Parameters: weight, bias (both
/// optional), one value per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Number of groups of channels; `None` makes each channel a group: an instance norm.
    pub groups: Option<usize>,
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for GroupNorm {
    fn name(&self) -> &'static str {
        if self.groups.is_some() { "group_norm" } else { "instance_norm" }
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", false), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        let groups = self.groups.unwrap_or(1);
        context.sizes_are("num_groups", 1, [groups])?;
        let valid = self.eps.is_finite() && self.eps >= 0.0;
        context.is("eps", "finite and not negative", self.eps, valid)?;
        [0, 1].into_iter().try_for_each(|index| {
            context.param_is(index, "(num_channels,)", |shape| {
                shape.rank() == 1 && shape[0].is_multiple_of(groups)
            })
        })
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        if x.rank() < 2 + usize::from(self.groups.is_none()) {
            let expected = match self.groups {
                Some(_) => "an input with channels as its second dimension",
                None => "an input (N, C, ...) with positions behind the channels",
            };
            return Err(context.rank(expected, x));
        }
        for (index, role) in ["weight", "bias"].into_iter().enumerate() {
            if let Some(shape) = context.param_shape(index).filter(|shape| shape[0] != x[1]) {
                return Err(context.channels(role, "channels", shape[0], x[1], x));
            }
        }
        let groups = self.groups.unwrap_or(x[1]);
        if groups > 0 && !x[1].is_multiple_of(groups) {
            let expected = format!("a divisor of the {} channels of the input {x}", x[1]);
            return Err(context.attribute("num_groups", expected, groups));
        }
        // With a number of groups, torch counts the pictures too, although each has its own
        // statistics.
        let single = match self.groups {
            Some(groups) => x.numel() == groups && x[1] == groups,
            None => x[2..].iter().product::<usize>() == 1,
        };
        if single {
            return Err(context.rank("an input with more than one value in a group", x));
        }
        Ok(x)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.groups.map_or(Ok(()), |groups| write!(out, " groups {groups}"))?;
        write!(out, " eps {}", self.eps)
    }
}
