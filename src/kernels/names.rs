//! The kernels' names, all made here: `<types>_<operation>_<algorithm>_<instruction set>`.
//!
//! The types are that of the values, and that of the weights if it differs. `f32_f16w_igemm_avx2`
//! computes in float32 with weights in float16.

use crate::simd::Isa;
use crate::tensor::{ElementType, Packed};

/// The names of one kernel: for each instruction set, one for each of `TYPES` weight types, float32
/// first.
#[derive(Clone, Copy, Debug)]
pub struct Names<const TYPES: usize>([[&'static str; TYPES]; Isa::ALL.len()]);

/// The names of a kernel that reads weights of every type, in the order of [`ElementType::ALL`].
pub type WeightNames = Names<{ ElementType::ALL.len() }>;

impl<const TYPES: usize> Names<TYPES> {
    /// Names in the order of [`Isa::ALL`]; for [`names`].
    pub const fn new(names: [[&'static str; TYPES]; Isa::ALL.len()]) -> Self {
        Self(names)
    }

    /// The name with float32 weights, or without weights.
    pub const fn on(&self, isa: Isa) -> &'static str {
        self.0[isa as usize][0]
    }
}

impl WeightNames {
    /// The name with weights of this type.
    pub fn with(&self, isa: Isa, weights: &Packed) -> &'static str {
        self.0[isa as usize][weights.element_type() as usize]
    }
}

/// [`Names`] from a kernel's operation and, if it has several, its algorithm:
/// `names!("winograd", "f4_3x3")`. `names!(weights: "igemm")` are [`WeightNames`], and
/// `names!(any: "copy")` is the single name of a kernel without vectors.
macro_rules! names {
    ($($part:literal),+) => { $crate::kernels::names::names!(@types ["f32"] ($($part)+)) };
    (weights: $($part:literal),+) => {
        $crate::kernels::names::names!(@types ["f32" "f32_f16w"] ($($part)+))
    };
    (any: $($part:literal),+) => { concat!("f32", $("_", $part),+) };
    (@types $types:tt $parts:tt) => {
        $crate::kernels::names::Names::new([
            $crate::kernels::names::names!(@isa "portable" $types $parts),
            $crate::kernels::names::names!(@isa "portable4" $types $parts),
            $crate::kernels::names::names!(@isa "portable16" $types $parts),
            $crate::kernels::names::names!(@isa "avx2" $types $parts),
            $crate::kernels::names::names!(@isa "avx512" $types $parts),
        ])
    };
    (@isa $isa:literal [$($types:literal)+] $parts:tt) => {
        [$($crate::kernels::names::names!(@name $types $parts $isa)),+]
    };
    (@name $types:literal ($($part:literal)+) $isa:literal) => {
        concat!($types, $("_", $part,)+ "_", $isa)
    };
}
pub(crate) use names;

#[cfg(test)]
mod tests;
