//! A linear layer.

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use super::operation::{Fusible, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// `x W^T + b` over the last dimension. Parameters: weight `[out, in]`, bias (optional).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear;

impl Operation for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn roles(&self) -> &'static [Role] {
        &[("weight", true), ("bias", false)]
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.param_is(0, "(out_features, in_features), none of them 0", |shape| {
            shape.rank() == 2 && !shape.contains(&0)
        })?;
        context.vector(1, context.weight()[0])
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let x = inputs[0];
        context.at_least_1d(x)?;
        let weight = context.weight();
        let last = x.rank() - 1;
        if x[last] != weight[1] {
            return Err(context.channels("weight", "features", weight[1], x[last], x));
        }
        let mut dims = x.to_vec();
        dims[last] = weight[0];
        context.shape(&dims)
    }

    fn multiply_adds(&self, context: &Context, _: &[Shape], output: Shape) -> u64 {
        output.product_with(&context.weight()[1..])
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::logical(output.rank())
    }

    fn fusible(&self) -> Fusible {
        Fusible::Epilogue
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Linear
    }
}
