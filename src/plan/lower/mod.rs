//! Lowers one node to a view, or to one or a few steps: dispatches each operation or fused unit to
//! its function.

mod conv;
mod conv_transpose;
mod moves;
mod pointwise;
mod pool;
mod rows;

use super::fuse::Unit;
use super::values::{Compiler, Value};
use crate::error::Result;
use crate::graph::ops;
use crate::graph::{NodeId, Op};
use crate::tensor::{ReduceOp, View};

impl Compiler<'_> {
    /// Lowers one unit, whose result is this node's; its operands have been lowered.
    pub fn lower(&mut self, id: NodeId, unit: &Unit) -> Result<Value> {
        let shape = self.shape(id);
        if shape.numel() == 0 && !matches!(self.node(id).op, Op::Input(_)) {
            // An empty batch: nothing to compute, so kernels need not handle it.
            return Ok(Value::At(self.target(id, View::physical(shape))));
        }
        Ok(Value::At(match unit {
            Unit::Node => return self.lower_node(id),
            Unit::ExpandDepthwise(unit) => self.expand_depthwise(unit)?,
            Unit::Project(unit) => self.project(unit)?,
            Unit::Prologue(unit) => self.prologue(unit)?,
            Unit::ConvPool(unit) => self.conv_pool(unit)?,
        }))
    }

    fn lower_node(&mut self, id: NodeId) -> Result<Value> {
        let node = self.node(id);
        let place = match &node.op {
            Op::Input(_) => self.input(id),
            Op::Constant(_) => self.constant(node.param(0).expect("a constant's value"))?,
            Op::Identity(_) => return Ok(self.value(node.inputs[0])),
            Op::Permute(ops::Permute { dims }) => self.permute(id, dims),
            Op::Slice(slice) => self.slice(id, slice),
            Op::Expand(_) | Op::ExpandAs(_) => self.expand(id),
            Op::Reshape(_) | Op::Flatten(_) | Op::Unflatten(_) => return Ok(self.reshape(id)),
            Op::Concat(ops::Concat { dim }) => self.concat(id, *dim),
            Op::Pad(ops::Pad { pads, value }) => self.pad(id, pads, *value),
            Op::PadEdges(ops::PadEdges { pads, mode }) => self.pad_edges(id, pads, *mode)?,
            Op::Roll(ops::Roll { shifts }) => self.roll(id, shifts),
            Op::Conv2d(_) => self.conv2d(id)?,
            Op::ConvTranspose2d(conv) => self.conv_transpose2d(id, conv)?,
            Op::Linear(_) => self.linear(id)?,
            Op::LayerNorm(ops::LayerNorm { shape: normalized, eps }) => {
                self.layer_norm(id, normalized.len(), *eps)?
            }
            Op::Normalize(ops::Normalize { dim, eps }) => self.normalize(id, *dim, *eps),
            Op::Attention(ops::Attention { scale, .. }) => self.attention(id, *scale),
            Op::MatMul(_) => self.matmul(id),
            Op::Softmax(ops::Softmax { dim, log }) => self.softmax(id, *dim, *log),
            Op::MaxPool2d(ops::MaxPool2d(window)) => self.max_pool(id, window)?,
            Op::AdaptiveMaxPool2d(_) => self.adaptive_max_pool(id)?,
            Op::AvgPool2d(ops::AvgPool2d { window, count_include_pad, divisor_override }) => {
                self.average_pool(id, window, *count_include_pad, *divisor_override)?
            }
            Op::AdaptiveAvgPool2d(_) => self.adaptive_average_pool(id)?,
            Op::LocalResponseNorm(ops::LocalResponseNorm { size, alpha, beta, k }) => {
                self.local_response_norm(id, *size, *alpha, *beta, *k)
            }
            Op::Mean(ops::Mean { dims, .. }) => self.reduce(id, dims, ReduceOp::Mean),
            Op::Reduce(ops::Reduce { op, dims, .. }) => self.reduce(id, dims, *op),
            Op::GroupNorm(ops::GroupNorm { groups, eps }) => {
                self.group_norm(id, groups.unwrap_or(self.shape(id)[1]), *eps)?
            }
            Op::Interpolate(interpolate) => self.interpolate(id, interpolate)?,
            Op::Where(_) => self.select(id)?,
            Op::Activation(activation) => self.activation(id, *activation),
            Op::BatchNorm(ops::BatchNorm { eps }) => self.batch_norm(id, *eps)?,
            Op::PRelu(_) => self.prelu(id)?,
            Op::Binary(ops::Binary { op, .. }) => self.binary(id, *op)?,
            Op::BinaryScalar(ops::BinaryScalar { op, scalar, reversed }) => {
                self.binary_scalar(id, *op, *scalar, *reversed)?
            }
        };
        Ok(Value::At(place))
    }
}
