//! The behaviour of operations when a classifier becomes a dense predictor.

use super::window::Window;

/// Advice if there is no dense form.
pub const PER_WINDOW: &str = "; choose padding='per_window', which runs the classifier on each window";

/// An operation's dense form: the rule by which `graph::dense` rewrites it.
#[derive(Clone, Copy, Debug)]
pub enum DenseForm<'a> {
    /// No dense form: what does not exist, and what to do instead.
    Refused {
        /// A noun phrase.
        what: &'static str,
        /// A clause that begins with a semicolon, or nothing.
        advice: &'static str,
    },
    /// It mixes rows and columns of the picture with other dimensions.
    Mixes,
    /// Pointwise, or unrelated to positions.
    Pointwise,
    /// The value itself.
    Identity,
    /// An operation along one dimension.
    Along(usize),
    /// An operation along this many last dimensions.
    AlongLast(usize),
    /// An operation along the channels of pictures (N, C, H, W).
    Pictures,
    /// An operation on several operands, position by position.
    Joined,
    /// A concatenation of several operands along a dimension.
    Concat(usize),
    /// A sliding kernel.
    Convolution,
    /// A layer over all features.
    Linear,
    /// A sliding window.
    Pool(&'a Window),
    /// A pool to a given size; `None` keeps the input's.
    AdaptivePool {
        /// Output height and width.
        output: [Option<usize>; 2],
        /// Whether it is a maximum instead of an average.
        maximum: bool,
    },
    /// A mean over dimensions.
    Mean {
        /// The dimensions.
        dims: &'a [usize],
        /// Whether they are kept with size 1.
        keepdim: bool,
    },
    /// Several dimensions become one.
    Flatten {
        /// First.
        start: usize,
        /// Last.
        end: usize,
    },
    /// One dimension becomes several.
    Unflatten {
        /// The dimensions.
        dim: usize,
        /// The number of dimensions it becomes.
        count: usize,
    },
    /// Another shape.
    Reshape,
    /// Dimensions in a new order.
    Permute(&'a [usize]),
    /// A part of a dimension.
    Slice,
    /// Constant padding.
    Pad {
        /// Before and after each dimension.
        pads: &'a [[usize; 2]],
        /// The constant.
        value: f32,
    },
}

impl DenseForm<'_> {
    /// The default: the operation's dense form is not defined.
    pub const UNKNOWN: Self = Self::Refused { what: "this operation in a dense form", advice: "" };
}
