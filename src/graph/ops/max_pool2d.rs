//! Max pooling.

use std::fmt;

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use super::window::Window;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// The maximum of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d(pub Window);

impl Operation for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn check(&self, context: &Context) -> Result<()> {
        self.0.check(context)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        self.0.shape(context, inputs[0])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.0.write(out)
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Pool(&self.0)
    }
}
