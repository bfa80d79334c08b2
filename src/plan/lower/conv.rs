//! Lowering of convolutions, and the product that linear layers share with them.

use crate::error::Result;
use crate::graph::ops::Conv2d;
use crate::graph::{NodeId, Op};
use crate::kernels::conv;
use crate::plan::geometry::Geometry;
use crate::plan::values::{Compiler, Place};
use crate::plan::{Cost, weights};
use crate::tensor::{FeatureMap, View};

impl Compiler<'_> {
    pub fn conv2d(&mut self, id: NodeId, op: &Conv2d) -> Result<Place> {
        let node = self.node(id);
        if self.is_inner(node.inputs[0]) {
            return match self.node(node.inputs[0]).op {
                Op::Conv2d(_) => self.conv2d_with_inner(id, op),
                _ => self.conv_behind_prologue(id, op),
            };
        }
        let from = self.place(node.inputs[0]);
        let geometry = Geometry::of(op, node, &from.view);
        let layout = self.layout(id);
        let residual = self.residual(id);
        self.product(id, from, residual, geometry, layout, View::feature_map)
    }

    /// A convolution's residual, its pixels' channels side by side.
    pub fn residual(&mut self, id: NodeId) -> Option<Place> {
        let node = self.node(id);
        let residual = node.fused.residual.then(|| self.place(node.inputs[1]))?;
        Some(self.channels_last(&node.name, residual))
    }

    /// The common part of convolutions and linear layers: choose, pack, prepare, place. `as_map`
    /// turns the result's view into a feature map.
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
        let mut candidate = conv::choose(&self.chosen_desc(id, &desc(&from)), self.isa)?;
        if candidate.isa != self.isa && !from.view.feature_map().channels_last() {
            // Only the portable path reads such an order: worth a copy.
            from = self.channels_last(&node.name, from);
            candidate = conv::choose(&self.chosen_desc(id, &desc(&from)), self.isa)?;
        }
        let desc = desc(&from);
        let weight = node.params[0].as_ref().expect("a weight");
        let packed = candidate.packed(&desc, weight)?;
        let epilogue = weights::epilogue(node)?;
        let values = desc.input_read() + desc.output.view().distinct();
        let residual_values = residual.map_or(0, |r| r.view.distinct());
        let bytes = (values + residual_values) * size_of::<f32>() + packed.bytes();
        let cost = Cost { macs: desc.macs(), bytes };
        let kernel = (candidate.prepare)(&desc, packed, epilogue, self.threads)?;
        let operands: Vec<Place> = [from].into_iter().chain(residual).collect();
        self.costed_step(&node.name, cost, kernel, &operands, to);
        Ok(to)
    }
}
