//! Grouped convolutions whose groups have as many inputs as outputs: 4 channels, or a multiple of
//! 8.
//!
//! A tile is some neighbouring pixels of an output row by one or two vectors of output channels. A
//! kernel row over it is one *line*: the input pixels that it sees. Each pixel is broadcast to a
//! vector once and used for all taps and output pixels that need it, so neither loads nor shuffles
//! bound the time. The lines' pixels are looked up once for all groups, in a table of pointers in
//! which pixels outside the picture point to a buffer of zeros. Kernels of other widths, and
//! dilated ones, have a line for each tap.
//!
//! Groups of 4, and of 8 in vectors of sixteen, share a vector: an input vector's lanes are
//! broadcast within each group's lanes and multiplied with that group's weights.

mod tile;

use std::sync::Arc;

use super::desc::{Candidate, ConvDesc, FLOATS, Pack, on_all, pack_f32};
use super::finish::Finish;
use crate::error::Result;
use crate::kernels::activation::StoredRows;
use crate::kernels::names::{Names, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};
use tile::{FEW_PIXELS, MOST_INPUTS, MOST_PIXELS, Outputs, Tile};

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_all!(candidate);

const NAMES: Names<1> = names!("grouped");

/// Groups of this many channels share vectors.
const QUAD: usize = 4;
/// Groups of this many channels share wider vectors.
const OCTET: usize = 8;

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers: prefers::<S>,
        form: form::<S>,
        pack: Pack::Transform(|desc, weights| pack_f32(desc, weights, pack::<S>)),
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    let width = desc.group_inputs();
    let fits = if width == QUAD { desc.input.channels.is_multiple_of(8) } else { width.is_multiple_of(8) };
    desc.groups > 1
        && width == desc.group_outputs()
        && fits
        && desc.input.channels_last()
        && desc.output.channels_last()
        && desc.residual.is_none_or(|map| map.channels_last())
}

/// Where the implicit product, which broadcasts each input value once for each tap, is slower.
/// Measured (benches/conv.rs, one thread, percentage of the peak, here and there): groups of 8 at
/// 28x28 80 and 45 %, with eight lanes 66 and 53 %; of 16 at 14x14 86 and 94 %, with eight lanes 75
/// and 90 %, of 512 channels at 28x28 0.9 times the time with one thread, 1.1 with two; of 24 at
/// 14x14 80 and 71 %, with eight lanes 80 and 82 %, at stride 2 up to 1.15 times the time; of 32 at
/// 7x7 91 and 94 %; of 48 at 14x14 93 and 96 %.
fn prefers<S: Simd>(desc: &ConvDesc) -> bool {
    match (desc.group_inputs(), S::ISA) {
        // The portable vectors have no implicit product.
        (..=OCTET, _) | (_, Isa::Portable) => true,
        (24, isa) => isa.lanes() == 16 && desc.stride[1] == 1,
        _ => false,
    }
}

/// How a convolution's channels and taps are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// The instruction set that computes it.
    isa: Isa,
    /// Taps of a line: a kernel row's, or one.
    taps: usize,
    /// Channels that are computed together: a group, or the small groups of a vector.
    unit: usize,
}

impl Cut {
    /// On the `isa` that the candidate is for.
    fn new(desc: &ConvDesc, isa: Isa) -> Self {
        let width = desc.group_inputs();
        // Sixteen lanes of which a group of 24 or 40 fills three quarters or less lose more than
        // they gain.
        let eight = if width <= OCTET { desc.input.channels } else { width };
        let isa = match isa.narrower() {
            Some(narrower) if !eight.is_multiple_of(isa.lanes()) => narrower,
            _ => isa,
        };
        // The portable eight lanes are not worth the time to compile all the tiles.
        let row = isa != Isa::Portable
            && desc.kernel[1] == 3
            && desc.dilation[1] == 1
            && desc.stride[1] <= 2
            && 3 * width <= CHAIN;
        Self {
            isa,
            taps: if row { 3 } else { 1 },
            unit: width.max(if width <= OCTET { isa.lanes() } else { 0 }),
        }
    }

    /// The largest number of vectors of a tile: two if there are registers for them.
    const fn vectors(isa: Isa) -> usize {
        if isa.registers() >= 32 { 2 } else { 1 }
    }
}

fn form<S: Simd>(desc: &ConvDesc) -> Form {
    let cut = Cut::new(desc, S::ISA);
    Form { name: "grouped", params: [cut.isa.lanes(), cut.taps, cut.unit, desc.groups] }
}

/// Per unit, blocks of a tile's vectors (the last block may have fewer, and its last vector is
/// padded with zeros), each `[lines][inputs of a group][taps of a line][vectors][LANES]`.
fn pack<S: Simd>(desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    let cut = Cut::new(desc, S::ISA);
    let lanes = cut.isa.lanes();
    let (width, taps) = (desc.group_inputs(), desc.kernel[0] * desc.kernel[1]);
    let padded = cut.unit.next_multiple_of(lanes);
    let units = desc.output.channels / cut.unit;
    let mut packed = AlignedBuf::resident(units * padded * taps * width, "grouped weights")?;
    for (oc, kernel) in weights.chunks_exact(width * taps).enumerate() {
        let (unit, o) = (oc / cut.unit, oc % cut.unit);
        let most = Cut::vectors(cut.isa) * lanes;
        let start = o / most * most;
        // The block's channels, and the index of the first.
        let block = most.min(padded - start);
        let first = unit * padded + start;
        for (ic, taps_of) in kernel.chunks_exact(taps).enumerate() {
            for (tap, &weight) in taps_of.iter().enumerate() {
                let (line, tap) = (tap / cut.taps, tap % cut.taps);
                let row = (line * width + ic) * cut.taps + tap;
                packed[first * taps * width + row * block + o - start] = weight;
            }
        }
    }
    Ok(packed)
}

fn prepare<S: Simd>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let cut = Cut::new(desc, S::ISA);
    let units = desc.output.channels / cut.unit;
    let unit_bytes = cut.unit * desc.depth() * size_of::<f32>();
    let blocks = units.div_ceil((CACHED_WEIGHTS / unit_bytes).max(1));
    let across = desc.output.width.div_ceil(MOST_PIXELS);
    let tiles = desc.output.batch * desc.output.height * across;
    let phases = if tiles == 0 { vec![] } else { vec![chunks_for(tiles * blocks, threads)] };
    let zeros = AlignedBuf::zeroed(desc.input.channels, "the zeros that a convolution's padding reads")?;
    let finish = Finish::new(&epilogue, desc.output.channels)?;
    Ok(Box::new(Grouped {
        name: NAMES.on(S::ISA),
        desc: *desc,
        weights: weights.into_f32(),
        finish,
        zeros,
        cut,
        units,
        blocks,
        across,
        tiles,
        phases,
    }))
}

/// Bytes of the weights of the groups computed for a tile before the next tile: a fraction of the
/// second-level cache, so that several groups share the lookup of a tile's pixels. Measured: 1.2 to
/// 1.4 times as fast as half the first-level cache.
const CACHED_WEIGHTS: usize = 64 << 10;

/// Products in one accumulation chain; the chains' sums are added.
const CHAIN: usize = 512;

struct Grouped {
    name: &'static str,
    desc: ConvDesc,
    weights: Arc<AlignedBuf>,
    finish: Finish,
    /// The zeros that taps outside the picture read.
    zeros: AlignedBuf,
    cut: Cut,
    units: usize,
    /// Parts into which the units are split.
    blocks: usize,
    /// Number of tiles of an output row.
    across: usize,
    /// Number of tiles of the output.
    tiles: usize,
    phases: Vec<usize>,
}

impl Grouped {
    /// Number of lines of a tile.
    fn lines(&self) -> usize {
        self.desc.kernel[0] * self.desc.kernel[1] / self.cut.taps
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
        let pointers = self.lines() * MOST_INPUTS;
        ScratchSize { shared: 0, local: pointers * size_of::<*const f32>() }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.cut.isa.dispatch(Tiles {
            conv: self,
            range: even_range(self.tiles * self.blocks, self.phases[phase], chunk),
            input: io.inputs[0],
            residual: io.inputs.get(1).copied().filter(|_| self.desc.residual.is_some()),
            output: io.output,
            table: scratch.local(),
        });
    }
}

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
        if const { !matches!(S::ISA, Isa::Portable) } && self.conv.cut.taps == 3 {
            match self.conv.desc.stride[1] {
                1 => self.tiles::<S, 3, 1>(s),
                _ => self.tiles::<S, 3, 2>(s),
            }
        } else {
            self.tiles::<S, 1, 1>(s);
        }
    }
}

impl Tiles<'_> {
    /// With lines of `TAPS` taps and `STRIDE` input pixels from one output pixel to the next.
    #[inline(always)]
    fn tiles<S: Simd, const TAPS: usize, const STRIDE: usize>(self, s: S) {
        let Grouped { desc, cut, units, blocks, across, tiles, .. } = self.conv;
        let y = desc.output;
        for item in self.range.clone() {
            let (block, tile) = (item / tiles, item % tiles);
            let (row, part) = (tile / across, tile % across);
            let (n, oy) = (row / y.height, row % y.height);
            let first = part * MOST_PIXELS;
            let count = MOST_PIXELS.min(y.width - first);
            let pixels = if count > FEW_PIXELS { MOST_PIXELS } else { FEW_PIXELS };
            let inputs = (pixels - 1) * STRIDE + TAPS;
            self.look_up(inputs, [n, oy, first]);
            let outputs = Outputs {
                count,
                at: self.output.wrapping_add(y.at(n, oy, first)),
                step: y.pixel_stride,
                residual: match (self.residual, desc.residual) {
                    (Some(from), Some(map)) => {
                        Some((from.wrapping_add(map.at(n, oy, first)), map.pixel_stride))
                    }
                    _ => None,
                },
            };
            let units = even_range(*units, *blocks, block);
            if pixels == MOST_PIXELS {
                self.units::<S, TAPS, STRIDE, MOST_PIXELS>(s, units.clone(), &outputs);
            } else {
                self.units::<S, TAPS, STRIDE, FEW_PIXELS>(s, units.clone(), &outputs);
            }
            if self.conv.finish.has_rest() {
                let first = outputs.at.wrapping_add(units.start * cut.unit);
                let rows = StoredRows::Every { first, stride: outputs.step, count };
                // SAFETY: these channels were written above.
                unsafe { self.conv.finish.rest(S::ISA, rows, units.len() * cut.unit) };
            }
        }
    }

    /// Tiles of `P` pixels, one for each unit and its vectors.
    #[inline(always)]
    fn units<S: Simd, const TAPS: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        units: std::ops::Range<usize>,
        outputs: &Outputs,
    ) {
        let Grouped { desc, weights, finish, cut, .. } = self.conv;
        let width = desc.group_inputs();
        let chain = (CHAIN / (width * TAPS)).max(1);
        let unit_weights = cut.unit.next_multiple_of(S::LANES) * desc.depth();
        for u in units {
            let tile = Tile::<TAPS, STRIDE, P> {
                table: self.table,
                lines: self.conv.lines(),
                chain,
                width,
                weights: weights[u * unit_weights..].as_ptr(),
                inputs: u * cut.unit,
                channel: u * cut.unit,
                channels: cut.unit,
                finish,
                outputs,
            };
            // SAFETY: the table holds pointers to pixels or zeros, valid for all channels; the
            // weights are packed for this order; the outputs have these channels.
            unsafe {
                if width == QUAD {
                    tile.call::<S, QUAD, 1>(s);
                } else if S::LANES > OCTET && width == OCTET {
                    tile.call::<S, OCTET, 1>(s);
                } else {
                    for o in (0..width).step_by(Cut::vectors(S::ISA) * S::LANES) {
                        let tile = Tile {
                            weights: tile.weights.add(o * desc.depth()),
                            channel: tile.channel + o,
                            channels: width - o,
                            ..tile
                        };
                        if Cut::vectors(S::ISA) == 2 && o + S::LANES < width {
                            tile.call::<S, 1, 2>(s);
                        } else {
                            tile.call::<S, 1, 1>(s);
                        }
                    }
                }
            }
        }
    }

    /// Fills the table for a tile: `[lines][inputs]`, the pixels that its lines see, starting at
    /// output pixel `[n, y, x]`.
    #[inline(always)]
    fn look_up(&self, inputs: usize, [n, oy, ox]: [usize; 3]) {
        let desc = &self.conv.desc;
        let taps = self.conv.cut.taps;
        let x = &desc.input;
        let zeros = self.conv.zeros.as_ptr();
        // The pixels of a kernel row are adjacent; those of a single tap are a stride apart.
        let step = if taps == 1 { desc.stride[1] } else { 1 };
        let mut to = self.table;
        for ky in 0..desc.kernel[0] {
            // Outside the picture these wrap around to large values.
            let iy = (oy * desc.stride[0] + ky * desc.dilation[0]).wrapping_sub(desc.padding.top);
            for kx in (0..desc.kernel[1]).step_by(taps) {
                let left = (ox * desc.stride[1] + kx * desc.dilation[1]).wrapping_sub(desc.padding.left);
                for i in 0..inputs {
                    let ix = left.wrapping_add(i * step);
                    let inside = iy < x.height && ix < x.width;
                    // SAFETY: the pixel is inside the input; the table has room for each.
                    unsafe {
                        *to = if inside { self.input.add(x.at(n, iy, ix)) } else { zeros };
                        to = to.add(1);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
