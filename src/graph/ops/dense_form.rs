//! How an operation behaves when a classifier becomes a dense predictor.

use super::window::Window;

/// What can be done where there is no dense form.
pub const PER_WINDOW: &str = "; choose padding='per_window', which runs the classifier on each window";

/// An operation's dense form: the rule by which `graph::dense` rewrites it.
#[derive(Clone, Copy, Debug)]
pub enum DenseForm<'a> {
    /// It has none: what does not exist, and what to do instead.
    Refused {
        /// A noun phrase.
        what: &'static str,
        /// A clause that begins with a semicolon, or nothing.
        advice: &'static str,
    },
    /// It mixes rows and columns of the picture with other dimensions.
    Mixes,
    /// Each value by itself, or not at all.
    Pointwise,
    /// The value itself.
    Identity,
    /// Along one dimension.
    Along(usize),
    /// Along the last dimensions, so many.
    AlongLast(usize),
    /// Along the channels of pictures (N, C, H, W).
    Pictures,
    /// Several operands, position by position.
    Joined,
    /// Several operands side by side along a dimension.
    Concat(usize),
    /// A kernel that slides.
    Convolution,
    /// A layer over all features.
    Linear,
    /// A window that slides.
    Pool(&'a Window),
    /// A pool to a given size; `None` keeps the input's.
    AdaptivePool {
        /// Output height and width.
        output: [Option<usize>; 2],
        /// A maximum, or an average.
        maximum: bool,
    },
    /// A mean over dimensions.
    Mean {
        /// Which.
        dims: &'a [usize],
        /// Whether they stay with size 1.
        keepdim: bool,
    },
    /// Dimensions become one.
    Flatten {
        /// First.
        start: usize,
        /// Last.
        end: usize,
    },
    /// One dimension becomes several.
    Unflatten {
        /// Which.
        dim: usize,
        /// How many it becomes.
        count: usize,
    },
    /// Another shape.
    Reshape,
    /// Dimensions in a new order.
    Permute(&'a [usize]),
    /// A part of a dimension.
    Slice,
    /// A constant around the value.
    Pad {
        /// Before and after each dimension.
        pads: &'a [[usize; 2]],
        /// The constant.
        value: f32,
    },
}

impl DenseForm<'_> {
    /// Nobody has said what it could be.
    pub const UNKNOWN: Self = Self::Refused { what: "this operation in a dense form", advice: "" };
}
