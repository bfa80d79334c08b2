//! 1x1 convolutions fused with an operation before them: the batch norm and ReLU before a
//! DenseNet's layers (Huang et al., 2016), the factors of a squeeze and excitation (Hu et al.,
//! 2017).
//!
//! A separate pass would write a whole map only for the convolution to read it. Here the prologue
//! is applied while a block of pixels is copied into scratch memory that fits in the second-level
//! cache, where the implicit product's tiles read it. Each value is rounded as in two separate
//! kernels, so the results are the same, bit for bit.

pub(super) mod change;

use super::choice::candidates;
use super::desc::{Candidate, ConvDesc, Prologue};
use crate::error::Result;
use crate::kernels::{Epilogue, Kernel};
use crate::simd::Isa;
use crate::tensor::Packed;

/// A 1x1 convolution and the prologue on its input.
pub struct PrologueDesc {
    /// The convolution; its input is the map before the prologue.
    pub conv: ConvDesc,
    /// The prologue.
    pub prologue: Prologue,
}

impl PrologueDesc {
    /// The kernel whose packed weights this one reads on `isa`, if it supports such a convolution
    /// there.
    pub fn part(conv: &ConvDesc, isa: Isa) -> Option<&'static Candidate> {
        let fits = conv.is_pointwise() && conv.groups == 1 && conv.output.pixels() > 0;
        candidates().find(|c| fits && c.with_prologue.is_some() && c.takes(conv, isa))
    }

    /// Makes the kernel from the packed weights of its [`Self::part`], which must exist on the
    /// instruction set.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If the part does not exist.
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
