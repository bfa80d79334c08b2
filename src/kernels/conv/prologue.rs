//! 1x1 convolutions of a map that something else is done to first: the batch norm and ReLU in front of a
//! DenseNet's layers (Huang et al., 2016), the factors of a squeeze and excitation (Hu et al., 2017).
//!
//! A pass of its own would write a whole map only for the convolution to read it. Here a block of
//! pixels is changed on its way into scratch that the second-level cache holds, and the implicit
//! product's tiles read it there. Each value is rounded as in the two kernels one after the other, so
//! the results are theirs, to the bit.

pub(super) mod change;

use super::desc::{Candidate, ConvDesc, Prologue};
use super::igemm::{self, Igemm};
use crate::error::Result;
use crate::kernels::{Epilogue, Kernel};
use crate::simd::Isa;
use crate::tensor::Packed;

/// With float32 and with float16 weights.
const NAMES: [[&str; 2]; 4] = [
    ["f32_prologue_igemm_portable", "f32_f16w_prologue_igemm_portable"],
    ["f32_prologue_igemm_portable16", "f32_f16w_prologue_igemm_portable16"],
    ["f32_prologue_igemm_avx2", "f32_f16w_prologue_igemm_avx2"],
    ["f32_prologue_igemm_avx512", "f32_f16w_prologue_igemm_avx512"],
];

/// A 1x1 convolution and what is done to its input first.
pub struct PrologueDesc {
    /// The convolution; its input is the map before it is changed.
    pub conv: ConvDesc,
    /// What changes it.
    pub prologue: Prologue,
}

impl PrologueDesc {
    /// The kernel whose packed weights this one reads, on `isa`, if it computes such a convolution there.
    pub fn part(conv: &ConvDesc, isa: Isa) -> Option<&'static Candidate> {
        let fits = conv.is_pointwise() && conv.groups == 1 && conv.output.pixels() > 0;
        igemm::CANDIDATES.iter().find(|c| fits && c.isa == isa && (c.accepts)(conv))
    }

    /// The kernel, on an instruction set that has its [`Self::part`], of its packed weights.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn prepare(
        self,
        packed: Packed,
        epilogue: Epilogue,
        isa: Isa,
        threads: usize,
    ) -> Result<Box<dyn Kernel>> {
        let product = Igemm::new(NAMES[isa as usize], isa, &self.conv, packed, epilogue, threads)?;
        Ok(Box::new(product.behind(self.prologue, threads)))
    }
}

#[cfg(test)]
mod tests;
