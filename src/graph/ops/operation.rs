//! What the graph asks of an operation. Each operation answers in a file of its own.

use std::fmt;

use super::context::{Context, Role};
use super::dense_form::DenseForm;
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// How many values an operation reads, without a residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// That many.
    Exactly(usize),
    /// One or more.
    AtLeastOne,
}

/// What passes may fuse into a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusible {
    /// Nothing.
    Nothing,
    /// An activation behind it.
    Activation,
    /// Scale, shift, residual and activation: a sum of products, with an epilogue.
    Epilogue,
}

/// An operand, for the choice of a result's order.
#[derive(Clone, Copy)]
pub struct Operand {
    /// In which order its dimensions lie.
    pub order: Order,
    /// Its shape.
    pub shape: Shape,
    /// Whether it is a parameter, which lies as it was given and is small.
    pub is_constant: bool,
}

/// The order of the first operand that has the result's shape and is computed, else of the first computed
/// one of the result's rank.
pub fn leading_order(inputs: &[Operand], output: Shape) -> Order {
    let computed = || inputs.iter().filter(|x| x.shape.rank() == output.rank() && !x.is_constant);
    let leading = computed().find(|x| x.shape == output).or_else(|| computed().next());
    leading.map_or(Order::logical(output.rank()), |x| x.order)
}

/// One operation: attributes, rules and names, no kernels.
pub trait Operation {
    /// Torch's name where torch has it: `conv2d`, `max_pool2d`, `relu`.
    fn name(&self) -> &'static str;

    /// How many values it reads.
    fn arity(&self) -> Arity {
        Arity::Exactly(1)
    }

    /// Its parameters, in the order that a node holds them in.
    fn roles(&self) -> &'static [Role] {
        &[]
    }

    /// Whether its attributes lie in their range and its parameters have the right shapes.
    ///
    /// # Errors
    /// The first that does not.
    fn check(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    /// The shape of its value for inputs of these shapes, by torch's rules. Attributes and parameters have
    /// been checked.
    ///
    /// # Errors
    /// If the inputs do not fit.
    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape>;

    /// The number of dimensions of its value, where that of its inputs tells it.
    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs.first().copied().flatten()
    }

    /// Multiply-adds for these shapes; see [`crate::graph::multiply_adds`] for what counts.
    fn multiply_adds(&self, _: &Context, _inputs: &[Shape], _output: Shape) -> u64 {
        0
    }

    /// Its operands as text; `read` are the names of its inputs.
    fn operands(&self, read: &[String]) -> String {
        read.join(", ")
    }

    /// Its attributes as text, each with a space before it. Torch's defaults are left out.
    ///
    /// # Errors
    /// Those of `out`.
    fn attributes(&self, _out: &mut String) -> fmt::Result {
        Ok(())
    }

    /// In which order its value's dimensions lie best: that of its first operand, if nothing else is said.
    fn order(&self, inputs: &[Operand], _output: Shape) -> Order {
        inputs[0].order
    }

    /// What passes may fuse into it.
    fn fusible(&self) -> Fusible {
        Fusible::Nothing
    }

    /// How it behaves when a classifier becomes a dense predictor. It is refused if nothing else is said.
    fn dense(&self) -> DenseForm<'_> {
        DenseForm::UNKNOWN
    }
}
