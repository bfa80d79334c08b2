//! A graph as text, a node a line.

use std::fmt::{self, Display, Write};

use super::op::kept_dim;
use super::{Binary, Conv2d, ConvPadding, Graph, Node, Op, Window};
use crate::tensor::Activation;

impl Graph {
    /// The graph as text: a node a line with its name, what it computes and reads, what is fused
    /// into it, and the names of the nodes it covers.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.nodes.len().to_string().len() + 1;
        let name = self.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0);
        for (index, node) in self.nodes.iter().enumerate() {
            let id = format!("%{index}");
            writeln!(f, "{id:<number$} {:<name$}  {}", node.name, Line(node))?;
        }
        write!(f, "return")?;
        self.outputs.iter().enumerate().try_for_each(|(i, id)| {
            let separator = if i == 0 { " " } else { ", " };
            write!(f, "{separator}%{}", id.0)
        })
    }
}

/// A node without its name.
struct Line<'a>(&'a Node);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0;
        let own = node.inputs.len() - usize::from(node.fused.residual);
        let read: Vec<_> = node.inputs.iter().map(|id| format!("%{}", id.0)).collect();
        let operands = match &node.op {
            Op::BinaryScalar { scalar, reversed: true, .. } => format!("{scalar}, {}", read[0]),
            Op::BinaryScalar { scalar, reversed: false, .. } => format!("{}, {scalar}", read[0]),
            _ => read[..own].join(", "),
        };
        write!(f, "{}", op_name(&node.op))?;
        if !operands.is_empty() {
            write!(f, "({operands})")?;
        }
        for ((name, _), param) in node.op.param_names().iter().zip(&node.params) {
            if let Some(param) = param {
                write!(f, " {name} {}", param.shape())?;
            }
        }
        let mut attributes = String::new();
        write_attributes(&mut attributes, &node.op)?;
        f.write_str(&attributes)?;
        if let Some(affine) = &node.fused.affine {
            let parts =
                [affine.scale.is_some().then_some("scale"), affine.shift.is_some().then_some("shift")];
            write!(f, " | {}", parts.into_iter().flatten().collect::<Vec<_>>().join(" and "))?;
        }
        if node.fused.residual {
            write!(f, " | + {}", read[own..].join(" + "))?;
        }
        if node.fused.activation != Activation::Identity {
            let mut text = activation_name(node.fused.activation).to_owned();
            write_activation(&mut text, node.fused.activation)?;
            write!(f, " | {text}")?;
        }
        if !node.covers.is_empty() {
            write!(f, "  (covers {})", node.covers.join(", "))?;
        }
        Ok(())
    }
}

/// An operation's name, torch's where torch has it: `conv2d`, `max_pool2d`, `relu`.
pub fn op_name(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Conv2d(_) => "conv2d",
        Op::Linear => "linear",
        Op::BatchNorm { .. } => "batch_norm",
        Op::Activation(activation) => activation_name(*activation),
        Op::PRelu => "prelu",
        Op::Constant => "constant",
        Op::LayerNorm { .. } => "layer_norm",
        Op::Normalize { .. } => "normalize",
        Op::Attention { .. } => "attention",
        Op::MatMul => "matmul",
        Op::Unflatten { .. } => "unflatten",
        Op::Expand { .. } => "expand",
        Op::ExpandAs => "expand_as",
        Op::Roll { .. } => "roll",
        Op::Softmax { log: false, .. } => "softmax",
        Op::Softmax { log: true, .. } => "log_softmax",
        Op::MaxPool2d(_) => "max_pool2d",
        Op::AvgPool2d { .. } => "avg_pool2d",
        Op::AdaptiveAvgPool2d { .. } => "adaptive_avg_pool2d",
        Op::AdaptiveMaxPool2d { .. } => "adaptive_max_pool2d",
        Op::LocalResponseNorm { .. } => "local_response_norm",
        Op::Binary(binary) | Op::BinaryScalar { op: binary, .. } => binary_name(*binary),
        Op::Mean { .. } => "mean",
        Op::Reshape { .. } => "reshape",
        Op::Flatten { .. } => "flatten",
        Op::Permute { .. } => "permute",
        Op::Slice { .. } => "slice",
        Op::Concat { .. } => "concat",
        Op::Pad { .. } => "pad",
        Op::Identity => "identity",
    }
}

fn binary_name(binary: Binary) -> &'static str {
    match binary {
        Binary::Add => "add",
        Binary::Sub => "sub",
        Binary::Mul => "mul",
        Binary::Div => "div",
        Binary::Maximum => "maximum",
        Binary::Minimum => "minimum",
    }
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "identity",
        Activation::Relu => "relu",
        Activation::Clamp { .. } => "clamp",
        Activation::LeakyRelu { .. } => "leaky_relu",
        Activation::Hardswish => "hardswish",
        Activation::Hardsigmoid => "hardsigmoid",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
    }
}

fn write_activation(out: &mut String, activation: Activation) -> fmt::Result {
    match activation {
        Activation::Clamp { lo, hi } => write!(out, " {lo} to {hi}"),
        Activation::LeakyRelu { slope } => write!(out, " slope {slope}"),
        _ => Ok(()),
    }
}

/// Attributes, each with a space before it; torch's defaults are left out.
fn write_attributes(out: &mut String, op: &Op) -> fmt::Result {
    match op {
        Op::Conv2d(conv) => write_conv(out, conv),
        Op::BatchNorm { eps } => write!(out, " eps {eps}"),
        Op::LayerNorm { shape, eps } => write!(out, " over {shape:?} eps {eps}"),
        Op::Normalize { dim, eps } => write!(out, " dim {dim} eps {eps}"),
        Op::Attention { scale, .. } => scale.map_or(Ok(()), |scale| write!(out, " scale {scale}")),
        Op::Unflatten { dim, sizes } => write!(out, " dim {dim} to {sizes:?}"),
        Op::Expand { sizes, .. } => write_sizes(out, sizes),
        Op::Roll { shifts } => {
            shifts.iter().try_for_each(|(dim, shift)| write!(out, " dim {dim} by {shift}"))
        }
        Op::Softmax { dim, .. } | Op::Concat { dim } => write!(out, " dim {dim}"),
        Op::MaxPool2d(window) => write_window(out, window),
        Op::AvgPool2d { window, count_include_pad, divisor_override } => {
            write_window(out, window)?;
            if !count_include_pad && window.padding != [0; 4] {
                write!(out, " count_include_pad false")?;
            }
            divisor_override.map_or(Ok(()), |divisor| write!(out, " divisor_override {divisor}"))
        }
        Op::AdaptiveAvgPool2d { output } | Op::AdaptiveMaxPool2d { output } => {
            let [h, w] = output.map(|size| size.map_or_else(|| "same".to_owned(), |n| n.to_string()));
            write!(out, " output ({h}, {w})")
        }
        Op::LocalResponseNorm { size, alpha, beta, k } => {
            write!(out, " size {size} alpha {alpha} beta {beta} k {k}")
        }
        Op::Mean { dims, keepdim } => {
            write!(out, " dims {dims:?}{}", if *keepdim { " keepdim" } else { "" })
        }
        Op::Reshape { dims } => write_sizes(out, dims),
        Op::Flatten { start, end } => write!(out, " dims {start} to {end}"),
        Op::Permute { dims } => write!(out, " dims {dims:?}"),
        Op::Slice { dim, start, stop, step, .. } => {
            let bound = |bound: &Option<i64>| bound.map_or_else(String::new, |b| b.to_string());
            write!(out, " dim {dim} [{}:{}", bound(start), bound(stop))?;
            if *step == 1 { write!(out, "]") } else { write!(out, ":{step}]") }
        }
        Op::Pad { pads, value } => write!(out, " by {pads:?} with {value}"),
        Op::Activation(activation) => write_activation(out, *activation),
        Op::Input
        | Op::Constant
        | Op::Linear
        | Op::PRelu
        | Op::Binary(_)
        | Op::BinaryScalar { .. }
        | Op::MatMul
        | Op::ExpandAs
        | Op::Identity => Ok(()),
    }
}

fn write_conv(out: &mut String, conv: &Conv2d) -> fmt::Result {
    write_pair(out, "stride", conv.stride)?;
    match conv.padding {
        ConvPadding::Explicit(sides) => write_padding(out, sides)?,
        ConvPadding::SameUpper => write!(out, " padding same_upper")?,
    }
    write_pair(out, "dilation", conv.dilation)?;
    if conv.groups != 1 {
        write!(out, " groups {}", conv.groups)?;
    }
    Ok(())
}

fn write_window(out: &mut String, window: &Window) -> fmt::Result {
    write!(out, " kernel {}x{}", window.kernel[0], window.kernel[1])?;
    write_pair(out, "stride", window.stride)?;
    write_padding(out, window.padding)?;
    write_pair(out, "dilation", window.dilation)?;
    if window.ceil_mode {
        write!(out, " ceil_mode")?;
    }
    Ok(())
}

fn write_pair(out: &mut String, name: &str, pair: [usize; 2]) -> fmt::Result {
    match pair {
        [1, 1] => Ok(()),
        [h, w] if h == w => write!(out, " {name} {h}"),
        [h, w] => write!(out, " {name} {h}x{w}"),
    }
}

fn write_padding(out: &mut String, sides: [usize; 4]) -> fmt::Result {
    match sides {
        [0, 0, 0, 0] => Ok(()),
        [t, l, b, r] if t == l && l == b && b == r => write!(out, " padding {t}"),
        sides => write!(out, " padding {sides:?}"),
    }
}

/// Sizes as they were asked for; `dim 0` is the size that dimension has in a run.
fn write_sizes(out: &mut String, sizes: &[i64]) -> fmt::Result {
    let one = |&size: &i64| kept_dim(size).map_or_else(|| size.to_string(), |dim| format!("dim {dim}"));
    write!(out, " to [{}]", sizes.iter().map(one).collect::<Vec<_>>().join(", "))
}
