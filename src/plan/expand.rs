//! Convolutions that are computed together: a 1x1 convolution with the depthwise one that reads it, and
//! that with the 1x1 convolution behind it.

use super::geometry::Geometry;
use super::values::{Compiler, Place};
use super::{Cost, weights};
use crate::error::Result;
use crate::graph::ops::Conv2d;
use crate::graph::{NodeId, Op};
use crate::kernels::conv::{self, Candidate, ConvDesc, ExpandDepthwiseDesc, ProjectDesc};
use crate::tensor::{FeatureMap, Packed, View};

impl Compiler<'_> {
    /// Which nodes are convolutions whose value another one alone reads, and that have a kernel
    /// together with it.
    pub fn find_inner(&self) -> Vec<bool> {
        let mut found = vec![false; self.graph.nodes.len()];
        if conv::is_forced() {
            return found;
        }
        for id in (0..self.graph.nodes.len()).map(NodeId) {
            if let Some(inner) = self.read_by(id) {
                let desc = ExpandDepthwiseDesc {
                    expand: self.conv_desc(inner, self.feature_map(self.node(inner).inputs[0]), None),
                    depthwise: self.conv_desc(id, self.feature_map(inner), None),
                };
                found[inner.0] = !self.node(id).fused.residual && desc.parts(self.isa).is_some();
            }
        }
        for id in (0..self.graph.nodes.len()).map(NodeId) {
            // A projection that is the next block's expansion has no value that could be written.
            if let Some(depthwise) = self.read_by(id).filter(|_| !found[id.0]) {
                let front = self.node(depthwise).inputs[0];
                let expand = found[front.0].then_some(front);
                let input = self.feature_map(self.node(expand.unwrap_or(depthwise)).inputs[0]);
                let residual = self.node(id).fused.residual.then(|| self.feature_map(id));
                let desc = self.project_desc(expand, id, input, self.feature_map(id), residual);
                found[depthwise.0] |= desc.parts(self.isa).is_some() && desc.pays(self.isa, self.threads);
            }
        }
        found
    }

    /// The convolution without a residual whose value a convolution alone reads.
    fn read_by(&self, id: NodeId) -> Option<NodeId> {
        let Op::Conv2d(_) = self.node(id).op else { return None };
        let inner = self.node(id).inputs[0];
        let Op::Conv2d(_) = self.node(inner).op else { return None };
        (self.is_read_once(inner) && !self.node(inner).fused.residual).then_some(inner)
    }

    /// A node's value as a map, if nothing else decides where it lies.
    fn feature_map(&self, id: NodeId) -> FeatureMap {
        self.layout(id).feature_map()
    }

    /// The descriptor of a convolution that reads a map which lies like this.
    fn conv_desc(&self, id: NodeId, input: FeatureMap, residual: Option<FeatureMap>) -> ConvDesc {
        let node = self.node(id);
        let Op::Conv2d(op) = &node.op else { unreachable!("a convolution") };
        let geometry = Geometry::of(op, node, &View::physical(self.shape(node.inputs[0])));
        let output = self.wanted(id).map_or_else(|| self.feature_map(id), |place| place.view.feature_map());
        geometry.desc(input, output, residual, node.fused.activation)
    }

    /// The descriptor of a projection with the depthwise convolution in front of it, and the expansion in
    /// front of that.
    fn project_desc(
        &self,
        expand: Option<NodeId>,
        id: NodeId,
        input: FeatureMap,
        output: FeatureMap,
        residual: Option<FeatureMap>,
    ) -> ProjectDesc {
        let depthwise = self.node(id).inputs[0];
        let wide = if expand.is_some() { self.feature_map(self.node(depthwise).inputs[0]) } else { input };
        ProjectDesc {
            expand: expand.map(|expand| self.conv_desc(expand, input, None)),
            depthwise: self.conv_desc(depthwise, wide, None),
            project: ConvDesc { output, ..self.conv_desc(id, self.feature_map(depthwise), residual) },
        }
    }

    /// A convolution together with the one or two in front of it, of [`Self::find_inner`].
    pub fn conv2d_with_inner(&mut self, id: NodeId, op: &Conv2d) -> Result<Place> {
        if op.groups == 1 { self.project(id) } else { self.expand_depthwise(id) }
    }

    /// A depthwise convolution together with the 1x1 convolution in front of it.
    fn expand_depthwise(&mut self, id: NodeId) -> Result<Place> {
        let node = self.node(id);
        let inner = node.inputs[0];
        let from = self.place(self.node(inner).inputs[0]);
        let from = self.channels_last(&self.node(inner).name, from);
        let to = self.target(id, self.layout(id));
        let desc = ExpandDepthwiseDesc {
            expand: self.conv_desc(inner, from.view.feature_map(), None),
            depthwise: self.conv_desc(id, self.feature_map(inner), None),
        };
        let parts = desc.parts(self.isa).expect("as when it was found");
        let descs = [&desc.expand, &desc.depthwise];
        let packed = self.packed_of(&[inner, id], &descs, &parts)?;
        let cost = cost(&descs, &packed, None);
        let packed = <[_; 2]>::try_from(packed).expect("two");
        let epilogues = [weights::epilogue(self.node(inner))?, weights::epilogue(node)?];
        let kernel = desc.prepare(packed, epilogues, self.isa, self.threads)?;
        self.costed_step(&node.name, cost, kernel, &[from], to);
        Ok(to)
    }

    /// A 1x1 convolution together with the depthwise one in front of it, and the 1x1 convolution in front
    /// of that if it has no value of its own either.
    fn project(&mut self, id: NodeId) -> Result<Place> {
        let node = self.node(id);
        let depthwise = node.inputs[0];
        let front = self.node(depthwise).inputs[0];
        let expand = self.is_inner(front).then_some(front);
        let first = expand.unwrap_or(depthwise);
        let ids: Vec<NodeId> = expand.into_iter().chain([depthwise, id]).collect();
        let from = self.place(self.node(first).inputs[0]);
        let from = self.channels_last(&self.node(first).name, from);
        let residual = self.residual(id);
        let to = self.target_of_sum(id, from, residual, self.layout(id));
        let desc = self.project_desc(
            expand,
            id,
            from.view.feature_map(),
            to.view.feature_map(),
            residual.map(|residual| residual.view.feature_map()),
        );
        let parts = desc.parts(self.isa).expect("as when it was found");
        let descs: Vec<&ConvDesc> = desc.convolutions().collect();
        let packed = self.packed_of(&ids, &descs, &parts)?;
        let other =
            residual.filter(|residual| residual.storage != from.storage || residual.view != from.view);
        let cost = cost(&descs, &packed, other);
        let epilogues = ids.iter().map(|&id| weights::epilogue(self.node(id))).collect::<Result<_>>()?;
        let kernel = desc.prepare(packed, epilogues, self.isa, self.threads)?;
        let operands: Vec<Place> = [from].into_iter().chain(residual).collect();
        self.costed_step(&node.name, cost, kernel, &operands, to);
        Ok(to)
    }

    /// The convolutions' weights as the kernels read them.
    fn packed_of(&self, ids: &[NodeId], descs: &[&ConvDesc], parts: &[&Candidate]) -> Result<Vec<Packed>> {
        let pack = |((&id, &desc), part): ((&NodeId, &&ConvDesc), &&Candidate)| {
            let weight = self.node(id).params[0].as_ref().expect("a weight");
            part.packed(desc, weight)
        };
        ids.iter().zip(descs).zip(parts).map(pack).collect()
    }
}

/// The cost of convolutions whose values in between lie nowhere.
fn cost(descs: &[&ConvDesc], packed: &[Packed], residual: Option<Place>) -> Cost {
    let values = descs[0].input_read()
        + descs[descs.len() - 1].output.view().distinct()
        + residual.map_or(0, |residual| residual.view.distinct());
    Cost {
        macs: descs.iter().fold(0, |sum, desc| sum.saturating_add(desc.macs())),
        bytes: values * size_of::<f32>() + packed.iter().map(Packed::bytes).sum::<usize>(),
    }
}
