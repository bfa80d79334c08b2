//! What a node computes: attributes only, no sizes. Torch's names and definitions.

use std::sync::Arc;

use crate::tensor::{Activation, Param};

/// Zeros around the picture of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvPadding {
    /// Rows above, columns before, rows below, columns behind.
    Explicit([usize; 4]),
    /// TensorFlow's `SAME`: the output is `ceil(input / stride)`, an odd zero goes below and behind.
    SameUpper,
}

/// `torch.nn.functional.conv2d`; parameters: weight `[oc, ic / groups, kh, kw]`, optional bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Vertical and horizontal.
    pub stride: [usize; 2],
    /// Around the picture.
    pub padding: ConvPadding,
    /// Vertical and horizontal; 1 is none.
    pub dilation: [usize; 2],
    /// Input and output channels are cut into this many groups.
    pub groups: usize,
}

/// The window of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Vertical and horizontal; 1 is none. Torch has none for averages; those of dense networks have.
    pub dilation: [usize; 2],
    /// Whether a last window may hang over the edge.
    pub ceil_mode: bool,
}

/// How two values are combined, element by element with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// The larger; NaN if either is.
    Maximum,
    /// The smaller; NaN if either is.
    Minimum,
}

/// In the sizes of [`Op::Reshape`] and [`Op::Expand`]: whatever size dimension `dim` of a value has in a run.
/// -1 means something else there, so these count from -2 down.
pub const fn kept(dim: usize) -> i64 {
    -2 - dim as i64
}

/// The dimension that a size stands for, if it is [`kept`].
pub const fn kept_dim(size: i64) -> Option<usize> {
    if size <= kept(0) { Some((kept(0) - size) as usize) } else { None }
}

/// What a node computes.
#[derive(Clone, Debug)]
pub enum Op {
    /// A graph input; its shape comes with the run.
    Input,
    /// A parameter as a value of its own. No inputs. Parameters: value.
    Constant,
    /// Convolution. Inputs: x. Parameters: weight, bias or none.
    Conv2d(Conv2d),
    /// `x W^T + b` over the last dimension. Parameters: weight `[out, in]`, bias or none.
    Linear,
    /// Batch norm with running statistics. Parameters: weight, bias (each or none), mean, variance.
    BatchNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// Normalisation over the last dimensions. Parameters: weight, bias (each or none), of `shape`.
    LayerNorm {
        /// The sizes of the dimensions.
        shape: Vec<usize>,
        /// Added to the variance.
        eps: f64,
    },
    /// Division by the Euclidean length along a dimension.
    Normalize {
        /// The dimension, counted from the front.
        dim: usize,
        /// The least divisor.
        eps: f32,
    },
    /// `softmax(scale Q K^T + mask) V`. Inputs: queries `(..., L, E)`, keys `(..., S, E)`, values
    /// `(..., S, F)`, and if it is masked a summand of the scores that broadcasts to `(..., L, S)`.
    Attention {
        /// Factor of the scores; `None` is `1 / sqrt(E)`.
        scale: Option<f32>,
        /// Whether there is a fourth input.
        masked: bool,
    },
    /// Products of matrices `(..., M, K)` and `(..., K, N)`.
    MatMul,
    /// A pointwise function.
    Activation(Activation),
    /// Leaky slope from a parameter of one value or one per channel (dim 1).
    PRelu,
    /// Softmax over one dimension.
    Softmax {
        /// The dimension, counted from the front.
        dim: usize,
        /// Its logarithm.
        log: bool,
    },
    /// Largest of each window.
    MaxPool2d(Window),
    /// Average of each window.
    AvgPool2d {
        /// The window; its dilation is 1 as traced.
        window: Window,
        /// Whether padding zeros count in the divisor.
        count_include_pad: bool,
        /// A divisor instead of the window's size.
        divisor_override: Option<usize>,
    },
    /// Average pool to a given size; `None` keeps the input's.
    AdaptiveAvgPool2d {
        /// Output height and width.
        output: [Option<usize>; 2],
    },
    /// Max pool to a given size; `None` keeps the input's.
    AdaptiveMaxPool2d {
        /// Output height and width.
        output: [Option<usize>; 2],
    },
    /// Local response normalisation across channels.
    LocalResponseNorm {
        /// Channels in the window.
        size: usize,
        /// Factor of the mean square.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Additive constant.
        k: f32,
    },
    /// Two values.
    Binary(Binary),
    /// A value and a number.
    BinaryScalar {
        /// The operation.
        op: Binary,
        /// The number.
        scalar: f32,
        /// Whether the number stands on the left.
        reversed: bool,
    },
    /// Mean over dimensions (counted from the front, ascending).
    Mean {
        /// Which.
        dims: Vec<usize>,
        /// Whether they stay with size 1.
        keepdim: bool,
    },
    /// New logical shape, -1 for one inferred dimension, [`kept`] for the input's own ones.
    Reshape {
        /// The target.
        dims: Vec<i64>,
    },
    /// `start..=end` become one dimension (counted from the front).
    Flatten {
        /// First.
        start: usize,
        /// Last.
        end: usize,
    },
    /// One dimension becomes several, of which one may be -1.
    Unflatten {
        /// The dimension.
        dim: usize,
        /// Sizes in its place.
        sizes: Vec<i64>,
    },
    /// Repetition along dimensions of size one and in front; -1 keeps a size, [`kept`] takes the second
    /// input's, which is read for its shape alone.
    Expand {
        /// The sizes.
        sizes: Vec<i64>,
        /// Whether there is a second input.
        like: bool,
    },
    /// Repetition to the shape of the second input.
    ExpandAs,
    /// Indices moved onwards along dimensions, the last ones to the front.
    Roll {
        /// Dimension and how far, which may be negative.
        shifts: Vec<(usize, i64)>,
    },
    /// Dimensions in a new order.
    Permute {
        /// Which input dimension each output dimension is.
        dims: Vec<usize>,
    },
    /// Every `step`-th index of one dimension from start to stop, as Python slices count; or one index.
    Slice {
        /// The dimension.
        dim: usize,
        /// First index; negative from the end.
        start: Option<i64>,
        /// One past the last; negative from the end.
        stop: Option<i64>,
        /// Positive.
        step: usize,
        /// Whether `start` is an index, which must lie within the dimension, while a slice's bounds need not.
        index: bool,
    },
    /// Values side by side along one dimension.
    Concat {
        /// The dimension.
        dim: usize,
    },
    /// A constant around a value: elements before and after each dimension.
    Pad {
        /// One pair per dimension.
        pads: Vec<[usize; 2]>,
        /// The constant.
        value: f32,
    },
    /// The value itself: dropout at inference, `Identity`.
    Identity,
}

impl Op {
    /// How many values it reads, without a residual; `None` is one or more.
    pub(super) fn input_count(&self) -> Option<usize> {
        match self {
            Self::Input | Self::Constant => Some(0),
            Self::Binary(_) | Self::MatMul | Self::ExpandAs => Some(2),
            Self::Attention { masked, .. } => Some(3 + usize::from(*masked)),
            Self::Expand { like, .. } => Some(1 + usize::from(*like)),
            Self::Concat { .. } => None,
            _ => Some(1),
        }
    }

    /// Whether an activation can be [`Fused`] into it.
    pub(super) fn takes_activation(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::Linear | Self::BatchNorm { .. } | Self::Binary(_))
    }

    /// The names of its parameters, and whether each must be there.
    pub(super) fn param_names(&self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Conv2d(_) | Self::Linear => &[("weight", true), ("bias", false)],
            Self::BatchNorm { .. } => {
                &[("weight", false), ("bias", false), ("running_mean", true), ("running_var", true)]
            }
            Self::PRelu => &[("weight", true)],
            Self::LayerNorm { .. } => &[("weight", false), ("bias", false)],
            Self::Constant => &[("value", true)],
            _ => &[],
        }
    }
}

/// Scale and shift per output channel, from a batch norm and a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factor; none is 1.
    pub scale: Option<Arc<[f32]>>,
    /// Summand; none is 0.
    pub shift: Option<Arc<[f32]>>,
}

/// What passes have moved into a convolution or linear node:
/// `activation(scale * sum + shift + residual)`; into a batch norm or [`Op::Binary`], the activation
/// alone. The bias parameter, if still there, is part of the
/// sum.
#[derive(Clone, Debug, Default)]
pub struct Fused {
    /// Batch norm.
    pub affine: Option<Affine>,
    /// Whether the node's second input is added.
    pub residual: bool,
    /// Last.
    pub activation: Activation,
}

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// Torchvision's name: `layer1.0.conv2`, `layer1.0.relu_1`, `flatten`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads; all stand before it in the graph.
    pub inputs: Vec<NodeId>,
    /// Its parameters in the order given with the operation; `None` for an absent bias.
    pub params: Vec<Option<Arc<Param>>>,
    /// What passes have moved into it.
    pub fused: Fused,
    /// The names of the nodes whose work this one has taken over, in the order of computing: a
    /// convolution that absorbed its batch norm and `relu` has the name `relu` and covers
    /// `conv1` and `bn1`. Empty for a node as it was traced.
    pub covers: Vec<String>,
}

impl Node {
    /// A node as traced, with nothing fused into it.
    pub fn new(
        name: impl Into<String>,
        op: Op,
        inputs: Vec<NodeId>,
        params: Vec<Option<Arc<Param>>>,
    ) -> Self {
        Self { name: name.into(), op, inputs, params, fused: Fused::default(), covers: Vec::new() }
    }

    /// The name under which the operation itself was traced, whatever has been fused behind it:
    /// the one to complain about when its input does not fit.
    pub fn traced_name(&self) -> &str {
        self.covers.first().unwrap_or(&self.name)
    }

    /// The name under which its residual was added; its own if it has none.
    pub fn sum_name(&self) -> &str {
        match self.covers.last() {
            // Only an activation can have been fused behind a sum.
            Some(last) if self.fused.residual && self.fused.activation != Activation::Identity => last,
            _ => &self.name,
        }
    }

    /// The parameter at `index`, if it is there.
    pub fn param(&self, index: usize) -> Option<&Arc<Param>> {
        self.params.get(index).and_then(Option::as_ref)
    }

    /// Take over the work of `behind`, which reads this node's value and nobody else does: its
    /// name becomes this node's.
    pub(super) fn absorb(&mut self, behind: &Self) {
        let name = std::mem::replace(&mut self.name, behind.name.clone());
        self.covers.push(name);
    }
}
