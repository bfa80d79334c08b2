//! What passes share: writing a graph anew, layers whose sums can take something over, ranks.

use crate::graph::ops::operation::Fusible;
use crate::graph::{Graph, Node, NodeId, Op};
use crate::tensor::Activation;

/// A graph that is written anew, node by node, from an old one.
pub(super) struct Rewrite<'g> {
    pub(super) old: &'g Graph,
    pub(super) nodes: Vec<Node>,
    /// Where each old node's value is now.
    pub(super) now: Vec<NodeId>,
}

impl<'g> Rewrite<'g> {
    pub(super) fn new(old: &'g Graph) -> Self {
        Self { old, nodes: Vec::with_capacity(old.nodes.len()), now: Vec::with_capacity(old.nodes.len()) }
    }

    /// The value of the next old node is that of a new node.
    pub(super) fn keep(&mut self, node: Node) {
        let id = self.append(node);
        self.now.push(id);
    }

    /// The value of the next old node is that of an earlier old one.
    pub(super) fn replace_by(&mut self, old: NodeId) {
        self.now.push(self.now[old.0]);
    }

    /// The next old node's value is no longer there; nobody may read it.
    pub(super) fn leave_out(&mut self) {
        self.now.push(NodeId(usize::MAX));
    }

    /// A new node that stands for no old one alone; its inputs are new ids already.
    pub(super) fn append_raw(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// A new node whose inputs are old ids.
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

/// A convolution or linear layer whose value reaches a reader alone: directly, or in another order of
/// its dimensions.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    /// The layer.
    pub(super) layer: NodeId,
    /// The permutation behind it.
    pub(super) permute: Option<NodeId>,
}

impl Sum {
    /// Behind the value `id`, if nothing but scale and shift has been fused into the layer yet.
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

    /// The order of the dimensions behind the layer, if it is another one.
    pub(super) fn dims(self, graph: &Graph) -> Option<&[usize]> {
        match &graph.nodes[self.permute?.0].op {
            Op::Permute(permute) => Some(&permute.dims),
            _ => None,
        }
    }
}

/// The number of dimensions of each value, where the operations alone tell it.
pub(super) fn ranks(graph: &Graph) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<_> = node.inputs.iter().map(|id| ranks[id.0]).collect();
        ranks.push(node.op.rules().rank(&node.context(), &inputs));
    }
    ranks
}
