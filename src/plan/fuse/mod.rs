//! Which nodes are computed together. It is decided here, once and before anything is lowered;
//! lowering does what a [`Unit`] says.

mod conv_pool;
mod expand;
mod prologue;

use super::values::Compiler;
use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::conv;

pub(super) use conv_pool::ConvPool;
pub(super) use expand::{ExpandDepthwise, Project};
pub(super) use prologue::{Front, PrologueProduct};

/// What computes a node's value.
pub(super) enum Unit {
    /// The node's own kernels, if it has any.
    Node,
    /// A 1x1 convolution and the depthwise one that reads it, this node.
    ExpandDepthwise(ExpandDepthwise),
    /// The same or a depthwise convolution alone, and the 1x1 convolution behind it, this node.
    Project(Project),
    /// A batch norm or a product with factors, and the 1x1 convolution that reads it, this node.
    Prologue(PrologueProduct),
    /// A convolution and the maximum of 2x2 pixels that reads it, this node.
    ConvPool(ConvPool),
}

impl Unit {
    /// The nodes in front of the unit's own, whose values lie nowhere.
    pub fn covered(&self) -> Vec<NodeId> {
        match self {
            Self::Node => Vec::new(),
            Self::ExpandDepthwise(unit) => vec![unit.expand],
            Self::Project(unit) => unit.expand.into_iter().chain([unit.depthwise]).collect(),
            Self::Prologue(unit) => vec![unit.inner],
            Self::ConvPool(unit) => vec![unit.conv],
        }
    }
}

/// The units of a graph.
pub(super) struct Units(Vec<Option<Unit>>);

impl Units {
    /// The units for which there is a kernel. The convolutions of each have their candidates, so that
    /// nothing is left to choose.
    ///
    /// # Errors
    /// [`crate::Error::Environment`] if `RVISION_CONV` names no candidate.
    pub fn find(compiler: &Compiler<'_>) -> Result<Self> {
        let ids = || (0..compiler.graph.nodes.len()).map(NodeId);
        let mut units = Self(ids().map(|_| Some(Unit::Node)).collect());
        if conv::is_forced() {
            // The user asks for kernels of single convolutions.
            return Ok(units);
        }
        for id in ids() {
            if let Some(unit) = expand::expand_depthwise(compiler, id) {
                units.set(id, Unit::ExpandDepthwise(unit));
            }
        }
        for id in ids() {
            // A projection that is the next block's expansion has no value that could be written.
            if units.of(id).is_none() {
                continue;
            }
            let expansion = |depthwise| match units.of(depthwise) {
                Some(Unit::ExpandDepthwise(unit)) => Some(unit.expand),
                _ => None,
            };
            if let Some(unit) = expand::project(compiler, id, expansion) {
                units.set(id, Unit::Project(unit));
            }
        }
        for id in ids() {
            // What is computed with the convolution behind it reads its input where it lies.
            if units.of(id).is_some()
                && let Some(unit) = prologue::find(compiler, id)
            {
                units.set(id, Unit::Prologue(unit));
            }
        }
        for id in ids() {
            if let Some(unit) = conv_pool::find(compiler, id)?
                && matches!(units.of(unit.conv), Some(Unit::Node))
            {
                units.set(id, Unit::ConvPool(unit));
            }
        }
        Ok(units)
    }

    /// What computes a node's value, unless it is computed with the node that reads it.
    pub fn of(&self, id: NodeId) -> Option<&Unit> {
        self.0[id.0].as_ref()
    }

    fn set(&mut self, id: NodeId, unit: Unit) {
        for covered in unit.covered() {
            self.0[covered.0] = None;
        }
        self.0[id.0] = Some(unit);
    }
}

#[cfg(test)]
mod tests;
