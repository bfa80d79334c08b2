use crate::graph::ops::operation::Fusible;
use crate::graph::{Graph, Op};
use crate::tensor::Activation;

use super::rewrite::Rewrite;

/// Fuses an activation into the node it reads, if it is that node's only reader: a convolution or
/// linear layer (with its sum, if any), a separate batch norm, or a binary operation on two values.
/// The node takes the activation's name. This saves a second pass over the values.
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
