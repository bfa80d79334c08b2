//! Convolutions that are computed with the maximum of 2x2 pixels that reads them.

use super::geometry::Geometry;
use super::values::{Compiler, Place};
use super::{Cost, weights};
use crate::error::Result;
use crate::graph::ops::{self, Conv2d, Window};
use crate::graph::{Node, NodeId, Op};
use crate::kernels::conv::{self, Candidate, ConvPoolDesc};
use crate::tensor::View;

impl Compiler<'_> {
    /// Which nodes are convolutions that a pool alone reads, and that have a kernel together with it.
    pub fn find_pooled(&self) -> Result<Vec<NodeId>> {
        let mut found = Vec::new();
        if conv::is_forced() {
            return Ok(found);
        }
        for id in (0..self.graph.nodes.len()).map(NodeId) {
            let Op::MaxPool2d(ops::MaxPool2d(window)) = &self.node(id).op else { continue };
            let inner = self.node(id).inputs[0];
            let Op::Conv2d(op) = &self.node(inner).op else { continue };
            if !is_halving(window) || !self.is_read_once(inner) {
                continue;
            }
            let input = View::physical(self.shape(self.node(inner).inputs[0]));
            let (desc, part) = self.conv_pool_desc(id, inner, op, input)?;
            if desc.accepts(part) {
                found.push(inner);
            }
        }
        Ok(found)
    }

    /// The descriptor of a pool and the convolution in front of it, which reads a map that lies like this,
    /// and the convolution's kernel.
    fn conv_pool_desc(
        &self,
        id: NodeId,
        inner: NodeId,
        op: &Conv2d,
        input: View,
    ) -> Result<(ConvPoolDesc, &'static Candidate)> {
        let node = self.node(inner);
        let output = View::physical(self.shape(inner)).feature_map();
        let residual = node.fused.residual.then_some(output);
        let conv =
            Geometry::of(op, node, &input).desc(input.feature_map(), output, residual, node.fused.activation);
        let pooled = self.wanted(id).map_or(self.layout(id), |place| place.view);
        let part = conv::choose(&self.chosen_desc(inner, &conv), self.isa)?;
        Ok((ConvPoolDesc { conv, output: pooled.feature_map() }, part))
    }

    /// A pool together with the convolution in front of it.
    pub fn conv_pool(&mut self, id: NodeId) -> Result<Place> {
        let node: &Node = self.node(id);
        let inner = node.inputs[0];
        let Op::Conv2d(op) = &self.node(inner).op else { unreachable!("as when it was found") };
        let from = self.place(self.node(inner).inputs[0]);
        let from = self.channels_last(&self.node(inner).name, from);
        let to = self.target(id, self.layout(id));
        let (desc, part) = self.conv_pool_desc(id, inner, op, from.view)?;
        let weight = self.node(inner).params[0].as_ref().expect("a weight");
        let packed = part.packed(&desc.conv, weight)?;
        let values = desc.conv.input_read() + to.view.distinct();
        let cost = Cost { macs: desc.conv.macs(), bytes: values * size_of::<f32>() + packed.bytes() };
        let kernel = desc.prepare(part, packed, weights::epilogue(self.node(inner))?, self.threads)?;
        self.costed_step(&node.name, cost, kernel, &[from], to);
        Ok(to)
    }
}

/// Windows of 2x2 pixels, two apart, and none that hangs over the edge.
fn is_halving(window: &Window) -> bool {
    let Window { kernel, stride, padding, dilation, ceil_mode: _ } = window;
    [kernel, stride] == [&[2, 2]; 2] && *padding == [0; 4] && *dilation == [1, 1]
}
