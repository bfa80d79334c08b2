//! The interface of operations to the graph. Each operation implements it in its own file.

use std::fmt;

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// The number of values that an operation reads, without a residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly this number.
    Exactly(usize),
    /// One or more.
    AtLeastOne,
}

/// What passes may fuse into a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusible {
    /// Nothing.
    Nothing,
    /// An activation after it.
    Activation,
    /// Scale, shift, residual and activation: a sum of products, with an epilogue.
    Epilogue,
}

/// The channels that an epilogue scales, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// The second dimension, as that of pictures.
    Second(usize),
    /// The last dimension.
    Last(usize),
}

/// An operand, for choosing a result's order.
#[derive(Clone, Copy)]
pub struct Operand {
    /// The order of its dimensions.
    pub order: Order,
    /// Its shape.
    pub shape: Shape,
    /// Whether it is a parameter, which is small and keeps the order it was given in.
    pub is_constant: bool,
}

/// The order of the first computed operand with the result's shape, else of the first computed
/// operand with the result's rank.
pub fn leading_order(inputs: &[Operand], output: Shape) -> Order {
    let computed = || inputs.iter().filter(|x| x.shape.rank() == output.rank() && !x.is_constant);
    let leading = computed().find(|x| x.shape == output).or_else(|| computed().next());
    leading.map_or(Order::logical(output.rank()), |x| x.order)
}

/// One operation: attributes, rules and names, no kernels.
pub trait Operation {
    /// torch's name, if torch has the operation: `conv2d`, `max_pool2d`, `relu`.
    fn name(&self) -> &'static str;

    /// The number of values it reads.
    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    /// Its parameters, in the order in which a node holds them.
    fn roles(&self) -> &'static [Role] {
        &[]
    }

    /// Checks that its attributes are in range and its parameters have the right shapes.
    ///
    /// # Errors
    /// The first that is wrong.
    fn check(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    /// The shape of its value for inputs of these shapes, by torch's rules. Attributes and
    /// parameters have been checked.
    ///
    /// # Errors
    /// If the inputs do not fit.
    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape>;

    /// The number of dimensions of its value, if it follows from that of its inputs.
    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs.first().copied().flatten()
    }

    /// Multiply-adds for these shapes, as defined in [`crate::graph::multiply_adds`].
    fn multiply_adds(&self, _: &Context, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    /// Its operands as text; `read` are the names of its inputs.
    fn operands(&self, read: &[String]) -> String {
        read.join(", ")
    }

    /// Its attributes as text, each preceded by a space. torch's defaults are omitted.
    ///
    /// # Errors
    /// Those of `out`.
    fn attributes(&self, _out: &mut String) -> fmt::Result {
        Ok(())
    }

    /// The preferred order of its value's dimensions; by default that of its first operand.
    fn order(&self, inputs: &[Operand], _output: Shape) -> Order {
        inputs[0].order
    }

    /// What passes may fuse into it.
    fn fusible(&self) -> Fusible {
        Fusible::Nothing
    }

    /// The channels of a sum of products: the first dimension of its weight.
    fn channels(&self, context: &Context) -> Channels {
        Channels::Last(context.weight()[0])
    }

    /// Its behaviour when a classifier becomes a dense predictor; by default it is refused.
    fn dense(&self) -> DenseForm<'_> {
        DenseForm::UNKNOWN
    }
}
