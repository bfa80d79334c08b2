//! 1x1 convolutions of a map that something else is done to first: the batch norm and ReLU in front of a
//! DenseNet's layers (Huang et al., 2016), the factors of a squeeze and excitation (Hu et al., 2017).
//!
//! A pass of its own would write a whole map only for the convolution to read it. Here a block of
//! pixels is changed on its way into scratch that the second-level cache holds, and the implicit
//! product's tiles read it there. Each value is rounded as in the two kernels one after the other, so
//! the results are theirs, to the bit.

pub(super) mod change;

use super::choice::candidates;
use super::desc::{Candidate, ConvDesc, Prologue};
use crate::error::Result;
use crate::kernels::{Epilogue, Kernel};
use crate::simd::Isa;
use crate::tensor::Packed;

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
        candidates().find(|c| fits && c.isa == isa && c.with_prologue.is_some() && (c.accepts)(conv))
    }

    /// The kernel, on an instruction set that has its [`Self::part`], of its packed weights.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If there is no such part.
    pub fn prepare(
        self,
        packed: Packed,
        epilogue: Epilogue,
        isa: Isa,
        threads: usize,
    ) -> Result<Box<dyn Kernel>> {
        let part = Self::part(&self.conv, isa).and_then(|part| part.with_prologue);
        let prepare = part.expect("an instruction set whose kernel takes a prologue");
        prepare(&self.conv, self.prologue, packed, epilogue, threads)
    }
}

#[cfg(test)]
mod tests;
