//! A node: one operation with its inputs and parameters.

use std::sync::Arc;

use super::ops::Op;
use super::ops::context::Context;
use super::ops::operation::{Arity, Channels};
use crate::error::Result;
use crate::tensor::{Activation, Param, Shape};

/// Scale and shift per output channel, from a batch norm and a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factor; `None` is 1.
    pub scale: Option<Arc<[f32]>>,
    /// Added value; `None` is 0.
    pub shift: Option<Arc<[f32]>>,
}

/// Which shape the sum of a layer's result and its residual must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SumShape {
    /// Both broadcast to it.
    #[default]
    Broadcast,
    /// The layer's result: the residual was added to it in place.
    Layer,
    /// The residual: the layer's result was added to it in place.
    Residual,
}

/// The operations that passes have fused into a convolution or linear node:
/// `activation(scale * sum + shift + residual)`; into a batch norm or [`Op::Binary`], only the
/// activation. The bias parameter, if still present, is part of the sum.
#[derive(Clone, Debug, Default)]
pub struct Fused {
    /// Scale and shift of a batch norm.
    pub affine: Option<Affine>,
    /// Whether the node's second input is added.
    pub residual: bool,
    /// Which of the two determines the sum's shape.
    pub sum_shape: SumShape,
    /// Applied last.
    pub activation: Activation,
}

/// A node's index in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// torchvision's name: `layer1.0.conv2`, `layer1.0.relu_1`, `flatten`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// The nodes it reads; all precede it in the graph.
    pub inputs: Vec<NodeId>,
    /// Its parameters in the order given with the operation; `None` for an absent bias.
    pub params: Vec<Option<Arc<Param>>>,
    /// The operations fused into it.
    pub fused: Fused,
    /// The names of the nodes fused into this one, in execution order: a convolution that absorbed
    /// its batch norm and `relu` has the name `relu` and covers `conv1` and `bn1`. Empty for a node
    /// as traced.
    pub covers: Vec<String>,
}

impl Node {
    /// A node as traced, with nothing fused into it.
    pub fn new(
        name: impl Into<String>,
        op: impl Into<Op>,
        inputs: Vec<NodeId>,
        params: Vec<Option<Arc<Param>>>,
    ) -> Self {
        Self { name: name.into(), op: op.into(), inputs, params, fused: Fused::default(), covers: Vec::new() }
    }

    /// The name under which the operation itself was traced, regardless of operations fused after
    /// it; used in messages about an input that does not fit.
    pub fn traced_name(&self) -> &str {
        self.covers.first().unwrap_or(&self.name)
    }

    /// The name under which its residual was added; its own if it has none.
    pub fn sum_name(&self) -> &str {
        match self.covers.last() {
            // Only an activation can have been fused after a sum.
            Some(last) if self.fused.residual && self.fused.activation != Activation::Identity => last,
            _ => &self.name,
        }
    }

    /// The context of the operation's rules.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            name: self.traced_name(),
            sum_name: self.sum_name(),
            roles: self.op.rules().roles(),
            params: &self.params,
        }
    }

    /// Checks the operation's attributes and parameters, which is possible before the input's shape
    /// is known.
    pub(super) fn check(&self) -> Result<()> {
        let (context, rules) = (self.context(), self.op.rules());
        let count = self.inputs.len();
        match rules.arity() {
            Arity::Exactly(n) => context.is("inputs", &format!("{n} value(s)"), count, count == n)?,
            Arity::AtLeastOne => context.is("inputs", "at least one value", count, count > 0)?,
        }
        let (expected, count) = (context.roles.len(), self.params.len());
        context.is("parameters", &format!("{expected} value(s)"), count, count == expected)?;
        for ((name, required), param) in context.roles.iter().zip(&self.params) {
            context.is(name, "a parameter", format_args!("none"), param.is_some() || !required)?;
        }
        rules.check(&context)
    }

    /// The shape of the node's value for inputs of these shapes; not for an input node.
    ///
    /// # Errors
    /// If they do not fit.
    pub(super) fn shape(&self, inputs: &[Shape]) -> Result<Shape> {
        let context = self.context();
        let sum = self.op.rules().shape(&context, inputs)?;
        match inputs {
            [.., residual] if self.fused.residual => match self.fused.sum_shape {
                SumShape::Broadcast => context.broadcast(sum, *residual),
                SumShape::Layer => context.in_place(sum, *residual),
                SumShape::Residual => context.in_place(*residual, sum),
            },
            _ => Ok(sum),
        }
    }

    /// The channels of a sum of products.
    pub(super) fn channels(&self) -> Channels {
        self.op.rules().channels(&self.context())
    }

    /// The parameter at `index`, if it is present.
    pub fn param(&self, index: usize) -> Option<&Arc<Param>> {
        self.params.get(index).and_then(Option::as_ref)
    }

    /// Fuses `behind` into this node. It must be the only reader of this node's value, and this
    /// node takes its name.
    pub(super) fn absorb(&mut self, behind: &Self) {
        let name = std::mem::replace(&mut self.name, behind.name.clone());
        self.covers.push(name);
    }
}
