//! One output row of a vector of channels: tiles of neighbouring pixels in registers.

use std::ops::Range;

use crate::kernels::activation::StoredRows;
use crate::kernels::conv::finish::Finish;
use crate::simd::Simd;

/// One output row of one vector of channels.
pub(super) struct Row<'a, S: Simd> {
    pub(super) finish: &'a Finish,
    /// The first pixel of the first input row that a tap row sees.
    pub(super) input: *const f32,
    /// Floats from the input row of one tap row to that of the next.
    pub(super) line_step: usize,
    /// Floats from one input pixel to the next.
    pub(super) pixel_stride: usize,
    /// Input pixels by which the first output pixel's first tap is before `input`.
    pub(super) before: usize,
    /// Tap rows to sum over.
    pub(super) tap_rows: usize,
    pub(super) kernel_width: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// The first tap row's weights.
    pub(super) weights: *const f32,
    /// Channels, at most `LANES`.
    pub(super) channels: usize,
    pub(super) affine: [S::F32; 2],
    /// The first pixel and the distance to the next.
    pub(super) residual: Option<(*const f32, usize)>,
    /// The first pixel.
    pub(super) output: *mut f32,
    pub(super) output_stride: usize,
}

impl<S: Simd> Row<'_, S> {
    /// Computes output pixels of whole vectors that see these horizontal taps, or all of a kernel
    /// of width `KW`.
    ///
    /// # Safety
    /// The columns must be inside the output, and their taps inside the input, which is `width`
    /// wide and read in place.
    #[inline(always)]
    pub(super) unsafe fn columns<const KW: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        width: usize,
        columns: Range<usize>,
        taps: &Range<usize>,
    ) {
        let mut ox = columns.start;
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let behind = self.input.wrapping_add(self.tap_rows * self.line_step);
        // SAFETY: the caller's contract.
        unsafe {
            while ox + P <= columns.end {
                self.tile::<KW, STRIDE, P>(s, ox, P, taps);
                // Prefetch the row after the taps, which the next output row reads first: one
                // vector of each pixel is too little for the hardware prefetcher to recognise.
                for p in 0..P {
                    let column = ((ox + p) * stride).wrapping_sub(self.before);
                    s.prefetch_near(behind.wrapping_add(column.wrapping_mul(self.pixel_stride)));
                }
                ox += P;
            }
            while P > 4 && ox + 4 <= columns.end {
                self.tile::<KW, STRIDE, 4>(s, ox, 4, taps);
                ox += 4;
            }
            for ox in ox..columns.end {
                self.pixel::<KW, STRIDE>(s, width, ox);
            }
        }
    }

    /// Computes `count <= P` output pixels from column `ox` that see these horizontal taps, or all
    /// of a kernel of width `KW`.
    ///
    /// # Safety
    /// These taps of `P` pixels must be valid for reading vectors.
    #[inline(always)]
    pub(super) unsafe fn tile<const KW: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        ox: usize,
        count: usize,
        taps: &Range<usize>,
    ) {
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let (kw, dilation, taps) =
            if KW == 0 { (self.kernel_width, self.dilation, taps.clone()) } else { (KW, 1, 0..KW) };
        // This is before the picture if the first taps are outside.
        let first = (ox * stride).wrapping_sub(self.before).wrapping_mul(self.pixel_stride);
        let mut row = self.input.wrapping_add(first);
        let mut weights = self.weights;
        let mut sums = [s.zero(); P];
        for _ in 0..self.tap_rows {
            for kx in taps.clone() {
                // SAFETY: inside the packed weights and, by contract, the input.
                unsafe {
                    let weight = s.load(weights.add(kx * S::LANES));
                    for (p, sum) in sums.iter_mut().enumerate() {
                        let at = row.wrapping_add((p * stride + kx * dilation) * self.pixel_stride);
                        let x = s.load(at);
                        *sum = s.fma(x, weight, *sum);
                    }
                }
            }
            row = row.wrapping_add(self.line_step);
            weights = weights.wrapping_add(kw * S::LANES);
        }
        for (p, &sum) in sums.iter().enumerate() {
            if p >= count {
                break;
            }
            // SAFETY: the pixel is inside the output and the residual.
            unsafe { self.store(s, ox + p, sum) };
        }
    }

    /// Computes the output pixel of column `ox`, some of whose taps may be outside the picture,
    /// which is `width` wide.
    ///
    /// # Safety
    /// The column must be inside the output, and the input read in place.
    #[inline(always)]
    pub(super) unsafe fn pixel<const KW: usize, const STRIDE: usize>(&self, s: S, width: usize, ox: usize) {
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let (kw, step) = if KW == 0 { (self.kernel_width, self.dilation) } else { (KW, 1) };
        let start = ox * stride;
        let first = self.before.saturating_sub(start).div_ceil(step).min(kw);
        let inside = (self.before + width).saturating_sub(start + first * step).div_ceil(step);
        let taps = first..kw.min(first + inside);
        let column = if taps.is_empty() { 0 } else { start + first * step - self.before };
        let n = self.channels;
        let mut sum = s.zero();
        for ky in 0..self.tap_rows {
            let mut at = self.input.wrapping_add(ky * self.line_step + column * self.pixel_stride);
            for kx in taps.clone() {
                // SAFETY: inside the packed weights and the picture.
                unsafe {
                    let weight = s.load(self.weights.add((ky * kw + kx) * S::LANES));
                    let x = if n == S::LANES { s.load(at) } else { s.load_partial(at, n) };
                    sum = s.fma(x, weight, sum);
                }
                at = at.wrapping_add(step * self.pixel_stride);
            }
        }
        // SAFETY: the pixel is inside the output and the residual.
        unsafe { self.store(s, ox, sum) };
    }

    /// Applies the epilogue to the pixel of column `ox` and stores it.
    ///
    /// # Safety
    /// The column must be inside the output.
    #[inline(always)]
    unsafe fn store(&self, s: S, ox: usize, sum: S::F32) {
        let n = self.channels;
        // SAFETY: the pixel is inside the output and the residual.
        unsafe {
            let mut value = s.fma(sum, self.affine[0], self.affine[1]);
            if let Some((residual, stride)) = self.residual {
                value = s.add(value, s.load_partial(residual.add(ox * stride), n));
            }
            let value = self.finish.bounded(s, value);
            let at = self.output.add(ox * self.output_stride);
            if n == S::LANES { s.store(at, value) } else { s.store_partial(at, value, n) }
        }
    }

    /// Applies the rest of the activation to the row's pixels.
    ///
    /// # Safety
    /// They must have been stored.
    #[inline(always)]
    pub(super) unsafe fn rest(&self, width: usize) {
        if self.finish.has_rest() {
            let rows = StoredRows::Every { first: self.output, stride: self.output_stride, count: width };
            // SAFETY: the pixels' channels were written.
            unsafe { self.finish.rest(S::ISA, rows, self.channels) };
        }
    }
}
