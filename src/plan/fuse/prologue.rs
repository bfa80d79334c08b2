//! 1x1 convolutions fused with the batch norm or the factors before them.

use crate::graph::ops::{self};
use crate::graph::{NodeId, Op};
use crate::kernels::conv::{Candidate, PrologueDesc};
use crate::plan::values::Compiler;
use crate::tensor::{Activation, BinaryOp, Shape, View};

/// The operation on a map before a 1x1 convolution.
pub enum Front {
    /// A batch norm with this epsilon, optionally followed by ReLU.
    BatchNorm { eps: f64 },
    /// A product with this node's value for each picture and channel.
    Gate(NodeId),
}

/// A 1x1 convolution fused with its prologue.
pub struct PrologueProduct {
    /// The map that the prologue reads.
    pub map: NodeId,
    pub front: Front,
    /// The prologue's node.
    pub inner: NodeId,
    pub conv: NodeId,
    /// The candidate of the convolution, whose packed weights the kernel reads.
    pub part: &'static Candidate,
}

/// The unit of a 1x1 convolution that is the only reader of a possible prologue.
pub fn find(compiler: &Compiler<'_>, id: NodeId) -> Option<PrologueProduct> {
    let Op::Conv2d(_) = compiler.node(id).op else { return None };
    let inner = compiler.node(id).inputs[0];
    if !compiler.is_read_once(inner) {
        return None;
    }
    let (map, front) = front(compiler, inner)?;
    let [input, output] = [inner, id].map(|id| View::physical(compiler.shape(id)).feature_map());
    let part = PrologueDesc::part(&compiler.conv_desc_to(id, input, output, None), compiler.isa)?;
    Some(PrologueProduct { map, front, inner, conv: id, part })
}

/// A node as a prologue, if it can be one: its input and its operation.
fn front(compiler: &Compiler<'_>, id: NodeId) -> Option<(NodeId, Front)> {
    let node = compiler.node(id);
    match node.op {
        Op::BatchNorm(ops::BatchNorm { eps })
            if matches!(node.fused.activation, Activation::Identity | Activation::Relu) =>
        {
            Some((node.inputs[0], Front::BatchNorm { eps }))
        }
        Op::Binary(ops::Binary { op: BinaryOp::Mul, .. })
            if node.fused.activation == Activation::Identity =>
        {
            let shape = compiler.shape(id);
            let gates = Shape::new(&[shape[0], shape[1], 1, 1]);
            let [left, right] = [node.inputs[0], node.inputs[1]];
            let fits = |&(map, gate): &(NodeId, NodeId)| {
                compiler.shape(map) == shape && compiler.shape(gate) == gates
            };
            let (map, gate) = [(left, right), (right, left)].into_iter().find(fits)?;
            Some((map, Front::Gate(gate)))
        }
        _ => None,
    }
}
