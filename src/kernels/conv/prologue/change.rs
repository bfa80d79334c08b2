//! Applies a prologue to a block's pixels while copying them into scratch memory.

use crate::kernels::conv::desc::Prologue;
use crate::kernels::conv::runs::Pixel;
use crate::simd::{Simd, Vectorized};
use crate::tensor::FeatureMap;

/// Floats of a cache line.
const LINE: usize = 16;

/// Pixels that are processed together: they share their loads of per-channel values.
const TOGETHER: usize = 4;

/// Floats from one copied pixel to the next: an odd number of cache lines, so that the rows of a
/// tile do not compete for the same sets of the first-level cache.
pub fn floats(map: &FeatureMap) -> usize {
    (map.channels.div_ceil(LINE) | 1) * LINE
}

/// The copy of some pixels of a map. A separate function, so that its loops have all the registers.
pub struct Change<'a> {
    pub prologue: &'a Prologue,
    pub map: &'a FeatureMap,
    /// The first pixel and the number of consecutive pixels.
    pub first: Pixel,
    pub rows: usize,
    /// The pixels' addresses; afterwards those of their copies.
    pub table: *mut *const f32,
    /// The gate's values.
    pub gate: *const f32,
    /// Room for this many pixels of [`floats`].
    pub to: *mut f32,
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
            // SAFETY: the table holds the pixels, and there is room for all of them.
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
    /// Copies `N` pixels of picture `n`.
    ///
    /// # Safety
    /// The table holds them from `row`, and there is room for them.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const N: usize>(&self, s: S, n: usize, row: usize) {
        let (channels, step) = (self.map.channels, floats(self.map));
        let whole = channels / S::LANES * S::LANES;
        let rest = channels - whole;
        // SAFETY: each address is a pixel's, and valid for its channels, as is the gate's for the
        // picture; there is room for whole vectors in the copy, and the other arrays are padded by
        // a vector.
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
