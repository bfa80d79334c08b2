//! What can be said of a node before its input's shape is known: attributes in their range,
//! parameters of the right shapes.

use crate::error::{Error, Result};
use crate::tensor::{Activation, Shape};

use super::{Conv2d, ConvPadding, Node, Op, Window};

/// The largest kernel, stride, padding, dilation and window: as in torch's pools, and far above any map. So
/// sums and products of two of them do not overflow.
const MOST: usize = i32::MAX as usize;

/// Check a node's attributes and parameters.
pub(super) fn check(node: &Node) -> Result<()> {
    let check = Check { node };
    check.arity()?;
    match &node.op {
        Op::Conv2d(conv) => check.conv2d(conv),
        Op::Linear => check.linear(),
        Op::BatchNorm { eps } => check.batch_norm(*eps),
        Op::Activation(activation) => check.activation(*activation),
        Op::PRelu => check.prelu(),
        Op::MaxPool2d(window) => check.window(window),
        Op::AvgPool2d { window, divisor_override, .. } => {
            check.window(window)?;
            check.is("dilation", "1 for an average", window.dilation, window.dilation == [1, 1])?;
            check.is("divisor_override", "positive", divisor_override, *divisor_override != Some(0))
        }
        Op::AdaptiveAvgPool2d { output } | Op::AdaptiveMaxPool2d { output } => {
            check.is("output_size", "positive, or None", output, !output.contains(&Some(0)))
        }
        Op::LocalResponseNorm { size, .. } => check.sizes("size", 1, [*size]),
        Op::Mean { dims, .. } => check.distinct("dim", dims),
        Op::LayerNorm { shape, eps } => {
            check.is("normalized_shape", "at least one size", shape, !shape.is_empty())?;
            check.is("eps", "finite and not negative", eps, eps.is_finite() && *eps >= 0.0)?;
            let expected = format!("normalized_shape {shape:?}");
            [0, 1]
                .into_iter()
                .try_for_each(|index| check.param_is(index, expected.as_str(), |found| **found == shape[..]))
        }
        Op::Normalize { eps, .. } => check.is("eps", "0 or more", eps, *eps >= 0.0),
        Op::Attention { scale, .. } => {
            check.is("scale", "a finite number", scale, scale.is_none_or(f32::is_finite))
        }
        Op::Roll { shifts } => {
            check.distinct("dims", &shifts.iter().map(|&(dim, _)| dim).collect::<Vec<_>>())
        }
        Op::Unflatten { sizes, .. } => {
            let free = sizes.iter().filter(|&&d| d == -1).count();
            let valid = free <= 1 && !sizes.is_empty() && sizes.iter().all(|&d| d >= -1);
            check.is("sizes", "sizes of which at most one is -1", sizes, valid)
        }
        Op::Reshape { dims } => {
            let free = dims.iter().filter(|&&d| d == -1).count();
            let valid = free <= 1;
            check.is("shape", "sizes of which at most one is -1", dims, valid)
        }
        Op::Flatten { start, end } => {
            check.is("start_dim", &format!("at most end_dim ({end})"), start, start <= end)
        }
        Op::Permute { dims } => {
            check.distinct("dims", dims)?;
            check.is("dims", "a permutation", dims, dims.iter().all(|&d| d < dims.len()))
        }
        Op::Slice { step, .. } => check.is("step", "positive", step, *step > 0),
        Op::Input
        | Op::Constant
        | Op::MatMul
        | Op::Expand { .. }
        | Op::ExpandAs
        | Op::Softmax { .. }
        | Op::Binary(_)
        | Op::BinaryScalar { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Identity => Ok(()),
    }
}

struct Check<'a> {
    node: &'a Node,
}

impl Check<'_> {
    fn is(
        &self,
        attribute: &'static str,
        expected: &str,
        found: impl std::fmt::Debug,
        holds: bool,
    ) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(Error::Attribute {
            node: self.node.name.clone(),
            attribute,
            expected: expected.to_owned(),
            found: format!("{found:?}"),
        })
    }

    /// Whether all are between `least` and [`MOST`].
    fn sizes<const N: usize>(&self, attribute: &'static str, least: usize, found: [usize; N]) -> Result<()> {
        let expected = match found.iter().find(|size| !(least..=MOST).contains(size)) {
            None => return Ok(()),
            Some(&size) if size > MOST => format!("at most {MOST}"),
            Some(_) => "positive".into(),
        };
        if N == 1 {
            self.is(attribute, &expected, found[0], false)
        } else {
            self.is(attribute, &expected, found, false)
        }
    }

    fn distinct(&self, attribute: &'static str, dims: &[usize]) -> Result<()> {
        let repeated = (1..dims.len()).any(|i| dims[..i].contains(&dims[i]));
        self.is(attribute, "without repetition", dims, !repeated)
    }

    fn arity(&self) -> Result<()> {
        let count = self.node.inputs.len();
        match self.node.op.input_count() {
            Some(n) => self.is("inputs", &format!("{n} value(s)"), count, count == n)?,
            None => self.is("inputs", "at least one value", count, count > 0)?,
        }
        let names = self.node.op.param_names();
        let count = self.node.params.len();
        self.is("parameters", &format!("{} value(s)", names.len()), count, count == names.len())?;
        for ((name, required), param) in names.iter().zip(&self.node.params) {
            self.is(name, "a parameter", format_args!("none"), param.is_some() || !required)?;
        }
        Ok(())
    }

    fn param_shape(&self, index: usize) -> Option<Shape> {
        self.node.param(index).map(|param| param.shape())
    }

    fn param_is(
        &self,
        index: usize,
        expected: impl Into<String>,
        holds: impl Fn(&Shape) -> bool,
    ) -> Result<()> {
        match self.param_shape(index) {
            Some(found) if !holds(&found) => Err(Error::ParameterShape {
                node: self.node.name.clone(),
                param: self.node.op.param_names()[index].0,
                expected: expected.into(),
                found,
            }),
            _ => Ok(()),
        }
    }

    fn vector(&self, index: usize, length: usize) -> Result<()> {
        self.param_is(index, format!("({length},)"), |shape| **shape == [length])
    }

    fn conv2d(&self, conv: &Conv2d) -> Result<()> {
        self.sizes("stride", 1, conv.stride)?;
        self.sizes("dilation", 1, conv.dilation)?;
        if let ConvPadding::Explicit(sides) = conv.padding {
            self.sizes("padding", 0, sides)?;
        }
        self.sizes("groups", 1, [conv.groups])?;
        self.param_is(0, "(out_channels, in_channels / groups, height, width), none of them 0", |shape| {
            shape.rank() == 4 && !shape.contains(&0)
        })?;
        let weight = self.param_shape(0).unwrap_or_default();
        self.is(
            "groups",
            &format!("a divisor of the {} output channels", weight[0]),
            conv.groups,
            weight[0].is_multiple_of(conv.groups),
        )?;
        self.vector(1, weight[0])
    }

    fn linear(&self) -> Result<()> {
        self.param_is(0, "(out_features, in_features), none of them 0", |shape| {
            shape.rank() == 2 && !shape.contains(&0)
        })?;
        self.vector(1, self.param_shape(0).unwrap_or_default()[0])
    }

    fn batch_norm(&self, eps: f64) -> Result<()> {
        self.is("eps", "finite and not negative", eps, eps.is_finite() && eps >= 0.0)?;
        self.param_is(2, "(num_features,)", |shape| shape.rank() == 1)?;
        let channels = self.param_shape(2).unwrap_or_default()[0];
        [0, 1, 3].into_iter().try_for_each(|index| self.vector(index, channels))
    }

    fn activation(&self, activation: Activation) -> Result<()> {
        match activation {
            Activation::Clamp { lo, hi } => self.is("min", "at most max", [lo, hi], lo <= hi),
            Activation::LeakyRelu { slope } => self.is("negative_slope", "a number", slope, !slope.is_nan()),
            _ => Ok(()),
        }
    }

    fn prelu(&self) -> Result<()> {
        self.param_is(0, "() or (num_parameters,)", |shape| shape.rank() <= 1 && shape.numel() > 0)
    }

    fn window(&self, window: &Window) -> Result<()> {
        self.sizes("kernel_size", 1, window.kernel)?;
        self.sizes("stride", 1, window.stride)?;
        self.sizes("dilation", 1, window.dilation)?;
        let half = window.kernel.map(|k| k / 2);
        self.is(
            "padding",
            &format!("at most half the kernel size {:?}", window.kernel),
            window.padding,
            (0..4).all(|side| window.padding[side] <= half[side % 2]),
        )
    }
}
