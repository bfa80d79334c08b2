//! Padding with a value's own elements, named for graphs and kernels alike.

/// Which value stands at a place outside the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeMode {
    /// The one as far inside of the border value; each side's padding is smaller than the input.
    Reflect,
    /// The border value.
    Replicate,
    /// The one as if the input were repeated; each side's padding is at most the input.
    Circular,
}

impl EdgeMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reflect, Self::Replicate, Self::Circular];

    /// Torch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Replicate => "replicate",
            Self::Circular => "circular",
        }
    }

    /// The most padding of one side of a dimension of this size.
    pub const fn most(self, size: usize) -> usize {
        match self {
            Self::Reflect => size.saturating_sub(1),
            Self::Replicate if size > 0 => usize::MAX,
            Self::Replicate => 0,
            Self::Circular => size,
        }
    }
}
