//! Layer norm.

use std::fmt::{self, Write};

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Normalisation over the last dimensions. Parameters: weight, bias (both optional), of `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// The sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", false), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        let Self { shape, eps } = self;
        context.is("normalized_shape", "at least one size", shape, !shape.is_empty())?;
        context.is("eps", "finite and not negative", eps, eps.is_finite() && *eps >= 0.0)?;
        let expected = format!("normalized_shape {shape:?}");
        [0, 1]
            .into_iter()
            .try_for_each(|index| context.param_is(index, expected.as_str(), |found| **found == shape[..]))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        if x.ends_with(&self.shape) {
            return Ok(x);
        }
        Err(context.attribute("normalized_shape", format!("the last sizes of the input {x}"), &self.shape))
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " over {:?} eps {}", self.shape, self.eps)
    }

    fn order(&self, inputs: &[Operand], output: Shape) -> Order {
        let rank = output.rank();
        let leads = rank - self.shape.len();
        Order::new(inputs[0].order.iter().filter(|&d| d < leads).chain(leads..rank))
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::AlongLast(self.shape.len())
    }
}
