//! Modes of padding with a value's own elements, for graphs and kernels.

/// Which value of the input is used for a position outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeMode {
    /// The value mirrored at the border value; each side's padding is smaller than the input.
    Reflect,
    /// The border value.
    Replicate,
    /// The value of the repeated input; each side's padding is at most as large as the input.
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
