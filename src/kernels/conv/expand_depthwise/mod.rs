//! A 1x1 convolution that expands a map and the depthwise convolution after it, fused into one
//! kernel: the first part of an inverted residual (Sandler et al., "MobileNetV2", 2018).
//!
//! The expanded map is several times as large as its neighbours, and would be written to memory
//! only to be read once. Here a panel of its channels, over a band of rows, is computed into
//! scratch memory that fits in the inner caches, with zeros around it, and the depthwise
//! convolution is applied immediately. Each value is the same sum as in two separate kernels, bit
//! for bit.
//!
//! Where it pays off, the projection after them is fused too ([`ProjectDesc`]).

mod pair;
mod project;
mod tile;

use std::ops::Range;

use self::pair::{Pair, Pointers};
use super::choice::candidates;
use super::depthwise::Bands;
use super::desc::{BlockPart, Candidate, ConvDesc};
use crate::error::Result;
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::Packed;

pub use project::ProjectDesc;

/// Names by the type of the 1x1 convolution's weights.
const NAMES: WeightNames = names!(weights: "expand_depthwise");

/// Bytes of a band of a panel's channels.
const BAND: usize = 256 << 10;

/// The two convolutions; the first one's output is the second one's input, and has no memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpandDepthwiseDesc {
    /// The 1x1 convolution.
    pub expand: ConvDesc,
    /// The depthwise convolution.
    pub depthwise: ConvDesc,
}

impl ExpandDepthwiseDesc {
    /// The kernels whose packed weights this one reads on `isa`, if it supports these convolutions
    /// there.
    pub fn parts(&self, isa: Isa) -> Option<[&'static Candidate; 2]> {
        let Self { expand, depthwise } = self;
        let fits = expand.is_pointwise()
            && expand.groups == 1
            && [expand.residual, depthwise.residual].iter().all(Option::is_none)
            && depthwise.dilation == [1, 1]
            && depthwise.output.pixels() > 0;
        let parts = [find(BlockPart::Pointwise, isa, expand)?, find(BlockPart::Depthwise, isa, depthwise)?];
        fits.then_some(parts)
    }

    /// Makes the kernel from the packed weights of its [`Self::parts`], which must exist on the
    /// instruction set.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn prepare(
        &self,
        packed: [Packed; 2],
        epilogues: [Epilogue; 2],
        isa: Isa,
        threads: usize,
    ) -> Result<Box<dyn Kernel>> {
        let bands = Bands::new(&self.depthwise, pair::panels(&self.expand, isa).width(), BAND);
        let pair = Pair::new([&self.expand, &self.depthwise], packed, epilogues, bands, isa, threads)?;
        let items = self.depthwise.output.batch * bands.count * pair.count();
        Ok(Box::new(ExpandDepthwise { pair, items, chunks: [chunks_for(items, threads)], isa }))
    }
}

/// The candidate on `isa` for this part, if it accepts the convolution.
fn find(part: BlockPart, isa: Isa, desc: &ConvDesc) -> Option<&'static Candidate> {
    candidates().find(|c| c.block_part == Some(part) && c.takes(desc, isa))
}

/// The prepared pair. An item is a panel of a band; a band's panels are consecutive, so that its
/// input is reread while it is in the cache.
struct ExpandDepthwise {
    pair: Pair,
    items: usize,
    chunks: [usize; 1],
    isa: Isa,
}

impl Kernel for ExpandDepthwise {
    fn name(&self) -> &'static str {
        NAMES.with(self.isa, self.pair.packed())
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.pair.scratch())
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Items {
            pair: &self.pair,
            range: even_range(self.items, self.chunks[0], chunk),
            at: Pointers { input: io.inputs[0], output: io.output, halo: scratch.local() },
        });
    }
}

/// One chunk.
struct Items<'a> {
    pair: &'a Pair,
    range: Range<usize>,
    at: Pointers,
}

impl Vectorized for Items<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (count, bands) = (self.pair.count(), self.pair.bands());
        for item in self.range.clone() {
            let (band, panel) = (item / count, item % count);
            // SAFETY: the contract of `Kernel::run`.
            unsafe { self.pair.panel(s, band / bands, band % bands, panel, self.at) };
        }
    }
}

#[cfg(test)]
mod tests;
