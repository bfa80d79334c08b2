//! Reductions, named for graphs and kernels alike.

/// What the values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    /// Their sum.
    Sum,
    /// Their sum over their number.
    Mean,
    /// The largest one, NaN if there is one (torch's `amax`); negative infinity of nothing.
    Max,
    /// The smallest one, NaN if there is one (torch's `amin`); infinity of nothing.
    Min,
}

impl ReduceOp {
    /// Torch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "amax",
            Self::Min => "amin",
        }
    }
}
