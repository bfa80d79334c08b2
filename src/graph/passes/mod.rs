//! Edits that make a graph faster and leave what it computes alone.
//!
//! Each pass is one file and a pure function from graph to graph. Values that are graph outputs,
//! or are read more than once, stay as they are.

mod dead_code;
mod drop_identity;
mod fold_batch_norm;
mod fold_scale;
mod fuse_activation;
mod fuse_add;
mod mean_before_linear;
mod split_residual;

pub use dead_code::dead_code;
pub use drop_identity::drop_identity;
pub use fold_batch_norm::fold_batch_norm;
pub use fold_scale::fold_scale;
pub use fuse_activation::fuse_activation;
pub use fuse_add::fuse_add;
pub use mean_before_linear::mean_before_linear;
pub use split_residual::split_broadcast_residuals;

use super::ops::operation::Fusible;
use super::{Graph, Node, NodeId, Op};
use crate::tensor::Activation;

/// A pass and its name.
pub type Pass = (&'static str, fn(&Graph) -> Graph);

/// The passes in their order: dead readers and identities would stand between a convolution and
/// what fuses into it; batch norm and scale come before the sum, the sum before the activation. A mean
/// behind a layer changes places with it once scale and shift are part of the layer; what stood
/// behind the mean may then be so too. What became a part of other nodes is dead in the end.
pub const PASSES: [Pass; 10] = [
    ("dead_code", dead_code),
    ("drop_identity", drop_identity),
    ("fold_batch_norm", fold_batch_norm),
    ("fold_scale", fold_scale),
    ("mean_before_linear", mean_before_linear),
    ("fold_batch_norm", fold_batch_norm),
    ("fold_scale", fold_scale),
    ("fuse_add", fuse_add),
    ("fuse_activation", fuse_activation),
    ("dead_code", dead_code),
];

/// All passes.
///
/// # Panics
/// If a pass breaks the graph, which is a bug of the pass.
#[must_use]
pub fn optimize(mut graph: Graph) -> Graph {
    for (name, pass) in PASSES {
        graph = pass(&graph);
        if let Err(broken) = graph.validate() {
            panic!("pass {name}: {broken}");
        }
    }
    graph
}

/// A graph that is written anew, node by node, from an old one.
struct Rewrite<'g> {
    old: &'g Graph,
    nodes: Vec<Node>,
    /// Where each old node's value is now.
    now: Vec<NodeId>,
}

impl<'g> Rewrite<'g> {
    fn new(old: &'g Graph) -> Self {
        Self { old, nodes: Vec::with_capacity(old.nodes.len()), now: Vec::with_capacity(old.nodes.len()) }
    }

    /// The value of the next old node is that of a new node.
    fn keep(&mut self, node: Node) {
        let id = self.append(node);
        self.now.push(id);
    }

    /// The value of the next old node is that of an earlier old one.
    fn replace_by(&mut self, old: NodeId) {
        self.now.push(self.now[old.0]);
    }

    /// The next old node's value is no longer there; nobody may read it.
    fn leave_out(&mut self) {
        self.now.push(NodeId(usize::MAX));
    }

    /// A new node that stands for no old one alone; its inputs are new ids already.
    fn append_raw(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// A new node whose inputs are old ids.
    fn append(&mut self, mut node: Node) -> NodeId {
        for id in &mut node.inputs {
            *id = self.now[id.0];
        }
        self.append_raw(node)
    }

    fn now(&self, old: NodeId) -> NodeId {
        self.now[old.0]
    }

    fn finish(self) -> Graph {
        let ids = |old: &[NodeId]| old.iter().map(|id| self.now[id.0]).collect();
        Graph { inputs: ids(&self.old.inputs), outputs: ids(&self.old.outputs), nodes: self.nodes }
    }
}

/// A convolution or linear layer whose value reaches a reader alone: directly, or in another order of
/// its dimensions.
#[derive(Clone, Copy)]
struct Sum {
    /// The layer.
    layer: NodeId,
    /// The permutation behind it.
    permute: Option<NodeId>,
}

impl Sum {
    /// Behind the value `id`, if nothing but scale and shift has been fused into the layer yet.
    fn behind(graph: &Graph, uses: &[usize], id: NodeId) -> Option<Self> {
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
    fn dims(self, graph: &Graph) -> Option<&[usize]> {
        match &graph.nodes[self.permute?.0].op {
            Op::Permute(permute) => Some(&permute.dims),
            _ => None,
        }
    }
}

/// The number of dimensions of each value, where the operations alone tell it.
fn ranks(graph: &Graph) -> Vec<Option<usize>> {
    let mut ranks: Vec<Option<usize>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<_> = node.inputs.iter().map(|id| ranks[id.0]).collect();
        ranks.push(node.op.rules().rank(&node.context(), &inputs));
    }
    ranks
}
