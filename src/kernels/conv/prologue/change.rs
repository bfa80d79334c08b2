//! A block's pixels on their way into scratch: what a prologue does to each of them.

use crate::kernels::conv::desc::Prologue;
use crate::kernels::conv::runs::Pixel;
use crate::simd::{Simd, Vectorized};
use crate::tensor::FeatureMap;

/// Floats of a cache line.
const LINE: usize = 16;

/// Pixels that are changed side by side: they share their loads of what belongs to the channels.
const TOGETHER: usize = 4;

/// Floats from a changed pixel to the next one: an odd number of cache lines, so that the rows of a tile
/// do not compete for the same sets of the nearest cache.
pub fn floats(map: &FeatureMap) -> usize {
    (map.channels.div_ceil(LINE) | 1) * LINE
}

/// Some pixels of a map, on their way. A function of its own: its loops have the registers to
/// themselves.
pub struct Change<'a> {
    pub prologue: &'a Prologue,
    pub map: &'a FeatureMap,
    /// The first pixel, and how many follow each other.
    pub first: Pixel,
    pub rows: usize,
    /// Where they lie; then where they have gone.
    pub table: *mut *const f32,
    /// The gate's values.
    pub gate: *const f32,
    /// Room for as many pixels of [`floats`].
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
