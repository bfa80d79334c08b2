//! 1x1 convolutions that are computed with the batch norm or the factors in front of them.

use super::geometry::Geometry;
use super::values::{Compiler, Place};
use super::{Cost, weights};
use crate::error::Result;
use crate::graph::ops::{self, Conv2d};
use crate::graph::{NodeId, Op};
use crate::kernels::conv::{self, Prologue, PrologueDesc};
use crate::tensor::{Activation, BinaryOp, Shape, View};

/// What a node does to a map: the map, and the values that it is multiplied by, if they are not
/// the node's own.
struct Front {
    map: NodeId,
    gate: Option<NodeId>,
}

impl Compiler<'_> {
    /// Which nodes are what is done to a map that a 1x1 convolution alone reads, and that is better
    /// done together with it.
    pub fn find_prologues(&self) -> Vec<NodeId> {
        let mut found = Vec::new();
        if conv::is_forced() {
            return found;
        }
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let Op::Conv2d(op) = &node.op else { continue };
            let id = node.inputs[0];
            // What is computed with the convolution behind it reads its input where it lies.
            if self.is_inner(NodeId(index)) || !self.is_read_once(id) || self.front(id).is_none() {
                continue;
            }
            let [input, output] = [id, NodeId(index)].map(|id| View::physical(self.shape(id)));
            let geometry = Geometry::of(op, node, &input);
            let desc = geometry.desc(input.feature_map(), output.feature_map(), None, node.fused.activation);
            if PrologueDesc::part(&desc, self.isa).is_some() {
                found.push(id);
            }
        }
        found
    }

    /// A node as a prologue, if it can be one.
    fn front(&self, id: NodeId) -> Option<Front> {
        let node = self.node(id);
        match node.op {
            Op::BatchNorm(_) if matches!(node.fused.activation, Activation::Identity | Activation::Relu) => {
                Some(Front { map: node.inputs[0], gate: None })
            }
            Op::Binary(ops::Binary { op: BinaryOp::Mul, .. })
                if node.fused.activation == Activation::Identity =>
            {
                let shape = self.shape(id);
                let gates = Shape::new(&[shape[0], shape[1], 1, 1]);
                let [left, right] = [node.inputs[0], node.inputs[1]];
                let fits =
                    |&(map, gate): &(NodeId, NodeId)| self.shape(map) == shape && self.shape(gate) == gates;
                let (map, gate) = [(left, right), (right, left)].into_iter().find(fits)?;
                Some(Front { map, gate: Some(gate) })
            }
            _ => None,
        }
    }

    /// A convolution together with what stands in front of it, one of [`Self::find_prologues`].
    pub fn conv_behind_prologue(&mut self, id: NodeId, op: &Conv2d) -> Result<Place> {
        let node = self.node(id);
        let inner = self.node(node.inputs[0]);
        let Front { map, gate } = self.front(node.inputs[0]).expect("as when it was found");
        let from = self.place(map);
        let from = self.channels_last(&inner.name, from);
        let gate = gate.map(|gate| {
            let gate = self.place(gate);
            self.channels_last(&inner.name, gate)
        });
        let layout = self.layout(id);
        let residual = self.residual(id);
        let to = match residual {
            // What is read for other pixels must not be written over.
            Some(r) if [Some(from), gate].iter().flatten().all(|read| read.storage != r.storage) => {
                self.target_over(id, r, layout)
            }
            _ => self.target(id, layout),
        };
        let geometry = Geometry::of(op, node, &from.view);
        let residual_map = residual.map(|r| r.view.feature_map());
        let conv = geometry.desc(
            from.view.feature_map(),
            to.view.feature_map(),
            residual_map,
            node.fused.activation,
        );
        let part = PrologueDesc::part(&conv, self.isa).expect("as when it was found");
        let weight = node.params[0].as_ref().expect("a weight");
        let packed = part.packed(&conv, weight)?;
        let further: usize = residual.iter().chain(&gate).map(|read| read.view.distinct()).sum();
        let values = conv.input_read() + conv.output.view().distinct() + further;
        let cost = Cost { macs: conv.macs(), bytes: values * size_of::<f32>() + packed.bytes() };
        let prologue = match inner.op {
            Op::BatchNorm(ops::BatchNorm { eps }) => {
                let (scale, shift) = weights::batch_norm(inner, eps);
                Prologue::affine(&scale, &shift, inner.fused.activation == Activation::Relu)?
            }
            _ => Prologue::Gate { image_stride: gate.expect("its factors").view.strides[0] },
        };
        let epilogue = weights::epilogue(node)?;
        let kernel = PrologueDesc { conv, prologue }.prepare(packed, epilogue, self.isa, self.threads)?;
        let operands: Vec<Place> = [from].into_iter().chain(residual).chain(gate).collect();
        self.costed_step(&node.name, cost, kernel, &operands, to);
        Ok(to)
    }
}
