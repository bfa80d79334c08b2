//! Grouped convolutions whose groups are as wide in as out: 4 channels, or a multiple of 8.
//!
//! A tile is a few output pixels of the flattened map by one or two vectors of output channels.
//! Its input pixels are looked up once for all groups: a table of pointers, tap by tap, in which
//! pixels outside the picture are zeros kept for that. Groups of 4 fill a vector together: an input
//! vector's lanes are spread within each group of four lanes and meet that group's weights.

use std::sync::Arc;

use super::finish::Finish;
use super::{Candidate, ConvDesc};
use crate::error::Result;
use crate::kernels::math::StoredRows;
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};

pub(super) const CANDIDATES: &[Candidate] =
    &[candidate::<3>(), candidate::<2>(), candidate::<1>(), candidate::<0>()];

const NAMES: [&str; 4] =
    ["f32_grouped_portable", "f32_grouped_portable16", "f32_grouped_avx2", "f32_grouped_avx512"];

/// Groups of this many channels share vectors.
const QUAD: usize = 4;

/// The candidate of the `I`-th instruction set.
const fn candidate<const I: usize>() -> Candidate {
    Candidate {
        name: NAMES[I],
        isa: Isa::ALL[I],
        accepts: accepts::<I>,
        form: form::<I>,
        pack: |desc, weights| super::pack_f32(desc, weights, pack::<I>),
        prepare: prepare::<I>,
    }
}

fn accepts<const I: usize>(desc: &ConvDesc) -> bool {
    let width = desc.group_inputs();
    let fits = if width == QUAD {
        desc.input.channels.is_multiple_of(Isa::ALL[I].lanes())
    } else {
        width.is_multiple_of(8)
    };
    desc.groups > 1
        && width == desc.group_outputs()
        && fits
        && desc.input.channels_last()
        && desc.output.channels_last()
        && desc.residual.is_none_or(|map| map.channels_last())
}

/// The vectors that compute it. Groups of 8 fill half of a sixteen-lane vector; eight lanes are 1.3
/// times as fast.
fn vectors<const I: usize>(desc: &ConvDesc) -> Isa {
    match Isa::ALL[I] {
        Isa::Avx512 if desc.group_inputs() == 8 => Isa::Avx2,
        isa => isa,
    }
}

fn form<const I: usize>(desc: &ConvDesc) -> Form {
    Form { name: "grouped", params: [vectors::<I>(desc).lanes(), 0, 0, 0] }
}

/// Groups of 4: `[channels / LANES][kh * kw][4][LANES]`. Wider ones: per group, blocks of two
/// vectors of output channels (the last may be one, padded with zeros), each
/// `[kh * kw][inputs][vectors * LANES]`.
fn pack<const I: usize>(desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    let lanes = vectors::<I>(desc).lanes();
    let (width, taps) = (desc.group_inputs(), desc.kernel[0] * desc.kernel[1]);
    let padded = if width == QUAD { width } else { width.next_multiple_of(lanes) };
    let mut packed = AlignedBuf::zeroed(desc.groups * padded * taps * width, "grouped weights")?;
    for (oc, kernel) in weights.chunks_exact(width * taps).enumerate() {
        // The block's first channel in the padded order, the channel's place in it, its channels.
        let (first, lane, block) = if width == QUAD {
            (oc / lanes * lanes, oc % lanes, lanes)
        } else {
            let (group, o) = (oc / width, oc % width);
            let start = o / (2 * lanes) * 2 * lanes;
            (group * padded + start, o - start, (2 * lanes).min(padded - start))
        };
        for (ic, taps_of) in kernel.chunks_exact(taps).enumerate() {
            for (tap, &weight) in taps_of.iter().enumerate() {
                packed[first * taps * width + (tap * width + ic) * block + lane] = weight;
            }
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
    let isa = vectors::<I>(desc);
    let width = desc.group_inputs();
    let unit = if width == QUAD { isa.lanes() } else { width };
    let units = desc.groups * width / unit;
    let unit_bytes = unit * desc.depth() * size_of::<f32>();
    let blocks = units.div_ceil((CACHED_WEIGHTS / unit_bytes).max(1));
    // Twelve accumulators for two vectors, eight for one; then pointers run out of registers.
    let pixels = if width <= isa.lanes() { 8 } else { 6 };
    let tiles = desc.output.pixels().div_ceil(pixels);
    let phases = if tiles == 0 { vec![] } else { vec![chunks_for(tiles * blocks, threads)] };
    let zeros = vec![0.0; desc.input.channels];
    let finish = Finish::new(&epilogue, desc.output.channels).expect("memory for an epilogue");
    Box::new(Grouped {
        name: NAMES[I],
        desc: *desc,
        weights: weights.into_f32(),
        finish,
        zeros,
        unit,
        units,
        blocks,
        tiles,
        phases,
        isa,
    })
}

/// Weights of the groups that a tile meets before the next tile does: a fraction of the second-level
/// cache, so that looking up a tile's pixels is shared by several groups. Measured: 1.2 to 1.4 times
/// as fast as half the first-level cache.
const CACHED_WEIGHTS: usize = 64 << 10;

/// Products whose sum is one chain; the chains' sums are added.
const CHAIN: usize = 512;

struct Grouped {
    name: &'static str,
    desc: ConvDesc,
    weights: Arc<AlignedBuf>,
    finish: Finish,
    /// What taps outside the picture see.
    zeros: Vec<f32>,
    /// Channels that are computed together: a group, or a vector of small ones.
    unit: usize,
    units: usize,
    /// Parts that the units are cut into.
    blocks: usize,
    /// Tiles of the flattened output.
    tiles: usize,
    phases: Vec<usize>,
    isa: Isa,
}

impl Grouped {
    fn taps(&self) -> usize {
        self.desc.kernel[0] * self.desc.kernel[1]
    }
}

impl Kernel for Grouped {
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        let pointers = self.taps() * MOST_PIXELS;
        ScratchSize { shared: 0, local: pointers * size_of::<*const f32>() / size_of::<f32>() }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Tiles {
            conv: self,
            range: even_range(self.tiles * self.blocks, self.phases[phase], chunk),
            input: io.inputs[0],
            residual: io.inputs.get(1).copied(),
            output: io.output,
            table: scratch.local.cast(),
        });
    }
}

/// Of any tile.
const MOST_PIXELS: usize = 8;

/// One chunk's tiles, each of one block of units.
struct Tiles<'a> {
    conv: &'a Grouped,
    range: std::ops::Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    table: *mut *const f32,
}

impl Vectorized for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.conv.desc.group_inputs() {
            QUAD => self.tiles::<S, 8, true>(s),
            width if width <= S::LANES => self.tiles::<S, 8, false>(s),
            _ => self.tiles::<S, 6, false>(s),
        }
    }
}

impl Tiles<'_> {
    /// Tiles of `P` pixels, of groups of four channels or of wider ones.
    #[inline(always)]
    fn tiles<S: Simd, const P: usize, const QUADS: bool>(self, s: S) {
        let Grouped { desc, weights, unit, units, blocks, tiles, .. } = self.conv;
        let width = desc.group_inputs();
        let pixels = desc.output.pixels();
        // A unit's weights: its channels, filled up to whole vectors.
        let unit_weights = unit.next_multiple_of(S::LANES) * desc.depth();
        for item in self.range.clone() {
            let (block, tile) = (item / tiles, item % tiles);
            let outputs = self.look_up::<P>(tile * P..pixels.min((tile + 1) * P));
            let units = even_range(*units, *blocks, block);
            for u in units.clone() {
                let c = u * unit;
                let weights = weights[u * unit_weights..].as_ptr();
                // SAFETY: the table holds pointers to pixels or zeros, valid for all channels; the
                // weights are packed for this order.
                unsafe {
                    if QUADS {
                        let sums = self.quads::<S, P>(s, weights, c);
                        self.finish(s, &outputs, c, &sums, S::LANES);
                        continue;
                    }
                    let mut o = 0;
                    while o < width {
                        let weights = weights.add(o * desc.depth());
                        if o + S::LANES < width {
                            let sums = self.wide::<S, P, 2>(s, weights, c);
                            self.finish(s, &outputs, c + o, &sums, width - o);
                        } else {
                            let sums = self.wide::<S, P, 1>(s, weights, c);
                            self.finish(s, &outputs, c + o, &sums, width - o);
                        }
                        o += 2 * S::LANES;
                    }
                }
            }
            if self.conv.finish.has_rest() {
                for &at in &outputs.at[..outputs.count] {
                    // SAFETY: these channels were written above.
                    unsafe {
                        let first = self.output.add(at + units.start * unit);
                        let row = StoredRows::Every { first, stride: 0, count: 1 };
                        self.conv.finish.rest(S::ISA, row, units.len() * unit);
                    }
                }
            }
        }
    }

    /// Fill the table for these output pixels: `[kh * kw][P]`. Their own places come back.
    #[inline(always)]
    fn look_up<const P: usize>(&self, pixels: std::ops::Range<usize>) -> Outputs<P> {
        let desc = &self.conv.desc;
        let (x, y) = (&desc.input, &desc.output);
        let zeros = self.conv.zeros.as_ptr();
        let mut outputs = Outputs { count: pixels.len(), at: [0; P], residual_at: [0; P] };
        for p in 0..P {
            let pixel = pixels.start + p;
            let exists = pixel < pixels.end;
            let (n, oy, ox) = (pixel / (y.height * y.width), pixel / y.width % y.height, pixel % y.width);
            outputs.at[p] = y.at(n, oy, ox);
            outputs.residual_at[p] = desc.residual.map_or(0, |map| map.at(n, oy, ox));
            for ky in 0..desc.kernel[0] {
                // Above the picture these wrap around to something large.
                let iy = (oy * desc.stride[0] + ky * desc.dilation[0]).wrapping_sub(desc.padding.top);
                for kx in 0..desc.kernel[1] {
                    let ix = (ox * desc.stride[1] + kx * desc.dilation[1]).wrapping_sub(desc.padding.left);
                    let inside = exists && iy < x.height && ix < x.width;
                    // SAFETY: the pixel is inside the input; the table has a place for each tap.
                    unsafe {
                        let at = if inside { self.input.add(x.at(n, iy, ix)) } else { zeros };
                        *self.table.add((ky * desc.kernel[1] + kx) * P + p) = at;
                    }
                }
            }
        }
        outputs
    }

    /// The sums of a vector of groups of four, from channel `c` on.
    ///
    /// # Safety
    /// The table must be filled, `weights` be those of these channels.
    #[inline(always)]
    unsafe fn quads<S: Simd, const P: usize>(&self, s: S, weights: *const f32, c: usize) -> [[S::F32; 1]; P] {
        let mut sums = [[s.zero()]; P];
        for tap in 0..self.conv.taps() {
            // SAFETY: the caller's contract.
            unsafe {
                let at = weights.add(tap * QUAD * S::LANES);
                let w = [
                    s.load(at),
                    s.load(at.add(S::LANES)),
                    s.load(at.add(2 * S::LANES)),
                    s.load(at.add(3 * S::LANES)),
                ];
                for (p, [sum]) in sums.iter_mut().enumerate() {
                    let x = s.load((*self.table.add(tap * P + p)).add(c));
                    *sum = s.fma(s.broadcast_in_quads::<0>(x), w[0], *sum);
                    *sum = s.fma(s.broadcast_in_quads::<1>(x), w[1], *sum);
                    *sum = s.fma(s.broadcast_in_quads::<2>(x), w[2], *sum);
                    *sum = s.fma(s.broadcast_in_quads::<3>(x), w[3], *sum);
                }
            }
        }
        sums
    }

    /// The sums of `V` vectors of output channels of the group whose inputs begin at channel `c`.
    ///
    /// # Safety
    /// The table must be filled, `weights` be those of these channels.
    #[inline(always)]
    unsafe fn wide<S: Simd, const P: usize, const V: usize>(
        &self,
        s: S,
        mut weights: *const f32,
        c: usize,
    ) -> [[S::F32; V]; P] {
        let width = self.conv.desc.group_inputs();
        let taps = self.conv.taps();
        let taps_per_chain = (CHAIN / width).max(1);
        let mut totals = [[s.zero(); V]; P];
        for first in (0..taps).step_by(taps_per_chain) {
            let mut sums = [[s.zero(); V]; P];
            for tap in first..taps.min(first + taps_per_chain) {
                let mut pixels = [std::ptr::null(); P];
                for (p, pixel) in pixels.iter_mut().enumerate() {
                    // SAFETY: the caller's contract.
                    *pixel = unsafe { (*self.table.add(tap * P + p)).add(c) };
                }
                for i in 0..width {
                    let mut w = [s.zero(); V];
                    for (v, w) in w.iter_mut().enumerate() {
                        // SAFETY: the caller's contract.
                        *w = unsafe { s.load(weights.add(v * S::LANES)) };
                    }
                    weights = weights.wrapping_add(V * S::LANES);
                    for (pixel, sums) in pixels.iter().zip(&mut sums) {
                        // SAFETY: the caller's contract.
                        let x = unsafe { s.broadcast(pixel.add(i)) };
                        for (sum, &w) in sums.iter_mut().zip(&w) {
                            *sum = s.fma(x, w, *sum);
                        }
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(&sums) {
                for (total, &sum) in totals.iter_mut().zip(sums) {
                    *total = s.add(*total, sum);
                }
            }
        }
        totals
    }

    /// Epilogue and store of each pixel's sums, the first of which is channel `c`; `left` channels
    /// are left in the group.
    ///
    /// # Safety
    /// The output and the residual must be valid at these pixels and channels.
    #[inline(always)]
    unsafe fn finish<S: Simd, const P: usize, const V: usize>(
        &self,
        s: S,
        outputs: &Outputs<P>,
        c: usize,
        sums: &[[S::F32; V]; P],
        left: usize,
    ) {
        let Grouped { desc, finish, .. } = self.conv;
        let mut affine = [[s.zero(); 2]; V];
        for (v, affine) in affine.iter_mut().enumerate() {
            *affine = finish.vectors(s, c + v * S::LANES);
        }
        let residual = self.residual.filter(|_| desc.residual.is_some());
        for (p, sums) in sums.iter().enumerate() {
            if p >= outputs.count {
                break;
            }
            for (v, &sum) in sums.iter().enumerate() {
                let (c, n) = (c + v * S::LANES, (left - v * S::LANES).min(S::LANES));
                // SAFETY: the caller's contract.
                unsafe {
                    let mut value = s.fma(sum, affine[v][0], affine[v][1]);
                    if let Some(residual) = residual {
                        let at = residual.add(outputs.residual_at[p] + c);
                        value = s.add(value, if n == S::LANES { s.load(at) } else { s.load_partial(at, n) });
                    }
                    let value = finish.bounded(s, value);
                    let at = self.output.add(outputs.at[p] + c);
                    if n == S::LANES { s.store(at, value) } else { s.store_partial(at, value, n) }
                }
            }
        }
    }
}

/// A tile's output pixels, in elements from the maps' first.
struct Outputs<const P: usize> {
    /// How many there are.
    count: usize,
    at: [usize; P],
    residual_at: [usize; P],
}

#[cfg(test)]
mod tests;
