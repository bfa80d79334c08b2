//! 1x1 convolutions of a map that something else is done to first: the batch norm and ReLU in front of a
//! DenseNet's layers (Huang et al., 2016), the factors of a squeeze and excitation (Hu et al., 2017).
//!
//! A pass of its own would write a whole map only for the convolution to read it. Here a block of
//! pixels is changed on its way into scratch that the second-level cache holds, and the implicit
//! product's tiles read it there. Each value is rounded as in the two kernels one after the other, so
//! the results are theirs, to the bit.

use super::desc::{Candidate, ConvDesc};
use super::igemm::{self, Igemm};
use super::runs::Pixel;
use crate::error::Result;
use crate::kernels::{Epilogue, Kernel};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, FeatureMap, Packed};

/// With float32 and with float16 weights.
const NAMES: [[&str; 2]; 4] = [
    ["f32_prologue_igemm_portable", "f32_f16w_prologue_igemm_portable"],
    ["f32_prologue_igemm_portable16", "f32_f16w_prologue_igemm_portable16"],
    ["f32_prologue_igemm_avx2", "f32_f16w_prologue_igemm_avx2"],
    ["f32_prologue_igemm_avx512", "f32_f16w_prologue_igemm_avx512"],
];

/// Floats of the widest vector, and of a cache line.
const LINE: usize = 16;

/// Pixels that are changed side by side: they share their loads of what belongs to the channels.
const TOGETHER: usize = 4;

/// What is done to a map before it is convolved.
pub enum Prologue {
    /// `scale[c] * x + shift[c]`, and its ReLU.
    Affine {
        /// Per channel, filled up with zeros by a vector.
        scale: AlignedBuf,
        /// Likewise.
        shift: AlignedBuf,
        /// Whether ReLU follows.
        relu: bool,
    },
    /// `x * gate[n][c]`: a value for each picture and channel. Its pointer is the last of
    /// [`crate::kernels::Io::inputs`].
    Gate {
        /// From a picture's values to the next one's; a picture's own lie densely.
        image_stride: usize,
    },
}

impl Prologue {
    /// A batch norm.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn affine(scale: &[f32], shift: &[f32], relu: bool) -> Result<Self> {
        let padded = |values: &[f32]| -> Result<AlignedBuf> {
            let mut padded = AlignedBuf::resident(values.len() + LINE, "a prologue")?;
            padded[..values.len()].copy_from_slice(values);
            Ok(padded)
        };
        Ok(Self::Affine { scale: padded(scale)?, shift: padded(shift)?, relu })
    }
}

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

/// Floats from a changed pixel to the next one: an odd number of cache lines, so that the rows of a tile
/// do not compete for the same sets of the nearest cache.
pub(super) fn floats(map: &FeatureMap) -> usize {
    (map.channels.div_ceil(LINE) | 1) * LINE
}

/// Some pixels of a map, on their way. A function of its own: its loops have the registers to
/// themselves.
pub(super) struct Change<'a> {
    pub(super) prologue: &'a Prologue,
    pub(super) map: &'a FeatureMap,
    /// The first pixel, and how many follow each other.
    pub(super) first: Pixel,
    pub(super) rows: usize,
    /// Where they lie; then where they have gone.
    pub(super) table: *mut *const f32,
    /// The gate's values.
    pub(super) gate: *const f32,
    /// Room for as many pixels of [`floats`].
    pub(super) to: *mut f32,
}

impl Vectorized for Change<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let FeatureMap { height, width, .. } = *self.map;
        let mut pixel = self.first;
        let mut row = 0;
        while row < self.rows {
            let of_picture = (height - pixel.y) * width - pixel.x;
            let together = (self.rows - row).min(of_picture) >= TOGETHER;
            // SAFETY: the table holds the pixels, which are as many as there is room for.
            unsafe {
                if together {
                    self.pixels::<S, TOGETHER>(s, pixel.n, row);
                } else {
                    self.pixels::<S, 1>(s, pixel.n, row);
                }
            }
            for _ in 0..if together { TOGETHER } else { 1 } {
                pixel.advance(height, width);
                row += 1;
            }
        }
    }
}

impl Change<'_> {
    /// `N` pixels of picture `n`.
    ///
    /// # Safety
    /// The table holds them from `row` on, and there is room for them.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, s: S, n: usize, row: usize) {
        let (channels, step) = (self.map.channels, floats(self.map));
        let whole = channels / S::LANES * S::LANES;
        let rest = channels - whole;
        // SAFETY: each address is a pixel's, and valid for its channels, as is the gate's for the picture; there is
        // room for whole vectors in the copy, and the other vectors are filled up by one.
        unsafe {
            let to = self.to.add(row * step);
            let mut from = [std::ptr::null(); N];
            for (p, from) in from.iter_mut().enumerate() {
                let address = self.table.add(row + p);
                *from = *address;
                *address = to.add(p * step);
            }
            match self.prologue {
                Prologue::Affine { scale, shift, relu } => {
                    let lo = s.splat(if *relu { 0.0 } else { f32::NEG_INFINITY });
                    let (scale, shift) = (scale.as_ptr(), shift.as_ptr());
                    for c in (0..whole).step_by(S::LANES) {
                        let (scale, shift) = (s.load(scale.add(c)), s.load(shift.add(c)));
                        for (p, from) in from.iter().enumerate() {
                            let x = s.fma(s.load(from.add(c)), scale, shift);
                            s.store(to.add(p * step + c), s.max(lo, x));
                        }
                    }
                    if rest > 0 {
                        let (scale, shift) = (s.load(scale.add(whole)), s.load(shift.add(whole)));
                        for (p, from) in from.iter().enumerate() {
                            let x = s.fma(s.load_partial(from.add(whole), rest), scale, shift);
                            s.store(to.add(p * step + whole), s.max(lo, x));
                        }
                    }
                }
                Prologue::Gate { image_stride } => {
                    let gate = self.gate.add(n * image_stride);
                    for c in (0..whole).step_by(S::LANES) {
                        let gate = s.load(gate.add(c));
                        for (p, from) in from.iter().enumerate() {
                            s.store(to.add(p * step + c), s.mul(s.load(from.add(c)), gate));
                        }
                    }
                    if rest > 0 {
                        let gate = s.load_partial(gate.add(whole), rest);
                        for (p, from) in from.iter().enumerate() {
                            let x = s.mul(s.load_partial(from.add(whole), rest), gate);
                            s.store(to.add(p * step + whole), x);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
