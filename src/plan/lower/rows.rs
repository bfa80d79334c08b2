//! Lowering of operations on rows of features: linear layers, layer norm, attention, products,
//! softmax.

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::{attention, matmul, norm, softmax};
use crate::plan::geometry::Geometry;
use crate::plan::row_views::{is_dense, map, pixels, runs, with_last};
use crate::plan::values::{Compiler, Place, Value};
use crate::tensor::{FeatureMap, Order, View};

impl Compiler<'_> {
    /// A linear layer is a convolution of 1x1 maps; after a flattened feature map, it is a
    /// convolution whose kernel covers the map.
    pub fn linear(&mut self, id: NodeId) -> Result<Place> {
        let node = self.node(id);
        let layout = self.layout(id);
        let to = self.wanted(id).map_or(layout, |place| place.view);
        let residual = node.fused.residual.then(|| self.place(node.inputs[1]));
        let fits = |residual: &Place| is_dense(&residual.view, 1) && runs(&[to, residual.view], 1).is_some();
        let residual = residual
            .map(|residual| if fits(&residual) { residual } else { self.copy(&node.name, residual, layout) });
        let with_residual = |view: View| {
            let views: Vec<_> = [to, view].into_iter().chain(residual.map(|place| place.view)).collect();
            runs(&views, 1)
        };
        if let Value::Flat(pictures) = self.value(node.inputs[0]) {
            let kernel = [pictures.view.shape[2], pictures.view.shape[3]];
            let runs = with_residual(to).expect("a matrix");
            return self.product(id, pictures, residual, Geometry::whole(node, kernel), layout, |view| {
                map(view, runs, 1)
            });
        }
        let mut from = self.place(node.inputs[0]);
        let mut runs = with_residual(from.view).filter(|_| is_dense(&from.view, 1));
        if runs.is_none() {
            from = self.copy(&node.name, from, View::contiguous(from.view.shape));
            runs = with_residual(from.view);
        }
        let Some(runs) = runs else {
            // The layouts of result and residual, although each has even rows, differ too much.
            let residual = residual.expect("the input lies densely");
            let residual = self.copy(&node.name, residual, layout);
            let runs = self::runs(&[to, from.view, residual.view], 1).expect("dense rows and the result's");
            let from = from.with(pixels(&from.view, runs));
            return self.product(id, from, Some(residual), Geometry::whole(node, [1, 1]), layout, |view| {
                map(view, runs, 1)
            });
        };
        let from = from.with(pixels(&from.view, runs));
        self.product(id, from, residual, Geometry::whole(node, [1, 1]), layout, |view| map(view, runs, 1))
    }

    /// The operand and the result of a norm, and both as maps. In the views that `order` makes of
    /// them, the last `trailing` dimensions are a row; in `plain`, rows have an even stride.
    fn normed(
        &mut self,
        id: NodeId,
        plain: View,
        order: impl Fn(&View) -> View,
        trailing: usize,
    ) -> (Place, Place, [FeatureMap; 2]) {
        let node = self.node(id);
        let mut from = self.place(node.inputs[0]);
        if !is_dense(&order(&from.view), trailing) {
            from = self.copy(&node.name, from, self.layout(id));
        }
        let mut layout = self.pointwise_layout(id, from.view);
        let wanted = self.wanted(id).map(|place| place.view);
        let both = |from: &View, to: &View| runs(&[order(from), order(to)], trailing);
        let mut runs = both(&from.view, &wanted.unwrap_or(layout));
        if runs.is_none() {
            from = self.copy(&node.name, from, plain);
            layout = plain;
            runs = both(&from.view, &wanted.unwrap_or(layout));
        }
        let runs = runs.expect("rows that are one run on the one side, and few on the other");
        let to = self.target_over(id, from, layout);
        let maps = [from, to].map(|place| map(&order(&place.view), runs, trailing));
        (from, to, maps)
    }

    pub fn layer_norm(&mut self, id: NodeId, trailing: usize, eps: f64) -> Result<Place> {
        let node = self.node(id);
        let (from, to, [input, output]) =
            self.normed(id, View::contiguous(self.shape(id)), |view| *view, trailing);
        let desc = norm::LayerNormDesc { input, output, epsilon: eps as f32 };
        let [weight, bias] = [0, 1].map(|i| node.param(i).map(|param| param.data()));
        let kernel = norm::prepare_layer(&desc, weight.as_deref(), bias.as_deref(), self.isa, self.threads)?;
        self.step(&node.name, kernel, &[from], to);
        Ok(to)
    }

    pub fn group_norm(&mut self, id: NodeId, groups: usize, eps: f64) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let layout = self.pointwise_layout(id, from.view);
        let to = self.target(id, layout);
        let desc = norm::GroupNormDesc { input: from.view, output: to.view, groups, epsilon: eps as f32 };
        let [weight, bias] = [0, 1].map(|i| node.param(i).map(|param| param.data()));
        let kernel = norm::prepare_group(&desc, weight.as_deref(), bias.as_deref(), self.isa, self.threads)?;
        self.step(&node.name, kernel, &[from], to);
        Ok(to)
    }

    pub fn normalize(&mut self, id: NodeId, dim: usize, eps: f32) -> Place {
        let shape = self.shape(id);
        let plain = Order::logical(shape.rank()).with_last(dim).layout(shape);
        let (from, to, [input, output]) = self.normed(id, plain, |view| with_last(view, dim), 1);
        let desc = norm::NormalizeDesc { input, output, epsilon: eps };
        let kernel = norm::prepare_normalize(&desc, self.isa, self.threads);
        self.step(&self.node(id).name, kernel, &[from], to);
        to
    }

    pub fn softmax(&mut self, id: NodeId, dim: usize, logarithm: bool) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let layout = self.pointwise_layout(id, from.view);
        let to = self.target(id, layout);
        let desc = softmax::SoftmaxDesc { input: from.view, output: to.view, dim, logarithm };
        self.step(&node.name, softmax::prepare(&desc, self.isa, self.threads), &[from], to);
        to
    }

    pub fn attention(&mut self, id: NodeId, scale: Option<f32>) -> Place {
        let node = self.node(id);
        let [query, key, value] = [0, 1, 2].map(|i| self.place(node.inputs[i]));
        let mask = node.inputs.get(3).map(|&mask| {
            let place = self.place(mask);
            let dense = place.view.shape.last().is_none_or(|&size| size == 1) || is_dense(&place.view, 1);
            if dense { place } else { self.copy(&node.name, place, View::contiguous(place.view.shape)) }
        });
        let to = self.target(id, self.layout(id));
        let rank = query.view.shape.rank();
        let depth = query.view.shape[rank - 1];
        let desc = attention::AttentionDesc {
            query: query.view,
            key: key.view,
            value: value.view,
            mask: mask.map(|place| place.view),
            output: to.view,
            scale: scale.unwrap_or_else(|| (1.0 / (depth.max(1) as f64).sqrt()) as f32),
        };
        let kernel = attention::prepare(&desc, self.isa, self.threads);
        let operands: Vec<Place> = [query, key, value].into_iter().chain(mask).collect();
        let keys = key.view.shape[rank - 2];
        let width = to.view.shape[rank - 1].max(1);
        let macs = (to.view.shape.numel() / width).saturating_mul(keys).saturating_mul(depth + width);
        self.product_step(&node.name, macs, kernel, &operands, to);
        to
    }

    pub fn matmul(&mut self, id: NodeId) -> Place {
        let node = self.node(id);
        let [mut left, right] = [0, 1].map(|i| self.place(node.inputs[i]));
        if !is_dense(&left.view, 1) {
            left = self.copy(&node.name, left, View::contiguous(left.view.shape));
        }
        let to = self.target(id, View::contiguous(self.shape(id)));
        let desc = matmul::MatMulDesc { left: left.view, right: right.view, output: to.view };
        let kernel = matmul::prepare(&desc, self.isa, self.threads);
        let depth = left.view.shape.last().copied().unwrap_or(1);
        self.product_step(
            &node.name,
            to.view.shape.numel().saturating_mul(depth),
            kernel,
            &[left, right],
            to,
        );
        to
    }
}
