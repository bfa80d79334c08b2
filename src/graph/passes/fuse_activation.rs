use crate::graph::ops::operation::Fusible;
use crate::graph::{Graph, Op};
use crate::tensor::Activation;

use super::rewrite::Rewrite;

/// Move an activation that alone reads a convolution or linear layer (with its sum, if it has
/// one), a batch norm of its own, or two values' sum or product into what it reads, which takes its
/// name: no second pass over the values.
#[must_use]
pub fn fuse_activation(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let mut new = Rewrite::new(graph);
    for node in &graph.nodes {
        if let Op::Activation(activation) = node.op {
            let x = node.inputs[0];
            let before = &mut new.nodes[new.now[x.0].0];
            if before.op.rules().fusible() != Fusible::Nothing
                && uses[x.0] == 1
                && before.fused.activation == Activation::Identity
            {
                before.fused.activation = activation;
                before.absorb(node);
                new.replace_by(x);
                continue;
            }
        }
        new.keep(node.clone());
    }
    new.finish()
}
