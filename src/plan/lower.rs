//! One node becomes a view, or one or a few steps.

use super::compile::{Compiler, Place, Value};
use super::{Cost, weights};
use crate::error::Result;
use crate::graph::ops::{self, Conv2d, Window};
use crate::graph::{Node, NodeId, Op};
use crate::kernels::conv::{self, ConvDesc, Padding};
use crate::kernels::pool::{self, PoolOp, PoolWindow};
use crate::kernels::{copy, elementwise, norm, reduce, softmax};
use crate::tensor::{Activation, BinaryOp, FeatureMap, Shape, View};

/// The geometry of a convolution between two maps.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    groups: usize,
}

impl Geometry {
    /// Of a convolution of a map.
    pub fn of(op: &Conv2d, node: &Node, input: &View) -> Self {
        let weight = node.params[0].as_ref().expect("a convolution's weight").shape();
        let kernel = [weight[2], weight[3]];
        let ([top, left, bottom, right], _) =
            ops::conv_geometry(op, kernel, [input.shape[2], input.shape[3]]).expect("shapes are inferred");
        Self {
            kernel,
            stride: op.stride,
            dilation: op.dilation,
            padding: Padding { top, left, bottom, right },
            groups: op.groups,
        }
    }

    /// The convolution between these maps.
    pub fn desc(
        &self,
        input: FeatureMap,
        output: FeatureMap,
        residual: Option<FeatureMap>,
        activation: Activation,
    ) -> ConvDesc {
        let Self { kernel, stride, dilation, padding, groups } = *self;
        ConvDesc { input, output, residual, kernel, stride, dilation, padding, groups, activation }
    }

    /// A kernel that covers a map of this size once.
    pub fn whole(kernel: [usize; 2]) -> Self {
        Self { kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default(), groups: 1 }
    }
}

impl Compiler<'_> {
    /// Lower one node; its operands have been lowered.
    pub fn lower(&mut self, id: NodeId) -> Result<Value> {
        let node = self.node(id);
        let name = node.name.as_str();
        let shape = self.shape(id);
        if shape.numel() == 0 && !matches!(node.op, Op::Input(_)) {
            // An empty batch: nothing to compute, and no kernel need know of it.
            return Ok(Value::At(self.target(id, View::physical(shape))));
        }
        let input = |c: &mut Self, i: usize| c.place(node.inputs[i]);
        let place = match &node.op {
            Op::Input(_) => {
                let index = self.graph.inputs.iter().position(|&i| i == id).expect("inputs are listed");
                Place { storage: super::Storage::Input(index), view: View::contiguous(shape) }
            }
            Op::Constant(_) => self.constant(node.param(0).expect("a constant's value"))?,
            Op::Identity(_) => return Ok(self.value(node.inputs[0])),
            Op::Permute(ops::Permute { dims }) => {
                let from = input(self, 0);
                from.with(from.view.permute(dims))
            }
            Op::Slice(slice) => {
                let from = input(self, 0);
                let dim = slice.dim;
                let (start, _) = slice.bounds(from.view.shape[dim]);
                from.with(from.view.slice(dim, start, shape[dim], slice.step))
            }
            Op::Expand(_) | Op::ExpandAs(_) => {
                let from = input(self, 0);
                from.with(from.view.broadcast(shape))
            }
            Op::Reshape(_) | Op::Flatten(_) | Op::Unflatten(_) => return Ok(self.reshape(id)),
            Op::LayerNorm(ops::LayerNorm { shape: normalized, eps }) => {
                self.layer_norm(id, normalized.len(), *eps)?
            }
            Op::Normalize(ops::Normalize { dim, eps }) => self.normalize(id, *dim, *eps),
            Op::Attention(ops::Attention { scale, .. }) => self.attention(id, *scale),
            Op::MatMul(_) => self.matmul(id),
            Op::Roll(ops::Roll { shifts }) => self.roll(id, shifts),
            Op::Conv2d(conv) => self.conv2d(id, conv)?,
            Op::Linear(_) => self.linear(id)?,
            Op::Concat(ops::Concat { dim }) => self.concat(id, *dim),
            Op::MaxPool2d(_) if self.is_inner(node.inputs[0]) => self.conv_pool(id)?,
            Op::MaxPool2d(ops::MaxPool2d(window)) => self.pool(id, PoolOp::Max, sliding(window))?,
            Op::AvgPool2d(ops::AvgPool2d { window, count_include_pad, divisor_override }) => {
                let divisor = divisor_override.map(|d| i64::try_from(d).unwrap_or(i64::MAX));
                let op = PoolOp::Average { include_padding: *count_include_pad, divisor };
                self.pool(id, op, sliding(window))?
            }
            Op::AdaptiveAvgPool2d(_) => {
                let op = PoolOp::Average { include_padding: false, divisor: None };
                self.pool(id, op, PoolWindow::Adaptive)?
            }
            Op::AdaptiveMaxPool2d(_) => self.pool(id, PoolOp::Max, PoolWindow::Adaptive)?,
            Op::Activation(activation) => {
                let from = input(self, 0);
                let layout = self.pointwise_layout(id, from.view);
                let to = self.target_over(id, from, layout);
                let desc =
                    elementwise::UnaryDesc { input: from.view, output: to.view, activation: *activation };
                let kernel = elementwise::prepare_unary(&desc, self.isa, self.threads);
                self.step(name, kernel, &[from], to);
                to
            }
            Op::BatchNorm(ops::BatchNorm { eps }) => {
                let (scale, shift) = weights::batch_norm(node, *eps);
                let (from, to, desc) = self.per_channel(id);
                let kernel = elementwise::prepare_affine(&desc, &scale, &shift, self.isa, self.threads)?;
                self.step(name, kernel, &[from], to);
                to
            }
            Op::PRelu(_) => {
                let slope = node.params[0].as_ref().expect("PReLU's weight");
                let (from, to, desc) = self.per_channel(id);
                let kernel = elementwise::prepare_prelu(&desc, &slope.data(), self.isa, self.threads)?;
                self.step(name, kernel, &[from], to);
                to
            }
            Op::Binary(ops::Binary { op, .. }) => {
                let (left, right) = (input(self, 0), input(self, 1));
                self.binary(id, *op, left, elementwise::Operand::View(right.view), false, &[left, right])?
            }
            Op::BinaryScalar(ops::BinaryScalar { op, scalar, reversed }) => {
                let from = input(self, 0);
                self.binary(id, *op, from, elementwise::Operand::Scalar(*scalar), *reversed, &[from])?
            }
            Op::Softmax(ops::Softmax { dim, log }) => {
                let from = input(self, 0);
                let layout = self.pointwise_layout(id, from.view);
                let to = self.target(id, layout);
                let desc =
                    softmax::SoftmaxDesc { input: from.view, output: to.view, dim: *dim, logarithm: *log };
                self.step(name, softmax::prepare(&desc, self.isa, self.threads), &[from], to);
                to
            }
            Op::Mean(ops::Mean { dims, .. }) => self.mean(id, dims),
            Op::LocalResponseNorm(ops::LocalResponseNorm { size, alpha, beta, k }) => {
                let from = input(self, 0);
                let from = self.channels_last(name, from);
                let to = self.target(id, self.layout(id));
                let desc = norm::LocalResponseNormDesc {
                    input: from.view.feature_map(),
                    output: to.view.feature_map(),
                    size: *size,
                    alpha: *alpha,
                    beta: *beta,
                    k: *k,
                };
                self.step(name, norm::prepare_local_response(&desc, self.isa, self.threads), &[from], to);
                to
            }
            Op::Pad(ops::Pad { pads, value }) => {
                let from = input(self, 0);
                let to = self.target(id, self.layout(id));
                let mut before = [0; crate::tensor::MAX_RANK];
                for (b, pad) in before.iter_mut().zip(pads) {
                    *b = pad[0];
                }
                let desc = copy::PadDesc { input: from.view, output: to.view, before, value: *value };
                self.step(name, copy::prepare_pad(&desc, self.threads), &[from], to);
                to
            }
        };
        Ok(Value::At(place))
    }

    /// Another shape: a view where the memory's order allows it.
    fn reshape(&mut self, id: NodeId) -> Value {
        let node = self.node(id);
        let shape = self.shape(id);
        let from = self.place(node.inputs[0]);
        if let Some(view) = from.view.reshape(shape) {
            return Value::At(from.with(view));
        }
        let whole_pictures =
            from.view.shape.rank() == 4 && shape.rank() == 2 && shape[0] == from.view.shape[0];
        if whole_pictures && from.view.feature_map().channels_last() {
            return Value::Flat(from);
        }
        // The order that what follows expects, if the old shape's elements can be put into it.
        let layout = self.layout(id);
        let (layout, view) = match layout.reshape(from.view.shape) {
            Some(old) => (old, layout),
            None => (View::contiguous(from.view.shape), View::contiguous(shape)),
        };
        let dense = self.copy(&node.name, from, layout);
        Value::At(dense.with(view))
    }

    fn conv2d(&mut self, id: NodeId, op: &Conv2d) -> Result<Place> {
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

    /// Where the sum of a product and a residual goes: over the residual if it dies there.
    pub fn target_of_sum(&mut self, id: NodeId, from: Place, residual: Option<Place>, layout: View) -> Place {
        match residual {
            // The input's pixels are read again while the output is written.
            Some(r) if r.storage != from.storage => self.target_over(id, r, layout),
            _ => self.target(id, layout),
        }
    }

    /// The convolution for which the kernel of `desc`, a node's, is chosen: that of other pictures.
    /// Kernels of linear layers take the same sums for any number of rows and need no such choice.
    pub fn chosen_desc(&self, id: NodeId, desc: &ConvDesc) -> ConvDesc {
        let node = self.node(id);
        let [input, output] = [node.inputs[0], id].map(|id| self.chosen_shape(id));
        let Op::Conv2d(_) = node.op else { return *desc };
        if [input, output] == [self.shape(node.inputs[0]), self.shape(id)] {
            return *desc;
        }
        ConvDesc { input: resized(desc.input, input), output: resized(desc.output, output), ..*desc }
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

    fn concat(&mut self, id: NodeId, dim: usize) -> Place {
        let node = self.node(id);
        let whole = self.wanted(id).expect("every concatenation has its memory");
        let mut start = 0;
        for &part in &node.inputs {
            let from = self.place(part);
            let len = from.view.shape[dim];
            let to = whole.with(whole.view.slice(dim, start, len, 1));
            self.deliver(&node.name, from, to);
            start += len;
        }
        whole
    }

    fn pool(&mut self, id: NodeId, op: PoolOp, window: PoolWindow) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let from = self.channels_last(&node.name, from);
        let to = self.target(id, self.layout(id));
        let desc =
            pool::PoolDesc { input: from.view.feature_map(), output: to.view.feature_map(), op, window };
        self.step(&node.name, pool::prepare(&desc, self.isa, self.threads)?, &[from], to);
        Ok(to)
    }

    fn per_channel(&mut self, id: NodeId) -> (Place, Place, elementwise::ChannelDesc) {
        let from = self.place(self.node(id).inputs[0]);
        let layout = self.pointwise_layout(id, from.view);
        let to = self.target_over(id, from, layout);
        let activation = self.node(id).fused.activation;
        let desc = elementwise::ChannelDesc { input: from.view, output: to.view, activation };
        (from, to, desc)
    }

    fn binary(
        &mut self,
        id: NodeId,
        op: BinaryOp,
        left: Place,
        right: elementwise::Operand,
        swapped: bool,
        operands: &[Place],
    ) -> Result<Place> {
        let layout = self.pointwise_layout(id, left.view);
        let to = self.target_over(id, left, layout);
        let activation = self.node(id).fused.activation;
        let desc =
            elementwise::BinaryDesc { op, left: left.view, right, swapped, output: to.view, activation };
        let kernel = elementwise::prepare_binary(&desc, self.isa, self.threads)?;
        self.step(&self.node(id).name, kernel, operands, to);
        Ok(to)
    }

    /// The layout of a result that is computed element by element: its input's, if neither has gaps.
    pub fn pointwise_layout(&self, id: NodeId, input: View) -> View {
        let layout = self.layout(id);
        let keeps = input.shape == layout.shape && input.is_dense() && layout.is_dense();
        if keeps { View { offset: 0, ..input } } else { layout }
    }

    fn mean(&mut self, id: NodeId, dims: &[usize]) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        // The kernel sees the reduced dimensions with size 1.
        let mut kept = from.view.shape;
        for &dim in dims {
            kept[dim] = 1;
        }
        let view = to.view.reshape(kept).expect("a fresh value is dense");
        let desc = reduce::ReduceDesc { input: from.view, output: view, op: reduce::ReduceOp::Mean };
        let kernel = reduce::prepare(&desc, self.isa, self.threads);
        self.step(&node.name, kernel, &[from], to.with(view));
        to
    }
}

fn sliding(window: &Window) -> PoolWindow {
    let Window { kernel, stride, padding: [top, left, bottom, right], dilation, ceil_mode: _ } = *window;
    PoolWindow::Sliding { kernel, stride, dilation, padding: Padding { top, left, bottom, right } }
}

/// A map of the same layout with the pictures of another shape.
fn resized(map: FeatureMap, shape: Shape) -> FeatureMap {
    let gap = map.row_stride.saturating_sub(map.width * map.pixel_stride);
    let (height, width) = (shape[2], shape[3]);
    FeatureMap { batch: shape[0], height, width, row_stride: width * map.pixel_stride + gap, ..map }
}
