//! Depthwise convolutions: every channel by itself, vectors of channels, a few output pixels of one
//! row at a time in registers.
//!
//! Tap rows outside the picture are left out of an output row; the pixels at a row's ends, some of
//! whose taps are outside, are computed one by one, so that the tiles between them ask nothing.
//! Sums run over the taps in order, in a tile or alone.

use std::ops::Range;

use super::finish::Finish;
use super::{Candidate, ConvDesc};
use crate::error::Result;
use crate::kernels::{Epilogue, Io, Kernel, Scratch, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};

pub(super) const CANDIDATES: &[Candidate] =
    &[candidate::<3>(), candidate::<2>(), candidate::<1>(), candidate::<0>()];

const NAMES: [&str; 4] =
    ["f32_depthwise_portable", "f32_depthwise_portable16", "f32_depthwise_avx2", "f32_depthwise_avx512"];

/// The candidate of the `I`-th instruction set.
const fn candidate<const I: usize>() -> Candidate {
    Candidate {
        name: NAMES[I],
        isa: Isa::ALL[I],
        accepts,
        form: form::<I>,
        pack: pack::<I>,
        prepare: prepare::<I>,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    desc.groups == desc.input.channels
        && desc.groups == desc.output.channels
        && desc.groups > 1
        && desc.input.channels_last()
        && desc.output.channels_last()
        && desc.residual.is_none_or(|map| map.channels_last())
}

fn form<const I: usize>(_: &ConvDesc) -> Form {
    Form { name: "depthwise", params: [Isa::ALL[I].lanes(), 0, 0, 0] }
}

/// `[channels / LANES][kh * kw][LANES]`, the last block padded with zeros.
fn pack<const I: usize>(desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    let (lanes, taps) = (Isa::ALL[I].lanes(), desc.depth());
    let mut packed = AlignedBuf::zeroed(desc.groups.next_multiple_of(lanes) * taps, "depthwise weights")?;
    for (c, kernel) in weights.chunks_exact(taps).enumerate() {
        for (tap, &weight) in kernel.iter().enumerate() {
            packed[(c / lanes * taps + tap) * lanes + c % lanes] = weight;
        }
    }
    Ok(packed)
}

fn prepare<const I: usize>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Box<dyn Kernel> {
    let isa = Isa::ALL[I];
    let rows = desc.output.batch * desc.output.height;
    let vectors = desc.groups.div_ceil(isa.lanes());
    let row_bytes = desc.kernel[0] * desc.input.width * desc.groups * size_of::<f32>();
    let blocks = row_bytes.div_ceil(CACHED_ROWS).min(vectors);
    let items = rows * blocks * desc.output.width;
    let phases = if items == 0 { vec![] } else { vec![chunks_for(rows * blocks, threads)] };
    // The output columns whose taps are all inside the picture.
    let (stride, extent) = (desc.stride[1], (desc.kernel[1] - 1) * desc.dilation[1]);
    let first = desc.padding.left.div_ceil(stride).min(desc.output.width);
    let inside = (desc.input.width + desc.padding.left).saturating_sub(extent).div_ceil(stride);
    let interior = first..inside.clamp(first, desc.output.width);
    let finish = Finish::new(&epilogue, desc.groups).expect("memory for an epilogue");
    Box::new(Depthwise { desc: *desc, weights, finish, blocks, interior, phases, isa })
}

/// Input rows of one output row, of one block of channels, that stay in the nearest cache for the
/// next one.
const CACHED_ROWS: usize = 24 << 10;

struct Depthwise {
    desc: ConvDesc,
    weights: Packed,
    finish: Finish,
    /// Parts that the vectors of channels are cut into.
    blocks: usize,
    interior: Range<usize>,
    phases: Vec<usize>,
    isa: Isa,
}

impl Kernel for Depthwise {
    fn name(&self) -> &'static str {
        NAMES[self.isa as usize]
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let rows = self.desc.output.batch * self.desc.output.height * self.blocks;
        self.isa.dispatch(Rows {
            conv: self,
            range: even_range(rows, self.phases[phase], chunk),
            input: io.inputs[0],
            residual: io.inputs.get(1).copied(),
            output: io.output,
        });
    }
}

/// One chunk's output rows, each of one block of channels.
struct Rows<'a> {
    conv: &'a Depthwise,
    range: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
}

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let desc = &self.conv.desc;
        match (desc.kernel[1], desc.stride[1], desc.dilation[1]) {
            (3, 1, 1) => self.rows::<S, 3, 1, 4>(s),
            (3, 2, 1) => self.rows::<S, 3, 2, 2>(s),
            (5, 1, 1) => self.rows::<S, 5, 1, 4>(s),
            (5, 2, 1) => self.rows::<S, 5, 2, 2>(s),
            (7, 1, 1) => self.rows::<S, 7, 1, 4>(s),
            _ => self.rows::<S, 0, 0, 4>(s),
        }
    }
}

impl Rows<'_> {
    /// Rows of a kernel `KW` wide with stride `STRIDE` and no dilation, or, if these are 0, of any.
    #[inline(always)]
    fn rows<S: Simd, const KW: usize, const STRIDE: usize, const P: usize>(self, s: S) {
        let Depthwise { desc, weights, finish, blocks, interior, .. } = self.conv;
        let (x, y) = (&desc.input, &desc.output);
        let per_block = y.batch * y.height;
        for item in self.range {
            let (block, row) = (item / per_block, item % per_block);
            let (n, oy) = (row / y.height, row % y.height);
            let vectors = even_range(x.channels.div_ceil(S::LANES), *blocks, block);
            // The tap rows inside the picture.
            let (start, step) = (oy * desc.stride[0], desc.dilation[0]);
            let first = desc.padding.top.saturating_sub(start).div_ceil(step).min(desc.kernel[0]);
            let inside = (desc.padding.top + x.height).saturating_sub(start + first * step).div_ceil(step);
            let tap_rows = inside.min(desc.kernel[0] - first);
            let top = if tap_rows == 0 { 0 } else { start + first * step - desc.padding.top };
            for v in vectors.clone() {
                let c = v * S::LANES;
                let weights = &weights[(v * desc.kernel[0] + first) * desc.kernel[1] * S::LANES..];
                let row = Row {
                    desc,
                    finish,
                    input: self.input.wrapping_add(x.at(n, top, 0) + c),
                    weights: weights.as_ptr(),
                    tap_rows,
                    channels: S::LANES.min(x.channels - c),
                    affine: finish.vectors(s, c),
                    residual: match (self.residual, desc.residual) {
                        (Some(ptr), Some(map)) => Some(ptr.wrapping_add(map.at(n, oy, 0) + c)),
                        _ => None,
                    },
                    output: self.output.wrapping_add(y.at(n, oy, 0) + c),
                };
                // SAFETY: the row is inside the output, its tap rows inside the input; the
                // interior's columns are, too.
                unsafe {
                    let whole = if row.channels == S::LANES { interior.clone() } else { 0..0 };
                    let mut ox = 0;
                    while ox < whole.start {
                        row.pixel(s, ox);
                        ox += 1;
                    }
                    while ox + P <= whole.end {
                        row.tile::<KW, STRIDE, P>(s, ox);
                        ox += P;
                    }
                    while ox < y.width {
                        row.pixel(s, ox);
                        ox += 1;
                    }
                }
            }
            if finish.has_rest() {
                let channels = vectors.start * S::LANES..x.channels.min(vectors.end * S::LANES);
                for ox in 0..y.width {
                    // SAFETY: this row's channels were written above.
                    unsafe {
                        let pixel = self.output.add(y.at(n, oy, ox) + channels.start);
                        finish.rest(s, pixel, channels.len());
                    }
                }
            }
        }
    }
}

/// One output row of one vector of channels.
struct Row<'a, S: Simd> {
    desc: &'a ConvDesc,
    finish: &'a Finish,
    /// The first pixel of the first input row that a tap row inside the picture sees.
    input: *const f32,
    /// That tap row's weights.
    weights: *const f32,
    /// Tap rows inside the picture.
    tap_rows: usize,
    /// Channels, at most `LANES`.
    channels: usize,
    affine: [S::F32; 2],
    residual: Option<*const f32>,
    /// The first pixel.
    output: *mut f32,
}

impl<S: Simd> Row<'_, S> {
    /// `P` output pixels from column `ox` on.
    ///
    /// # Safety
    /// All their taps must be inside the tap rows, and the channels fill the vector.
    #[inline(always)]
    unsafe fn tile<const KW: usize, const STRIDE: usize, const P: usize>(&self, s: S, ox: usize) {
        let desc = self.desc;
        let (kw, stride, dilation) =
            if KW == 0 { (desc.kernel[1], desc.stride[1], desc.dilation[1]) } else { (KW, STRIDE, 1) };
        let pixel_stride = desc.input.pixel_stride;
        let mut row = self.input.wrapping_add((ox * stride - desc.padding.left) * pixel_stride);
        let mut weights = self.weights;
        let mut sums = [s.zero(); P];
        for _ in 0..self.tap_rows {
            for kx in 0..kw {
                // SAFETY: inside the packed weights and, by contract, the picture.
                unsafe {
                    let weight = s.load(weights.add(kx * S::LANES));
                    for (p, sum) in sums.iter_mut().enumerate() {
                        let x = s.load(row.add((p * stride + kx * dilation) * pixel_stride));
                        *sum = s.fma(x, weight, *sum);
                    }
                }
            }
            row = row.wrapping_add(desc.dilation[0] * desc.input.row_stride);
            weights = weights.wrapping_add(kw * S::LANES);
        }
        for (p, &sum) in sums.iter().enumerate() {
            // SAFETY: the pixel is inside the output and the residual.
            unsafe {
                let residual = match (self.residual, &desc.residual) {
                    (Some(at), Some(map)) => Some(s.load(at.add((ox + p) * map.pixel_stride))),
                    _ => None,
                };
                let value = self.finish.apply(s, sum, self.affine, residual);
                s.store(self.output.add((ox + p) * desc.output.pixel_stride), value);
            }
        }
    }

    /// The output pixel of column `ox`, of whose taps some may be outside.
    ///
    /// # Safety
    /// The column must be inside the output.
    #[inline(always)]
    unsafe fn pixel(&self, s: S, ox: usize) {
        let desc = self.desc;
        let (start, step) = (ox * desc.stride[1], desc.dilation[1]);
        let n = self.channels;
        let left = desc.padding.left;
        let first = left.saturating_sub(start).div_ceil(step).min(desc.kernel[1]);
        let inside = (left + desc.input.width).saturating_sub(start + first * step).div_ceil(step);
        let taps = first..desc.kernel[1].min(first + inside);
        let column = if taps.is_empty() { 0 } else { start + first * step - left };
        let mut sum = s.zero();
        for ky in 0..self.tap_rows {
            let mut at = self.input.wrapping_add(
                ky * desc.dilation[0] * desc.input.row_stride + column * desc.input.pixel_stride,
            );
            for kx in taps.clone() {
                // SAFETY: inside the packed weights and the picture.
                unsafe {
                    let weight = s.load(self.weights.add((ky * desc.kernel[1] + kx) * S::LANES));
                    let x = if n == S::LANES { s.load(at) } else { s.load_partial(at, n) };
                    sum = s.fma(x, weight, sum);
                }
                at = at.wrapping_add(step * desc.input.pixel_stride);
            }
        }
        // SAFETY: the pixel is inside the output and the residual.
        unsafe {
            let residual = match (self.residual, &desc.residual) {
                (Some(at), Some(map)) => Some(s.load_partial(at.add(ox * map.pixel_stride), n)),
                _ => None,
            };
            let value = self.finish.apply(s, sum, self.affine, residual);
            let at = self.output.add(ox * desc.output.pixel_stride);
            if n == S::LANES { s.store(at, value) } else { s.store_partial(at, value, n) }
        }
    }
}

#[cfg(test)]
mod tests;
