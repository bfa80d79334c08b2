//! Tracing: Python adds nodes, each checked at once.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::dense::DenseGraph;
use super::graph::{Graph, Workspaces};
use super::guard::{Whole, guarded};
use super::param::Parameter;
use crate::error::{Error, Result};
use crate::graph::dense::{self, Squeeze};
use crate::graph::ops::{self, Conv2d, ConvPadding, Window};
use crate::graph::{self, NodeId, Op};
use crate::tensor::{Activation, BinaryOp, EdgeMode, Param, ReduceOp, ResizeMode, Shape};

/// A node of a traced graph.
type NodeRow<'py> = (String, &'static str, Bound<'py, PyTuple>, u64);
type Pair = (Whole, Whole);
type Sides = (Whole, Whole, Whole, Whole);

/// A convolution's padding: top, left, bottom, right; or TensorFlow's rule by name.
#[derive(FromPyObject)]
enum Padding {
    Explicit(Sides),
    Named(String),
}

/// Adds nodes to a network; every method returns the number of the new value.
///
/// A node is checked when it is added: `ShapeError` names the input or parameter that does not fit,
/// `ArgumentError` the attribute that is out of range, both with the node's name. A name that is
/// taken gets a suffix: `relu`, `relu_1`. Negative dimensions count from the end.
#[pyclass(module = "rvision._rvision")]
pub struct GraphBuilder {
    builder: graph::GraphBuilder,
}

impl GraphBuilder {
    fn add(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[usize],
        params: Vec<Option<Arc<Param>>>,
    ) -> PyResult<usize> {
        let inputs: Vec<_> = inputs.iter().copied().map(NodeId).collect();
        self.adding(|builder| builder.add(name, op, &inputs, params))
    }

    /// Every method that adds a node calls this.
    fn adding(&mut self, add: impl FnOnce(&mut graph::GraphBuilder) -> Result<NodeId>) -> PyResult<usize> {
        guarded(|| add(&mut self.builder)).map(|value| value.0)
    }
}

/// Numbers that may count from the end, or be absent.
fn numbers(values: Vec<Whole>) -> Vec<i64> {
    values.into_iter().map(|value| value.0).collect()
}

/// Sizes from Python's integers, which may be negative.
fn sizes<const N: usize>(node: &str, attribute: &'static str, values: [Whole; N]) -> Result<[usize; N]> {
    let values = values.map(|value| value.0);
    let mut sizes = [0; N];
    for (size, &value) in sizes.iter_mut().zip(&values) {
        *size =
            usize::try_from(value).map_err(|_| wrong(node, attribute, "0 or more", format!("{values:?}")))?;
    }
    Ok(sizes)
}

fn size(node: &str, attribute: &'static str, Whole(value): Whole) -> Result<usize> {
    usize::try_from(value).map_err(|_| wrong(node, attribute, "0 or more", value.to_string()))
}

fn wrong(node: &str, attribute: &'static str, expected: &str, found: String) -> Error {
    Error::Attribute { node: node.to_owned(), attribute, expected: expected.to_owned(), found }
}

fn shared(parameter: Option<&Parameter>) -> Option<Arc<Param>> {
    parameter.map(Parameter::share)
}

fn window(
    node: &str,
    kernel: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    ceil_mode: bool,
) -> Result<Window> {
    Ok(Window {
        kernel: sizes(node, "kernel_size", kernel.into())?,
        stride: sizes(node, "stride", stride.into())?,
        padding: sizes(node, "padding", padding.into())?,
        dilation: sizes(node, "dilation", dilation.into())?,
        ceil_mode,
    })
}

fn output_size(node: &str, (h, w): (Option<Whole>, Option<Whole>)) -> Result<[Option<usize>; 2]> {
    let one = |value: Option<Whole>| value.map(|value| size(node, "output_size", value)).transpose();
    Ok([one(h)?, one(w)?])
}

fn binary_kind(node: &str, kind: &str) -> Result<BinaryOp> {
    let known = BinaryOp::ALL.into_iter().find(|op| op.name() == kind);
    known.ok_or_else(|| {
        let names: Vec<_> = BinaryOp::ALL.iter().map(|op| op.name()).collect();
        wrong(node, "kind", &format!("one of {}", names.join(", ")), format!("{kind:?}"))
    })
}

fn edge_mode(node: &str, mode: &str) -> Result<EdgeMode> {
    let known = EdgeMode::ALL.into_iter().find(|known| known.name() == mode);
    known.ok_or_else(|| wrong(node, "mode", "reflect, replicate or circular", format!("{mode:?}")))
}

fn resize_mode(node: &str, mode: &str, align_corners: bool, antialias: bool) -> Result<ResizeMode> {
    Ok(match mode {
        "nearest" => ResizeMode::Nearest,
        "nearest-exact" => ResizeMode::NearestExact,
        "bilinear" => ResizeMode::Linear { align_corners, antialias },
        "bicubic" => ResizeMode::Cubic { align_corners, antialias },
        _ => {
            let known = "nearest, nearest-exact, bilinear or bicubic";
            return Err(wrong(node, "mode", known, format!("{mode:?}")));
        }
    })
}

fn reduce_kind(node: &str, kind: &str) -> Result<ReduceOp> {
    Ok(match kind {
        "sum" => ReduceOp::Sum,
        "amax" => ReduceOp::Max,
        "amin" => ReduceOp::Min,
        _ => return Err(wrong(node, "kind", "sum, amax or amin", format!("{kind:?}"))),
    })
}

fn activation_kind(node: &str, kind: &str, a: f32, b: f32) -> Result<Activation> {
    Ok(match kind {
        "relu" => Activation::Relu,
        "clamp" => Activation::Clamp { lo: a, hi: b },
        "leaky_relu" => Activation::LeakyRelu { slope: a },
        "hardswish" => Activation::Hardswish,
        "hardsigmoid" => Activation::Hardsigmoid,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "silu" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_tanh" => Activation::GeluTanh,
        "elu" => Activation::Elu { alpha: a },
        "selu" => Activation::Selu,
        "celu" => Activation::Celu { alpha: a },
        "mish" => Activation::Mish,
        "softplus" => Activation::Softplus { beta: a, threshold: b },
        "softsign" => Activation::Softsign,
        "exp" => Activation::Exp,
        "log" => Activation::Log,
        "sqrt" => Activation::Sqrt,
        "abs" => Activation::Abs,
        _ => {
            let known = "relu, clamp, leaky_relu, hardswish, hardsigmoid, tanh, sigmoid, silu, gelu, gelu_tanh, \
                         elu, selu, celu, mish, softplus, softsign, exp, log, sqrt or abs";
            return Err(wrong(node, "kind", known, format!("{kind:?}")));
        }
    })
}

#[allow(clippy::too_many_arguments, reason = "torch's functions have these arguments")]
#[pymethods]
impl GraphBuilder {
    #[new]
    fn new() -> Self {
        Self { builder: graph::GraphBuilder::new() }
    }

    /// The next input. The shape is that of the trace; the graph runs for other sizes too.
    fn input(&mut self, name: &str, shape: Vec<Whole>) -> PyResult<usize> {
        let shape: Vec<_> = shape.into_iter().map(|dim| size(name, "shape", dim)).collect::<Result<_>>()?;
        self.adding(|builder| builder.input(name, &shape))
    }

    /// The shape of a graph value for the input shapes given to `input`.
    fn shape<'py>(&self, py: Python<'py>, value: usize) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.builder.shape(NodeId(value))?.iter())
    }

    /// The nodes so far, before any pass: name, operation, shape and multiply-adds of each.
    fn nodes<'py>(&self, py: Python<'py>) -> PyResult<Vec<NodeRow<'py>>> {
        let nodes = &self.builder.traced().nodes;
        let row = |(index, node): (usize, &graph::Node)| {
            let id = NodeId(index);
            let shape = PyTuple::new(py, self.builder.shape(id)?.iter())?;
            Ok((node.name.clone(), node.op.name(), shape, self.builder.multiply_adds(id)?))
        };
        nodes.iter().enumerate().map(row).collect()
    }

    /// Make a value the next output.
    fn output(&mut self, value: usize) -> Result<()> {
        self.builder.output(NodeId(value))
    }

    /// The graph after the passes. The builder may be used further.
    ///
    /// Graphs that are given the same `workspaces` share the memory of their runs.
    #[pyo3(signature = (workspaces = None))]
    fn finish(&self, workspaces: Option<&Workspaces>) -> PyResult<Graph> {
        let names = self.builder.traced().nodes.iter().map(|node| node.name.clone()).collect();
        guarded(|| Graph::new(self.builder.finish()?, names, workspaces))
    }

    /// `torch.nn.functional.conv2d`. `padding` is top, left, bottom, right or `"same_upper"`
    /// (TensorFlow's rule, which follows the input's size).
    fn conv2d(
        &mut self,
        name: &str,
        x: usize,
        weight: &Parameter,
        bias: Option<&Parameter>,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: Whole,
    ) -> PyResult<usize> {
        let padding = match padding {
            Padding::Explicit(sides) => ConvPadding::Explicit(sizes(name, "padding", sides.into())?),
            Padding::Named(rule) if rule == "same_upper" => ConvPadding::SameUpper,
            Padding::Named(rule) => {
                let found = format!("{rule:?}");
                return Err(wrong(name, "padding", "four sizes or \"same_upper\"", found).into());
            }
        };
        let conv = Conv2d {
            stride: sizes(name, "stride", stride.into())?,
            padding,
            dilation: sizes(name, "dilation", dilation.into())?,
            groups: size(name, "groups", groups)?,
        };
        self.add(name, conv, &[x], vec![Some(weight.share()), shared(bias)])
    }

    /// `torch.nn.functional.conv_transpose2d`.
    fn conv_transpose2d(
        &mut self,
        name: &str,
        x: usize,
        weight: &Parameter,
        bias: Option<&Parameter>,
        stride: Pair,
        padding: Pair,
        output_padding: Pair,
        dilation: Pair,
        groups: Whole,
    ) -> PyResult<usize> {
        let conv = ops::ConvTranspose2d {
            stride: sizes(name, "stride", stride.into())?,
            padding: sizes(name, "padding", padding.into())?,
            output_padding: sizes(name, "output_padding", output_padding.into())?,
            dilation: sizes(name, "dilation", dilation.into())?,
            groups: size(name, "groups", groups)?,
        };
        self.add(name, conv, &[x], vec![Some(weight.share()), shared(bias)])
    }

    /// `torch.nn.functional.linear`.
    fn linear(
        &mut self,
        name: &str,
        x: usize,
        weight: &Parameter,
        bias: Option<&Parameter>,
    ) -> PyResult<usize> {
        self.add(name, ops::Linear, &[x], vec![Some(weight.share()), shared(bias)])
    }

    /// `torch.nn.functional.batch_norm` with running statistics.
    fn batch_norm(
        &mut self,
        name: &str,
        x: usize,
        weight: Option<&Parameter>,
        bias: Option<&Parameter>,
        running_mean: &Parameter,
        running_var: &Parameter,
        eps: f64,
    ) -> PyResult<usize> {
        let params =
            vec![shared(weight), shared(bias), Some(running_mean.share()), Some(running_var.share())];
        self.add(name, ops::BatchNorm { eps }, &[x], params)
    }

    /// A parameter as a graph value.
    fn constant(&mut self, name: &str, value: &Parameter) -> PyResult<usize> {
        self.add(name, ops::Constant, &[], vec![Some(value.share())])
    }

    /// `torch.nn.functional.layer_norm`.
    fn layer_norm(
        &mut self,
        name: &str,
        x: usize,
        shape: Vec<Whole>,
        weight: Option<&Parameter>,
        bias: Option<&Parameter>,
        eps: f64,
    ) -> PyResult<usize> {
        let shape =
            shape.into_iter().map(|dim| size(name, "normalized_shape", dim)).collect::<Result<_>>()?;
        self.add(name, ops::LayerNorm { shape, eps }, &[x], vec![shared(weight), shared(bias)])
    }

    /// `torch.nn.functional.group_norm`; without `groups`, `instance_norm` by the input's own
    /// statistics.
    fn group_norm(
        &mut self,
        name: &str,
        x: usize,
        groups: Option<Whole>,
        weight: Option<&Parameter>,
        bias: Option<&Parameter>,
        eps: f64,
    ) -> PyResult<usize> {
        let groups = groups.map(|groups| size(name, "num_groups", groups)).transpose()?;
        self.add(name, ops::GroupNorm { groups, eps }, &[x], vec![shared(weight), shared(bias)])
    }

    /// `torch.nn.functional.normalize` with `p=2`.
    fn normalize(&mut self, name: &str, x: usize, dim: Whole, eps: f32) -> PyResult<usize> {
        self.adding(|builder| builder.normalize(name, NodeId(x), dim.0, eps))
    }

    /// `torch.nn.functional.scaled_dot_product_attention`; no scale is `1 / sqrt(E)`.
    fn attention(
        &mut self,
        name: &str,
        query: usize,
        key: usize,
        value: usize,
        mask: Option<usize>,
        scale: Option<f32>,
    ) -> PyResult<usize> {
        let inputs: Vec<_> = [query, key, value].into_iter().chain(mask).collect();
        self.add(name, ops::Attention { scale, masked: mask.is_some() }, &inputs, vec![])
    }

    /// `torch.matmul` of values with at least two dimensions.
    fn matmul(&mut self, name: &str, x: usize, y: usize) -> PyResult<usize> {
        self.add(name, ops::MatMul, &[x, y], vec![])
    }

    /// A pointwise function by name; `clamp` is from `a` to `b`, `leaky_relu` has the slope `a`,
    /// `elu` and `celu` the `alpha` `a`, `softplus` the `beta` `a` and the `threshold` `b`.
    #[pyo3(signature = (name, x, kind, a = 0.0, b = 0.0))]
    fn activation(&mut self, name: &str, x: usize, kind: &str, a: f32, b: f32) -> PyResult<usize> {
        self.add(name, activation_kind(name, kind, a, b)?, &[x], vec![])
    }

    /// `torch.nn.functional.prelu`.
    fn prelu(&mut self, name: &str, x: usize, weight: &Parameter) -> PyResult<usize> {
        self.add(name, ops::PRelu, &[x], vec![Some(weight.share())])
    }

    /// `torch.nn.functional.softmax`, or `log_softmax`.
    fn softmax(&mut self, name: &str, x: usize, dim: Whole, log: bool) -> PyResult<usize> {
        self.adding(|builder| builder.softmax(name, NodeId(x), dim.0, log))
    }

    /// `torch.nn.functional.max_pool2d` with padding given as top, left, bottom, right.
    fn max_pool2d(
        &mut self,
        name: &str,
        x: usize,
        kernel: Pair,
        stride: Pair,
        padding: Sides,
        dilation: Pair,
        ceil_mode: bool,
    ) -> PyResult<usize> {
        let window = window(name, kernel, stride, padding, dilation, ceil_mode)?;
        self.add(name, ops::MaxPool2d(window), &[x], vec![])
    }

    /// `torch.nn.functional.avg_pool2d` with padding given as top, left, bottom, right.
    fn avg_pool2d(
        &mut self,
        name: &str,
        x: usize,
        kernel: Pair,
        stride: Pair,
        padding: Sides,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: Option<Whole>,
    ) -> PyResult<usize> {
        let window = window(name, kernel, stride, padding, (Whole(1), Whole(1)), ceil_mode)?;
        let divisor_override =
            divisor_override.map(|divisor| size(name, "divisor_override", divisor)).transpose()?;
        self.add(name, ops::AvgPool2d { window, count_include_pad, divisor_override }, &[x], vec![])
    }

    /// `torch.nn.functional.adaptive_avg_pool2d`; `None` keeps the input's size.
    fn adaptive_avg_pool2d(
        &mut self,
        name: &str,
        x: usize,
        output_size: (Option<Whole>, Option<Whole>),
    ) -> PyResult<usize> {
        let output = self::output_size(name, output_size)?;
        self.add(name, ops::AdaptiveAvgPool2d { output }, &[x], vec![])
    }

    /// `torch.nn.functional.adaptive_max_pool2d`; `None` keeps the input's size.
    fn adaptive_max_pool2d(
        &mut self,
        name: &str,
        x: usize,
        output_size: (Option<Whole>, Option<Whole>),
    ) -> PyResult<usize> {
        let output = self::output_size(name, output_size)?;
        self.add(name, ops::AdaptiveMaxPool2d { output }, &[x], vec![])
    }

    /// `torch.nn.functional.interpolate` to a size.
    fn resize_to(
        &mut self,
        name: &str,
        x: usize,
        size: Pair,
        mode: &str,
        align_corners: bool,
        antialias: bool,
    ) -> PyResult<usize> {
        let mode = resize_mode(name, mode, align_corners, antialias)?;
        let to = ops::ResizeTo::Size(sizes(name, "size", size.into())?);
        self.add(name, ops::Interpolate { mode, to }, &[x], vec![])
    }

    /// `torch.nn.functional.interpolate` by factors, which determine positions unless `recompute`.
    fn resize_by(
        &mut self,
        name: &str,
        x: usize,
        factors: (f64, f64),
        recompute: bool,
        mode: &str,
        align_corners: bool,
        antialias: bool,
    ) -> PyResult<usize> {
        let mode = resize_mode(name, mode, align_corners, antialias)?;
        let to = ops::ResizeTo::Scale { factors: factors.into(), recompute };
        self.add(name, ops::Interpolate { mode, to }, &[x], vec![])
    }

    /// `torch.nn.functional.local_response_norm`.
    fn local_response_norm(
        &mut self,
        name: &str,
        x: usize,
        size: Whole,
        alpha: f32,
        beta: f32,
        k: f32,
    ) -> PyResult<usize> {
        let size = self::size(name, "size", size)?;
        self.add(name, ops::LocalResponseNorm { size, alpha, beta, k }, &[x], vec![])
    }

    /// An elementwise operation on two values, with broadcasting; if `in_place`, the result has the
    /// first one's shape.
    #[pyo3(signature = (name, kind, x, y, in_place = false))]
    fn binary(&mut self, name: &str, kind: &str, x: usize, y: usize, in_place: bool) -> PyResult<usize> {
        let op = binary_kind(name, kind)?;
        self.add(name, ops::Binary { op, in_place }, &[x, y], vec![])
    }

    /// An operation on a value and a number, which is the left operand if `reversed`.
    fn binary_scalar(
        &mut self,
        name: &str,
        kind: &str,
        x: usize,
        scalar: f32,
        reversed: bool,
    ) -> PyResult<usize> {
        let op = binary_kind(name, kind)?;
        self.add(name, ops::BinaryScalar { op, scalar, reversed }, &[x], vec![])
    }

    /// `torch.where`: `x` where the condition is not zero, else `y`.
    fn select(&mut self, name: &str, condition: usize, x: usize, y: usize) -> PyResult<usize> {
        self.add(name, ops::Where, &[condition, x, y], vec![])
    }

    /// `torch.sum`, `torch.amax` or `torch.amin` over `dims`; over all dimensions if it is empty.
    fn reduce(
        &mut self,
        name: &str,
        x: usize,
        kind: &str,
        dims: Vec<Whole>,
        keepdim: bool,
    ) -> PyResult<usize> {
        let op = reduce_kind(name, kind)?;
        self.adding(|builder| builder.reduce(name, NodeId(x), op, &numbers(dims), keepdim))
    }

    /// `torch.mean`; over all dimensions if `dims` is empty.
    fn mean(&mut self, name: &str, x: usize, dims: Vec<Whole>, keepdim: bool) -> PyResult<usize> {
        self.adding(|builder| builder.mean(name, NodeId(x), &numbers(dims), keepdim))
    }

    /// `torch.reshape`; one size may be -1, and -2 - d is the size of the input's dimension d in
    /// each run.
    fn reshape(&mut self, name: &str, x: usize, shape: Vec<Whole>) -> PyResult<usize> {
        self.add(name, ops::Reshape { dims: numbers(shape) }, &[x], vec![])
    }

    /// `torch.flatten`: `start` to `end`, inclusive, become one dimension.
    fn flatten(&mut self, name: &str, x: usize, start: Whole, end: Whole) -> PyResult<usize> {
        self.adding(|builder| builder.flatten(name, NodeId(x), start.0, end.0))
    }

    /// `torch.unflatten`; one of the sizes may be -1.
    fn unflatten(&mut self, name: &str, x: usize, dim: Whole, sizes: Vec<Whole>) -> PyResult<usize> {
        self.adding(|builder| builder.unflatten(name, NodeId(x), dim.0, numbers(sizes)))
    }

    /// `torch.Tensor.expand`; -1 keeps a size, and -2 - d is that of dimension d of `like`.
    #[pyo3(signature = (name, x, sizes, like = None))]
    fn expand(&mut self, name: &str, x: usize, sizes: Vec<Whole>, like: Option<usize>) -> PyResult<usize> {
        let inputs: Vec<_> = [x].into_iter().chain(like).collect();
        self.add(name, ops::Expand { sizes: numbers(sizes), like: like.is_some() }, &inputs, vec![])
    }

    /// `torch.Tensor.expand_as`: the first value repeated to the shape of the second one.
    fn expand_as(&mut self, name: &str, x: usize, like: usize) -> PyResult<usize> {
        self.add(name, ops::ExpandAs, &[x, like], vec![])
    }

    /// `torch.roll`.
    fn roll(&mut self, name: &str, x: usize, shifts: Vec<Whole>, dims: Vec<Whole>) -> PyResult<usize> {
        self.adding(|builder| builder.roll(name, NodeId(x), &numbers(shifts), &numbers(dims)))
    }

    /// `torch.permute`.
    fn permute(&mut self, name: &str, x: usize, dims: Vec<Whole>) -> PyResult<usize> {
        self.adding(|builder| builder.permute(name, NodeId(x), &numbers(dims)))
    }

    /// `x[start:stop:step]` along one dimension.
    fn slice(
        &mut self,
        name: &str,
        x: usize,
        dim: Whole,
        start: Option<Whole>,
        stop: Option<Whole>,
        step: Whole,
    ) -> PyResult<usize> {
        let step = size(name, "step", step)?;
        self.adding(|builder| {
            builder.slice(name, NodeId(x), dim.0, [start, stop].map(|bound| bound.map(|bound| bound.0)), step)
        })
    }

    /// `x[index:index + 1]` along one dimension, which must have that index.
    fn index(&mut self, name: &str, x: usize, dim: Whole, index: Whole) -> PyResult<usize> {
        self.adding(|builder| builder.index(name, NodeId(x), dim.0, index.0))
    }

    /// `torch.cat`.
    fn concat(&mut self, name: &str, xs: Vec<usize>, dim: Whole) -> PyResult<usize> {
        let xs: Vec<_> = xs.into_iter().map(NodeId).collect();
        self.adding(|builder| builder.concat(name, &xs, dim.0))
    }

    /// Padding with a constant: one (before, after) for each dimension.
    fn pad(&mut self, name: &str, x: usize, pads: Vec<Pair>, value: f32) -> PyResult<usize> {
        let pads = pads.into_iter().map(|pad| sizes(name, "pads", pad.into())).collect::<Result<_>>()?;
        self.add(name, ops::Pad { pads, value }, &[x], vec![])
    }

    /// A value's own elements around it, by mode reflect, replicate or circular; `pads` as of
    /// `pad`.
    fn pad_edges(&mut self, name: &str, x: usize, pads: Vec<Pair>, mode: &str) -> PyResult<usize> {
        let pads = pads.into_iter().map(|pad| sizes(name, "pads", pad.into())).collect::<Result<_>>()?;
        let mode = edge_mode(name, mode)?;
        self.add(name, ops::PadEdges { pads, mode }, &[x], vec![])
    }

    /// The value itself under another name: dropout at inference, `Identity`.
    fn identity(&mut self, name: &str, x: usize) -> PyResult<usize> {
        self.add(name, ops::Identity, &[x], vec![])
    }

    /// The dense predictor of the traced classifier, for windows of the input's size.
    fn convolutionize(&self, stride: Option<Pair>, squeeze: &str) -> PyResult<DenseGraph> {
        let squeeze = match squeeze {
            "refused" => Squeeze::Refused,
            "global" => Squeeze::Global,
            _ => {
                let found = format!("{squeeze:?}");
                return Err(wrong("convolutionize", "squeeze", "'refused' or 'global'", found).into());
            }
        };
        let stride = stride.map(|stride| sizes("convolutionize", "stride", stride.into())).transpose()?;
        let graph = self.builder.traced();
        let input = match graph.inputs[..] {
            [input] => self.builder.shape(input)?,
            _ => Shape::default(),
        };
        guarded(|| dense::convolutionize(graph, input, stride, squeeze)).map(DenseGraph)
    }

    /// The nodes of a dense predictor, which reads `x`; returns its map.
    fn inline(&mut self, dense: &DenseGraph, x: usize) -> PyResult<usize> {
        self.adding(|builder| builder.inline(&dense.0.graph, NodeId(x)))
    }

    fn __repr__(&self) -> String {
        format!("GraphBuilder({} nodes)", self.builder.traced().nodes.len())
    }
}
