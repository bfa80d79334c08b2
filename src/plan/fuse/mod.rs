//! Decides which nodes are fused: here only, before anything is lowered. Lowering follows the
//! [`Unit`].

mod conv_pool;
mod expand;
mod prologue;

use super::values::Compiler;
use crate::graph::NodeId;

pub(super) use conv_pool::ConvPool;
pub(super) use expand::{ExpandDepthwise, Project};
pub(super) use prologue::{Front, PrologueProduct};

/// The unit that computes a node's value.
pub(super) enum Unit {
    /// The node's own kernels, if it has any.
    Node,
    /// A 1x1 convolution and the depthwise one that reads it, which is this node.
    ExpandDepthwise(ExpandDepthwise),
    /// The same (or a depthwise convolution alone) and the 1x1 convolution after it, which is this
    /// node.
    Project(Project),
    /// A batch norm or a product with factors, and the 1x1 convolution that reads it, which is this
    /// node.
    Prologue(PrologueProduct),
    /// A convolution and the 2x2 max pool that reads it, which is this node.
    ConvPool(ConvPool),
}

impl Unit {
    /// The nodes before the unit's own; their values have no memory.
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
    /// The units for which there is a kernel. Each has the candidates of its convolutions, so
    /// lowering has nothing to choose.
    pub fn find(compiler: &Compiler<'_>) -> Self {
        let ids = || (0..compiler.graph.nodes.len()).map(NodeId);
        let mut units = Self(ids().map(|_| Some(Unit::Node)).collect());
        if compiler.forced.is_some() {
            // The user forces kernels of single convolutions.
            return units;
        }
        for id in ids() {
            if let Some(unit) = expand::expand_depthwise(compiler, id) {
                units.set(id, Unit::ExpandDepthwise(unit));
            }
        }
        for id in ids() {
            // A projection that is the next block's expansion has no value to write.
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
            // A node fused with the convolution after it reads its input in place.
            if units.of(id).is_some()
                && let Some(unit) = prologue::find(compiler, id)
            {
                units.set(id, Unit::Prologue(unit));
            }
        }
        for id in ids() {
            if let Some(unit) = conv_pool::find(compiler, id)
                && matches!(units.of(unit.conv), Some(Unit::Node))
            {
                units.set(id, Unit::ConvPool(unit));
            }
        }
        units
    }

    /// The unit that computes a node's value, unless the node is fused into its reader.
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
