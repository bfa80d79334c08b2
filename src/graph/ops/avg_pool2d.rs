//! Average pooling.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Operand, Operation};
use super::window::Window;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Average of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    /// The window; its dilation is 1 as traced.
    pub window: Window,
    /// Whether padding zeros count in the divisor.
    pub count_include_pad: bool,
    /// A divisor instead of the window's size.
    pub divisor_override: Option<usize>,
}

impl Operation for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn check(&self, context: &Context) -> Result<()> {
        let Self { window, divisor_override, .. } = self;
        window.check(context)?;
        context.is("dilation", "1 for an average", window.dilation, window.dilation == [1, 1])?;
        context.is("divisor_override", "positive", divisor_override, *divisor_override != Some(0))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        self.window.shape(context, inputs[0])
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(4)
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.window.write(out)?;
        if !self.count_include_pad && self.window.padding != [0; 4] {
            write!(out, " count_include_pad false")?;
        }
        self.divisor_override.map_or(Ok(()), |divisor| write!(out, " divisor_override {divisor}"))
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::physical(output.rank())
    }

    fn dense(&self) -> DenseForm<'_> {
        if self.window.ceil_mode && self.count_include_pad && self.window.padding != [0; 4] {
            DenseForm::Refused {
                what: "an average that counts its padding, with ceil_mode, in a dense form",
                advice: "",
            }
        } else {
            DenseForm::Pool(&self.window)
        }
    }
}
