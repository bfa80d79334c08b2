//! Element types as data.

use half::f16;

use super::Element;

/// The types in which parameters are stored. The descriptors of kernels hold them, and the lists of
/// kernels are keyed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// `f32`
    F32,
    /// `f16`
    F16,
}

impl ElementType {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// torch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => f32::NAME,
            Self::F16 => f16::NAME,
        }
    }

    /// Size of an element in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<f16>(),
        }
    }
}
