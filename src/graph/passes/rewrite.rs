//! Helpers of passes: rebuilding a graph, layers that operations can be fused into, ranks.

use crate::graph::ops::operation::Fusible;
use crate::graph::{Graph, Node, NodeId, Op};
use crate::tensor::Activation;

/// A graph that is rebuilt, node by node, from an old one.
pub(super) struct Rewrite<'g> {
    pub(super) old: &'g Graph,
    pub(super) nodes: Vec<Node>,
    /// The new id of each old node's value.
    pub(super) now: Vec<NodeId>,
}

impl<'g> Rewrite<'g> {
    pub(super) fn new(old: &'g Graph) -> Self {
        Self { old, nodes: Vec::with_capacity(old.nodes.len()), now: Vec::with_capacity(old.nodes.len()) }
    }

    /// Maps the next old node to a new node.
    pub(super) fn keep(&mut self, node: Node) {
        let id = self.append(node);
        self.now.push(id);
    }

    /// Maps the next old node to the value of an earlier old one.
    pub(super) fn replace_by(&mut self, old: NodeId) {
        self.now.push(self.now[old.0]);
    }

    /// Drops the next old node; its value must have no readers.
    pub(super) fn leave_out(&mut self) {
        self.now.push(NodeId(usize::MAX));
    }

    /// Adds a new node without an old counterpart; its inputs are new ids already.
    pub(super) fn append_raw(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Adds a new node whose inputs are old ids.
    pub(super) fn append(&mut self, mut node: Node) -> NodeId {
        for id in &mut node.inputs {
            *id = self.now[id.0];
        }
        self.append_raw(node)
    }

    pub(super) fn now(&self, old: NodeId) -> NodeId {
        self.now[old.0]
    }

    pub(super) fn finish(self) -> Graph {
        let ids = |old: &[NodeId]| old.iter().map(|id| self.now[id.0]).collect();
        Graph { inputs: ids(&self.old.inputs), outputs: ids(&self.old.outputs), nodes: self.nodes }
    }
}

/// A convolution or linear layer whose value has a single reader, directly or after a permutation.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    /// The layer.
    pub(super) layer: NodeId,
    /// The permutation after it.
    pub(super) permute: Option<NodeId>,
}

impl Sum {
    /// The layer that computes the value `id`, if only scale and shift have been fused into it yet.
    pub(super) fn behind(graph: &Graph, uses: &[usize], id: NodeId) -> Option<Self> {
        let is_free = |id: NodeId| {
            let node = &graph.nodes[id.0];
            node.op.rules().fusible() == Fusible::Epilogue
                && uses[id.0] == 1
                && !node.fused.residual
                && node.fused.activation == Activation::Identity
        };
        let node = &graph.nodes[id.0];
        let permuted = matches!(node.op, Op::Permute(_)) && uses[id.0] == 1;
        if is_free(id) {
            Some(Self { layer: id, permute: None })
        } else if permuted && is_free(node.inputs[0]) {
            Some(Self { layer: node.inputs[0], permute: Some(id) })
        } else {
            None
        }
    }

    /// The permutation of the dimensions after the layer, if there is one.
    pub(super) fn dims(self, graph: &Graph) -> Option<&[usize]> {
        match &graph.nodes[self.permute?.0].op {
            Op::Permute(permute) => Some(&permute.dims),
            _ => None,
        }
    }
}

/// The number of dimensions of each value, if it follows from the operations.
pub(super) fn ranks(graph: &Graph) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<_> = node.inputs.iter().map(|id| ranks[id.0]).collect();
        ranks.push(node.op.rules().rank(&node.context(), &inputs));
    }
    ranks
}
