//! 1x1 convolutions that are computed with the depthwise convolution that reads them.

use super::compile::{Compiler, Place};
use super::lower::Geometry;
use super::{Cost, weights};
use crate::error::Result;
use crate::graph::{Conv2d, NodeId, Op};
use crate::kernels::conv::{self, ExpandDepthwiseDesc};
use crate::tensor::{Packed, View};

impl Compiler<'_> {
    /// Which nodes are 1x1 convolutions whose value a depthwise convolution alone reads, and that have
    /// a kernel together with it.
    pub fn find_expansions(&self) -> Vec<bool> {
        let mut found = vec![false; self.graph.nodes.len()];
        if conv::is_forced() {
            return found;
        }
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let Op::Conv2d(op) = &node.op else { continue };
            let id = node.inputs[0];
            let Op::Conv2d(inner) = &self.node(id).op else { continue };
            if node.fused.residual || self.node(id).fused.residual || !self.is_read_once(id) {
                continue;
            }
            let desc =
                self.pair(NodeId(index), op, id, inner, View::physical(self.shape(self.node(id).inputs[0])));
            found[id.0] = desc.parts(self.isa).is_some();
        }
        found
    }

    /// The descriptor of a convolution `id` and the one in front of it, `inner`, which reads a map that
    /// lies like this.
    fn pair(
        &self,
        id: NodeId,
        op: &Conv2d,
        inner: NodeId,
        inner_op: &Conv2d,
        input: View,
    ) -> ExpandDepthwiseDesc {
        let desc = |id: NodeId, op: &Conv2d, input: View| {
            let node = self.node(id);
            let geometry = Geometry::of(op, node, &input);
            let output = self.wanted(id).map_or(View::physical(self.shape(id)), |place| place.view);
            geometry.desc(input.feature_map(), output.feature_map(), None, node.fused.activation)
        };
        ExpandDepthwiseDesc {
            expand: desc(inner, inner_op, input),
            depthwise: desc(id, op, View::physical(self.shape(inner))),
        }
    }

    /// A depthwise convolution together with the 1x1 convolution in front of it, one of
    /// [`Self::find_expansions`].
    pub fn expand_depthwise(&mut self, id: NodeId, op: &Conv2d) -> Result<Place> {
        let node = self.node(id);
        let inner = node.inputs[0];
        let Op::Conv2d(inner_op) = &self.node(inner).op else {
            unreachable!("an expansion is a convolution")
        };
        let from = self.place(self.node(inner).inputs[0]);
        let from = self.channels_last(&self.node(inner).name, from);
        let to = self.target(id, View::physical(self.shape(id)));
        let desc = self.pair(id, op, inner, inner_op, from.view);
        let parts = desc.parts(self.isa).expect("as when it was found");
        let mut packed = Vec::with_capacity(2);
        for ((part, desc), id) in parts.iter().zip([desc.expand, desc.depthwise]).zip([inner, id]) {
            let weight = self.node(id).params[0].as_ref().expect("a weight");
            packed.push(weight.form((part.form)(&desc), |data| (part.pack)(&desc, data))?);
        }
        let packed = <[_; 2]>::try_from(packed).expect("two");
        let values = desc.expand.input_read() + desc.depthwise.output.view().distinct();
        let cost = Cost {
            macs: desc.expand.macs() + desc.depthwise.macs(),
            bytes: values * size_of::<f32>() + packed.iter().map(Packed::bytes).sum::<usize>(),
        };
        let epilogues = [weights::epilogue(self.node(inner))?, weights::epilogue(node)?];
        let kernel = desc.prepare(packed, epilogues, self.isa, self.threads);
        self.costed_step(&node.name, cost, kernel, &[from], to);
        Ok(to)
    }
}
