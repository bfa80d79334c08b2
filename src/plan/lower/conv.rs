//! Lowering of convolutions, separate and fused, and the product that linear layers share with
//! them.

use crate::error::Result;
use crate::graph::{Node, NodeId};
use crate::kernels::Kernel;
use crate::kernels::conv::{self, ConvDesc, Prologue, PrologueDesc};
use crate::plan::fuse::{ConvPool, ExpandDepthwise, Front, Project, PrologueProduct};
use crate::plan::geometry::Geometry;
use crate::plan::values::{Compiler, Place};
use crate::plan::{Cost, weights};
use crate::tensor::{Activation, FeatureMap, Packed, View};

/// What a convolution reads, and where its result goes.
#[derive(Clone, Copy)]
pub struct Operands {
    pub from: Place,
    pub residual: Option<Place>,
    pub to: Place,
}

impl Compiler<'_> {
    /// A separate convolution.
    pub fn conv2d(&mut self, id: NodeId) -> Result<Place> {
        let from = self.place(self.node(id).inputs[0]);
        let geometry = self.geometry(id);
        let layout = self.layout(id);
        let residual = self.residual(id);
        self.product(id, from, residual, geometry, layout, View::feature_map)
    }

    /// A convolution's residual, with dense channels.
    pub fn residual(&mut self, id: NodeId) -> Option<Place> {
        let node = self.node(id);
        let residual = node.fused.residual.then(|| self.place(node.inputs[1]))?;
        Some(self.channels_last(&node.name, residual))
    }

    /// The common part of convolutions and linear layers: choose, pack, prepare, place. `as_map`
    /// converts the result's view to a feature map.
    pub fn product(
        &mut self,
        id: NodeId,
        from: Place,
        residual: Option<Place>,
        geometry: Geometry,
        layout: View,
        as_map: impl Fn(&View) -> FeatureMap,
    ) -> Result<Place> {
        let node = self.node(id);
        let mut from = from;
        let to = self.target_of_sum(id, from, residual, layout);
        let desc = |from: &Place| {
            let residual = residual.map(|r| as_map(&r.view));
            geometry.desc(from.view.feature_map(), as_map(&to.view), residual, node.fused.activation)
        };
        let mut candidate = conv::choose(&self.chosen_desc(id, &desc(&from)), self.isa, self.forced);
        if candidate.isa != self.isa && !from.view.feature_map().channels_last() {
            // Only the portable path reads such an order, so a copy pays off.
            from = self.channels_last(&node.name, from);
            candidate = conv::choose(&self.chosen_desc(id, &desc(&from)), self.isa, self.forced);
        }
        let desc = desc(&from);
        let packed = weights::packed(node, &desc, candidate)?;
        let epilogue = self.epilogues.of(node)?;
        let weights = packed.bytes();
        let kernel = (candidate.prepare)(&desc, packed, epilogue, self.threads)?;
        self.convolution(id, &desc, weights, kernel, Operands { from, residual, to });
        Ok(to)
    }

    /// Add the step of a convolution that reads this many bytes of weights.
    pub fn convolution(
        &mut self,
        id: NodeId,
        desc: &ConvDesc,
        weights: usize,
        kernel: Box<dyn Kernel>,
        Operands { from, residual, to }: Operands,
    ) {
        let values = desc.input_read() + desc.output.view().distinct();
        let residual_values = residual.map_or(0, |r| r.view.distinct());
        let bytes = (values + residual_values) * size_of::<f32>() + weights;
        let cost = Cost { macs: desc.macs(), bytes };
        let operands: Vec<Place> = [from].into_iter().chain(residual).collect();
        self.costed_step(&self.node(id).name, cost, kernel, &operands, to);
    }

    /// A depthwise convolution fused with the 1x1 convolution before it.
    pub fn expand_depthwise(&mut self, unit: &ExpandDepthwise) -> Result<Place> {
        let [expand, node] = [unit.expand, unit.depthwise].map(|id| self.node(id));
        let from = self.place(expand.inputs[0]);
        let from = self.channels_last(&expand.name, from);
        let to = self.target(unit.depthwise, self.layout(unit.depthwise));
        let desc = unit.desc(self, from.view.feature_map());
        let [first, second] = unit.parts;
        let packed =
            [weights::packed(expand, &desc.expand, first)?, weights::packed(node, &desc.depthwise, second)?];
        let cost = joint_cost(&[&desc.expand, &desc.depthwise], &packed, None);
        let epilogues = [self.epilogues.of(expand)?, self.epilogues.of(node)?];
        let kernel = desc.prepare(packed, epilogues, self.isa, self.threads)?;
        self.costed_step(&node.name, cost, kernel, &[from], to);
        Ok(to)
    }

    /// A 1x1 convolution fused with the depthwise one before it, and with the 1x1 convolution
    /// before that if it has no value of its own either.
    pub fn project(&mut self, unit: &Project) -> Result<Place> {
        let id = unit.last;
        let nodes: Vec<&Node> = unit.convolutions().iter().map(|&id| self.node(id)).collect();
        let from = self.place(nodes[0].inputs[0]);
        let from = self.channels_last(&nodes[0].name, from);
        let residual = self.residual(id);
        let to = self.target_of_sum(id, from, residual, self.layout(id));
        let desc = unit.desc(
            self,
            from.view.feature_map(),
            to.view.feature_map(),
            residual.map(|residual| residual.view.feature_map()),
        );
        let descs: Vec<&ConvDesc> = desc.convolutions().collect();
        let parts = nodes.iter().zip(&descs).zip(&unit.parts);
        let packed: Vec<_> =
            parts.map(|((node, desc), part)| weights::packed(node, desc, part)).collect::<Result<_>>()?;
        let other =
            residual.filter(|residual| residual.storage != from.storage || residual.view != from.view);
        let cost = joint_cost(&descs, &packed, other);
        let epilogues = nodes.iter().map(|node| self.epilogues.of(node)).collect::<Result<_>>()?;
        let kernel = desc.prepare(packed, epilogues, self.isa, self.threads)?;
        let operands: Vec<Place> = [from].into_iter().chain(residual).collect();
        self.costed_step(&self.node(id).name, cost, kernel, &operands, to);
        Ok(to)
    }

    /// A 1x1 convolution fused with its prologue.
    pub fn prologue(&mut self, unit: &PrologueProduct) -> Result<Place> {
        let id = unit.conv;
        let [inner, node] = [unit.inner, id].map(|id| self.node(id));
        let from = self.place(unit.map);
        let from = self.channels_last(&inner.name, from);
        let (prologue, gate) = match unit.front {
            Front::BatchNorm { eps } => {
                let (scale, shift) = weights::batch_norm(inner, eps);
                let relu = inner.fused.activation == Activation::Relu;
                (Prologue::affine(&scale, &shift, relu)?, None)
            }
            Front::Gate(gate) => {
                let gate = self.place(gate);
                let gate = self.channels_last(&inner.name, gate);
                (Prologue::Gate { image_stride: gate.view.strides[0] }, Some(gate))
            }
        };
        let layout = self.layout(id);
        let residual = self.residual(id);
        let to = match residual {
            // Operands that are read for other pixels must not be overwritten.
            Some(r) if [Some(from), gate].iter().flatten().all(|read| read.storage != r.storage) => {
                self.target_over(id, r, layout)
            }
            _ => self.target(id, layout),
        };
        let residual_map = residual.map(|r| r.view.feature_map());
        let conv = self.conv_desc_to(id, from.view.feature_map(), to.view.feature_map(), residual_map);
        let packed = weights::packed(node, &conv, unit.part)?;
        let further: usize = residual.iter().chain(&gate).map(|read| read.view.distinct()).sum();
        let values = conv.input_read() + conv.output.view().distinct() + further;
        let cost = Cost { macs: conv.macs(), bytes: values * size_of::<f32>() + packed.bytes() };
        let epilogue = self.epilogues.of(node)?;
        let kernel = PrologueDesc { conv, prologue }.prepare(packed, epilogue, self.isa, self.threads)?;
        let operands: Vec<Place> = [from].into_iter().chain(residual).chain(gate).collect();
        self.costed_step(&node.name, cost, kernel, &operands, to);
        Ok(to)
    }

    /// A pool fused with the convolution before it.
    pub fn conv_pool(&mut self, unit: &ConvPool) -> Result<Place> {
        let [conv, node] = [unit.conv, unit.pool].map(|id| self.node(id));
        let from = self.place(conv.inputs[0]);
        let from = self.channels_last(&conv.name, from);
        let to = self.target(unit.pool, self.layout(unit.pool));
        let desc = unit.desc(self, from.view.feature_map());
        let packed = weights::packed(conv, &desc.conv, unit.part)?;
        let values = desc.conv.input_read() + to.view.distinct();
        let cost = Cost { macs: desc.conv.macs(), bytes: values * size_of::<f32>() + packed.bytes() };
        let kernel = desc.prepare(unit.part, packed, self.epilogues.of(conv)?, self.threads)?;
        self.costed_step(&node.name, cost, kernel, &[from], to);
        Ok(to)
    }
}

/// The cost of fused convolutions, whose intermediate values have no memory.
fn joint_cost(descs: &[&ConvDesc], packed: &[Packed], residual: Option<Place>) -> Cost {
    let values = descs[0].input_read()
        + descs[descs.len() - 1].output.view().distinct()
        + residual.map_or(0, |residual| residual.view.distinct());
    Cost {
        macs: descs.iter().fold(0, |sum, desc| sum.saturating_add(desc.macs())),
        bytes: values * size_of::<f32>() + packed.iter().map(Packed::bytes).sum::<usize>(),
    }
}
