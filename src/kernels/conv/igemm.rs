//! The main kernel: an implicit matrix product over channels-last maps.
//!
//! A tile takes some output pixels as its rows and a panel of output channels as its columns, and
//! reads the inputs where they are, through a table of addresses: for each pixel one address per
//! tap, which for a tap in the padding is that of a run of zeros. Nothing is copied. Without
//! padding, a 1x1 convolution is the plain product of two matrices.

use std::ops::Range;

use super::runs::{Pixel, Runs};
use super::{Candidate, ConvDesc};
use crate::error::Result;
use crate::kernels::gemm::tile::{self, TileWork, max_rows, with_rows};
use crate::kernels::gemm::{Panel, Panels};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};

/// Row tiles that meet a panel before the next panel comes: their inputs and the panel share the
/// second-level cache. 8 to 32 measured alike on ResNet-50's layers.
const TILES_PER_BLOCK: usize = 16;

/// Addresses in a block's table, at most: 32 KiB. Kernels of very many taps get smaller blocks.
const TABLE_LIMIT: usize = 4096;

/// Output pixels from which threads split the pixels; below, they split the output channels, so
/// that each reads only its part of the weights.
const PIXELS_TO_SPLIT: usize = 28 * 28;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &[
    #[cfg(target_arch = "x86_64")]
    candidate::<crate::simd::Avx2>(),
    #[cfg(target_arch = "x86_64")]
    candidate::<crate::simd::Avx512>(),
    #[cfg(test)]
    candidate::<crate::simd::Portable<16>>(),
];

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: match S::ISA {
            Isa::Avx2 => "f32_igemm_avx2",
            Isa::Avx512 => "f32_igemm_avx512",
            Isa::Portable => "f32_igemm_portable",
            Isa::Portable16 => "f32_igemm_portable16",
        },
        isa: S::ISA,
        accepts,
        form: form::<S>,
        pack: pack::<S>,
        prepare: prepare::<S>,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    desc.input.channels_last()
}

/// The panels of a convolution's weights.
pub(super) fn panels<S: Simd>(desc: &ConvDesc) -> Panels {
    Panels { groups: desc.groups, group_outputs: desc.group_outputs(), depth: desc.depth(), lanes: S::LANES }
}

/// The form of direct kernels' weights, shared by all of them.
pub(super) fn form<S: Simd>(desc: &ConvDesc) -> Form {
    Form { name: "panels", params: [S::LANES, desc.groups, desc.kernel[0], desc.kernel[1]] }
}

/// Weights in that form.
pub(super) fn pack<S: Simd>(desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    panels::<S>(desc).pack_conv(weights, desc.kernel[0] * desc.kernel[1])
}

fn prepare<S: Simd>(desc: &ConvDesc, packed: Packed, epilogue: Epilogue, threads: usize) -> Box<dyn Kernel> {
    Box::new(Igemm::new::<S>(candidate::<S>().name, desc, packed, epilogue, threads))
}

/// A prepared implicit product.
pub(super) struct Igemm {
    name: &'static str,
    isa: Isa,
    desc: ConvDesc,
    runs: Runs,
    panels: Panels,
    packed: Packed,
    epilogue: Epilogue,
    /// What a tap in the padding reads.
    zeros: AlignedBuf,
    /// Pixel ranges and panel ranges that the chunks are the pairs of.
    parts: [usize; 2],
    chunks: [usize; 1],
    /// Rows of a tile and tiles of a block, at most.
    rows: usize,
    tiles: usize,
}

impl Igemm {
    pub(super) fn new<S: Simd>(
        name: &'static str,
        desc: &ConvDesc,
        packed: Packed,
        epilogue: Epilogue,
        threads: usize,
    ) -> Self {
        let runs = Runs::of(desc);
        let panels = panels::<S>(desc);
        let rows = max_rows::<S>();
        let (pixels, count) = (desc.output.pixels(), panels.count());
        let parts = if pixels >= PIXELS_TO_SPLIT {
            [chunks_for(pixels.div_ceil(rows), threads), 1]
        } else {
            let across = chunks_for(count, threads);
            // Few panels that do not go round evenly: each thread takes its part of the pixels too.
            let along = if across.is_multiple_of(threads) { 1 } else { threads };
            [pixels.div_ceil(rows).min(along), across]
        };
        let tiles = (TABLE_LIMIT / (runs.count() * rows)).clamp(1, TILES_PER_BLOCK);
        let zeros = AlignedBuf::zeroed(runs.reach, "padding").expect("a few zeros");
        let chunks = [parts[0] * parts[1]];
        Self {
            name,
            isa: S::ISA,
            desc: *desc,
            runs,
            panels,
            packed,
            epilogue,
            zeros,
            parts,
            chunks,
            rows,
            tiles,
        }
    }

    /// Addresses of one tile in the table: its runs, its outputs, its residuals.
    fn addresses(&self) -> usize {
        (self.runs.count() + 2) * self.rows
    }
}

impl Kernel for Igemm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        let addresses = self.tiles * self.addresses();
        ScratchSize { shared: 0, local: addresses * (size_of::<*const f32>() / size_of::<f32>()) }
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let tiles = self.desc.output.pixels().div_ceil(self.rows);
        let whole_tiles = even_range(tiles, self.parts[0], chunk / self.parts[1]);
        let end = (whole_tiles.end * self.rows).min(self.desc.output.pixels());
        #[expect(clippy::cast_ptr_alignment, reason = "scratch is 64-byte aligned")]
        let table = scratch.local.cast::<*const f32>();
        self.isa.dispatch(Chunk {
            kernel: self,
            pixels: whole_tiles.start * self.rows..end,
            panels: even_range(self.panels.count(), self.parts[1], chunk % self.parts[1]),
            input: io.inputs[0],
            residual: self.desc.residual.map(|_| io.inputs[1]),
            output: io.output,
            table,
        });
    }
}

/// Some pixels times some panels.
struct Chunk<'a> {
    kernel: &'a Igemm,
    pixels: Range<usize>,
    panels: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    table: *mut *const f32,
}

impl Vectorized for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let kernel = self.kernel;
        let tiles = self.pixels.len().div_ceil(kernel.rows);
        if tiles == 0 {
            return;
        }
        // Tiles' sizes differ by at most one: the first `taller` have one row more.
        let (rows, taller) = (self.pixels.len() / tiles, self.pixels.len() % tiles);
        let rows_of = |tile: usize| rows + usize::from(tile < taller);
        let blocks = tiles.div_ceil(kernel.tiles);
        let size = kernel.desc.output;
        let mut pixel = Pixel::nth(self.pixels.start, size.height, size.width);
        for block in 0..blocks {
            let tiles_here = even_range(tiles, blocks, block);
            let mut table = self.table;
            for tile in tiles_here.clone() {
                // SAFETY: a block has at most `kernel.tiles` tiles of at most `kernel.rows` pixels.
                unsafe {
                    self.fill_table(&mut pixel, rows_of(tile), table);
                    table = table.add(kernel.addresses());
                }
            }
            for index in self.panels.clone() {
                let panel = kernel.panels.panel(index);
                let mut table = self.table.cast_const();
                for tile in tiles_here.clone() {
                    let rows = rows_of(tile);
                    // The panel's last tile asks for the next panel: 512-512@7, whose panels come
                    // from the third-level cache, gains a tenth.
                    let last = tile + 1 == tiles_here.end;
                    let ahead = if last { kernel.panels.floats(panel) } else { 0 };
                    // SAFETY: the table was filled for these rows just now.
                    unsafe {
                        if panel.vectors == Panels::VECTORS {
                            with_rows(
                                s,
                                rows,
                                Product::<{ Panels::VECTORS }> { chunk: &self, panel, table, ahead },
                            );
                        } else {
                            with_rows(s, rows, Product::<1> { chunk: &self, panel, table, ahead });
                        }
                        if !kernel.epilogue.is_finished_by_store() {
                            let outputs = table.add(kernel.runs.count() * rows).cast::<*mut f32>();
                            let outputs = std::slice::from_raw_parts(outputs, rows);
                            kernel.epilogue.activate_stored(S::ISA, panel.columns(), outputs);
                        }
                        table = table.add(kernel.addresses());
                    }
                }
            }
        }
    }
}

impl Chunk<'_> {
    /// Write the addresses of a tile's rows, from `pixel` on: runs `[tap][row]`, outputs, residuals.
    ///
    /// # Safety
    /// The table has room for them.
    #[inline(always)]
    unsafe fn fill_table(&self, pixel: &mut Pixel, rows: usize, table: *mut *const f32) {
        let Igemm { desc, runs, zeros, .. } = self.kernel;
        let (x, y) = (&desc.input, &desc.output);
        let step = [desc.dilation[0] * x.row_stride, desc.dilation[1] * x.pixel_stride];
        for r in 0..rows {
            // Negative positions wrap around and are larger than any size.
            let top = (pixel.y * desc.stride[0]).wrapping_sub(desc.padding.top);
            let left = (pixel.x * desc.stride[1]).wrapping_sub(desc.padding.left);
            let first = self.input.wrapping_add(
                (pixel.n * x.image_stride)
                    .wrapping_add(top.wrapping_mul(x.row_stride))
                    .wrapping_add(left.wrapping_mul(x.pixel_stride)),
            );
            // SAFETY: room by contract.
            let mut to = unsafe { table.add(r) };
            for i in 0..runs.taps[0] {
                let row_inside = top.wrapping_add(i * desc.dilation[0]) < x.height;
                for j in 0..runs.taps[1] {
                    let inside = row_inside && left.wrapping_add(j * desc.dilation[1]) < x.width;
                    let run = first.wrapping_add(i * step[0] + j * step[1]);
                    // SAFETY: room by contract.
                    unsafe {
                        *to = if inside { run } else { zeros.as_ptr() };
                        to = to.add(rows);
                    }
                }
            }
            // SAFETY: room by contract; the pixel is inside the maps.
            unsafe {
                *to = self.output.add(y.at(pixel.n, pixel.y, pixel.x));
                if let (Some(residual), Some(map)) = (self.residual, &desc.residual) {
                    *to.add(rows) = residual.add(map.at(pixel.n, pixel.y, pixel.x));
                }
            }
            pixel.advance(y.height, y.width);
        }
    }
}

/// One tile times one panel.
struct Product<'a, const NV: usize> {
    chunk: &'a Chunk<'a>,
    panel: Panel,
    table: *const *const f32,
    ahead: usize,
}

impl<const NV: usize> TileWork for Product<'_, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        // A function of its own: among others, the accumulators do not stay in registers from run
        // to run.
        s.call(ProductOf::<NV, ROWS>(self));
    }
}

struct ProductOf<'a, const NV: usize, const ROWS: usize>(Product<'a, NV>);

impl<const NV: usize, const ROWS: usize> Vectorized for ProductOf<'_, NV, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { chunk, panel, table, ahead } = self.0;
        let Igemm { runs, packed, epilogue, .. } = chunk.kernel;
        let runs = tile::Runs { table, taps: runs.count(), run: runs.run, skip: panel.group * runs.run };
        // SAFETY: the table holds this tile's addresses, each of a run inside the input or of zeros
        // as long; the panel is inside the packed weights; outputs and residuals have the panel's
        // channels.
        unsafe {
            let sums = tile::product::<S, ROWS, NV>(s, runs, packed.as_ptr().add(panel.offset), ahead);
            let outputs = table.add(runs.taps * ROWS);
            let mut to = [std::ptr::null_mut(); ROWS];
            let mut residual = chunk.residual.map(|first| [first; ROWS]);
            for (r, to) in to.iter_mut().enumerate() {
                *to = (*outputs.add(r)).cast_mut();
                if let Some(residual) = &mut residual {
                    residual[r] = *outputs.add(ROWS + r);
                }
            }
            epilogue.store_tile(s, sums, panel.columns(), to, residual);
        }
    }
}
