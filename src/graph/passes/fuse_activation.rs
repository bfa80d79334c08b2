use crate::graph::{Graph, Op};
use crate::tensor::Activation;

use super::Rewrite;

/// Move an activation that alone reads a convolution or linear layer (with its sum, if it has
/// one) into that layer, which takes its name.
#[must_use]
pub fn fuse_activation(graph: &Graph) -> Graph {
    let uses = graph.uses();
    let mut new = Rewrite::new(graph);
    for node in &graph.nodes {
        if let Op::Activation(activation) = node.op {
            let x = node.inputs[0];
            let sum = &mut new.nodes[new.now[x.0].0];
            if matches!(sum.op, Op::Conv2d(_) | Op::Linear)
                && uses[x.0] == 1
                && sum.fused.activation == Activation::Identity
            {
                sum.fused.activation = activation;
                sum.absorb(node);
                new.replace_by(x);
                continue;
            }
        }
        new.keep(node.clone());
    }
    new.finish()
}
