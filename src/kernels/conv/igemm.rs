//! The main kernel: an implicit matrix product over channels-last maps.
//!
//! A tile takes some output pixels as its rows and a panel of output channels as its columns, and
//! reads the inputs in place, through a table of addresses: for each pixel one address per tap; a
//! tap in the padding has the address of a run of zeros. Nothing is copied, unless there is a
//! prologue ([`super::prologue`]). Without padding, a 1x1 convolution is a plain matrix product.

use std::ops::Range;

use super::desc::{BlockPart, Candidate, ConvDesc, FLOATS, Pack, Prologue, on_vectors};
use super::prologue::change::{self, Change};
use super::runs::{Pixel, Runs};
use crate::error::Result;
use crate::kernels::gemm::tile::{self, Next, TileWork, most_rows, with_rows};
use crate::kernels::gemm::{Panel, Panels, Weight, widen};
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, ElementType, Form, Packed, Values};

/// Row tiles that are multiplied with a panel before the next panel: their inputs and the panel
/// share the second-level cache. 8 to 32 measured the same on ResNet-50's layers.
const TILES_PER_BLOCK: usize = 16;

/// The largest number of addresses in a block's table (32 KiB). Kernels of very many taps get
/// smaller blocks.
const TABLE_LIMIT: usize = 4096;

/// The largest float16 panel, in floats, that is widened once for all tiles of a block: 512 KiB,
/// half of a second-level cache. Tiles that widen on load took 8 % longer on AlexNet's second
/// convolution, since widening occupies a multiplier; larger panels come from memory, and are
/// better read in float16.
const WIDENED_LIMIT: usize = 128 << 10;

/// The largest number of floats of a block's prologue output: 256 KiB, a quarter of a second-level
/// cache; the rest is for the panels. 128 and 512 KiB measured the same; with 32 and 64 KiB
/// DenseNet-121 took 1 to 4 % longer, since each block reads all panels.
const COPIED_LIMIT: usize = 64 << 10;

/// With at least this many output pixels, threads split the pixels; with fewer, the output
/// channels, so that each thread reads only its part of the weights.
const PIXELS_TO_SPLIT: usize = 28 * 28;
/// With at most this many bytes of weights, they split the pixels of a window of several taps
/// anyway: each part of the channels would have to look up all pixels' taps again. 160-160@14 in
/// ten groups took 0.85 of the time.
const SHARED_WEIGHTS: usize = 128 << 10;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "igemm");
const PROLOGUE_NAMES: WeightNames = names!(weights: "prologue_igemm");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers: |_| true,
        form: form::<S>,
        pack: pack::<S>(),
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: Some(prepare_behind::<S>),
        block_part: Some(BlockPart::Pointwise),
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    desc.input.channels_last()
}

/// The panels of a convolution's weights.
pub(super) fn panels(desc: &ConvDesc, isa: Isa) -> Panels {
    let (group_outputs, lanes) = (desc.group_outputs(), isa.lanes());
    Panels { groups: desc.groups, group_outputs, depth: desc.depth(), lanes, vectors: Panels::VECTORS }
}

/// The packed form of the weights that all direct kernels share.
pub(super) fn form<S: Simd>(desc: &ConvDesc) -> Form {
    Form { name: "panels", params: [S::LANES, desc.groups, desc.kernel[0], desc.kernel[1]] }
}

/// Weights in that form, in their own type.
pub(super) const fn pack<S: Simd>() -> Pack {
    Pack::Permutation {
        pack: |desc, weights| pack_panels(desc, &panels(desc, S::ISA), weights),
        restore: |desc, packed| restore_panels(desc, &panels(desc, S::ISA), packed),
    }
}

/// Weights in these panels, in their own type.
pub(super) fn pack_panels(desc: &ConvDesc, panels: &Panels, weights: &mut Packed) -> Result<Packed> {
    let taps = desc.kernel[0] * desc.kernel[1];
    Ok(match weights {
        Packed::F32(weights) => panels.repack_conv(weights, taps)?.into(),
        Packed::F16(weights) => panels.repack_conv(weights, taps)?.into(),
    })
}

/// The weights that are packed in these panels.
pub(super) fn restore_panels(desc: &ConvDesc, panels: &Panels, packed: Values<'_>) -> Result<Packed> {
    let taps = desc.kernel[0] * desc.kernel[1];
    Ok(match packed {
        Values::F32(packed) => panels.unpack_conv(packed, taps)?.into(),
        Values::F16(packed) => panels.unpack_conv(packed, taps)?.into(),
    })
}

fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    Ok(Box::new(Igemm::new(&NAMES, S::ISA, desc, packed, epilogue, threads)?))
}

fn prepare_behind<S: Simd>(
    desc: &ConvDesc,
    prologue: Prologue,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let product = Igemm::new(&PROLOGUE_NAMES, S::ISA, desc, packed, epilogue, threads)?;
    Ok(Box::new(product.behind(prologue, threads)))
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
    /// The zeros that a tap in the padding reads.
    zeros: AlignedBuf,
    /// The operation on the input's pixels before the tiles read them.
    prologue: Option<Prologue>,
    /// Numbers of pixel ranges and of panel ranges; the chunks are their pairs.
    parts: [usize; 2],
    /// Each range has a multiple of this many pixels, except at the last one's end.
    unit: usize,
    chunks: [usize; 1],
    /// The largest numbers of rows of a tile and of tiles of a block.
    rows: usize,
    tiles: usize,
    /// Floats of a panel that is widened for several tiles, or 0.
    widened: usize,
}

impl Igemm {
    /// A kernel with these names.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub(super) fn new(
        names: &WeightNames,
        isa: Isa,
        desc: &ConvDesc,
        packed: Packed,
        epilogue: Epilogue,
        threads: usize,
    ) -> Result<Self> {
        let runs = Runs::of(desc);
        let panels = panels(desc, isa);
        let rows = most_rows(isa);
        let (pixels, count) = (desc.output.pixels(), panels.count());
        let shared = runs.count() > 1 && panels.len() * size_of::<f32>() <= SHARED_WEIGHTS;
        let parts = if pixels >= PIXELS_TO_SPLIT || shared {
            [chunks_for(pixels.div_ceil(rows), threads), 1]
        } else {
            let across = chunks_for(count, threads);
            // Few panels that do not divide evenly: the pixels are split among the threads too.
            let along = if across.is_multiple_of(threads) { 1 } else { threads };
            [pixels.div_ceil(rows).min(along), across]
        };
        let tiles = (TABLE_LIMIT / (runs.count() * rows)).clamp(1, TILES_PER_BLOCK);
        let zeros = AlignedBuf::zeroed(runs.reach, "the zeros that a convolution's padding reads")?;
        let chunks = [parts[0] * parts[1]];
        let narrow = packed.element_type() != ElementType::F32;
        let panel = panels.width() * panels.depth;
        let widened = if narrow && panel <= WIDENED_LIMIT && pixels.div_ceil(rows) > 1 { panel } else { 0 };
        Ok(Self {
            name: names.with(isa, &packed),
            isa,
            desc: *desc,
            runs,
            panels,
            packed,
            epilogue,
            zeros,
            prologue: None,
            parts,
            unit: rows,
            chunks,
            rows,
            tiles,
            widened,
        })
    }

    /// The same product after a prologue, which is applied while a block's pixels are copied; only
    /// for 1x1 convolutions, each of whose sums is one run.
    fn behind(self, prologue: Prologue, threads: usize) -> Self {
        debug_assert!(self.desc.is_pointwise() && self.desc.groups == 1);
        let pixels = self.desc.output.pixels();
        let tiles = pixels.div_ceil(self.rows);
        let (parts, unit) = if pixels >= PIXELS_TO_SPLIT {
            ([chunks_for(tiles, threads), 1], self.rows)
        } else {
            // The prologue is recomputed for each range of panels, so there are at most as many of
            // them as threads. Ranges of pixels, with each pixel computed once, took whole networks
            // up to 1 % longer with two threads: each thread then reads all the weights.
            let across = self.panels.count().min(threads);
            ([threads.div_ceil(across).min(tiles), across], 1)
        };
        let block = (COPIED_LIMIT / (self.rows * change::floats(&self.desc.input))).max(1);
        Self {
            prologue: Some(prologue),
            parts,
            unit,
            chunks: [parts[0] * parts[1]],
            tiles: self.tiles.min(block),
            ..self
        }
    }

    /// The `index`-th chunk.
    fn chunk<W>(&self, weights: *const W, index: usize, io: &Io<'_>, scratch: Scratch) -> Chunk<'_, W> {
        let pixels = self.desc.output.pixels();
        let units = even_range(pixels.div_ceil(self.unit), self.parts[0], index / self.parts[1]);
        let floats = scratch.local::<f32>();
        Chunk {
            kernel: self,
            weights,
            pixels: units.start * self.unit..(units.end * self.unit).min(pixels),
            panels: even_range(self.panels.count(), self.parts[1], index % self.parts[1]),
            input: io.inputs[0],
            residual: self.desc.residual.map(|_| io.inputs[1]),
            output: io.output,
            gate: io.inputs[io.inputs.len() - 1],
            table: scratch.local(),
            widened: floats.wrapping_add(self.table_floats()),
            copied: floats.wrapping_add(self.table_floats() + self.widened),
        }
    }

    /// Floats of a block's table of addresses, in whole cache lines.
    fn table_floats(&self) -> usize {
        let addresses = self.tiles * self.addresses();
        (addresses * (size_of::<*const f32>() / size_of::<f32>())).next_multiple_of(16)
    }

    /// Floats of a block's prologue output.
    fn copied_floats(&self) -> usize {
        let pixels = self.tiles * self.rows;
        self.prologue.as_ref().map_or(0, |_| pixels * change::floats(&self.desc.input))
    }

    /// Number of addresses of a tile in the table: its runs, outputs and residuals.
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
        ScratchSize::floats(0, self.table_floats() + self.widened + self.copied_floats())
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        match &self.packed {
            Packed::F32(weights) => self.isa.dispatch(self.chunk(weights.as_ptr(), chunk, io, scratch)),
            Packed::F16(weights) => self.isa.dispatch(self.chunk(weights.as_ptr(), chunk, io, scratch)),
        }
    }
}

/// Some pixels times some panels.
struct Chunk<'a, W> {
    kernel: &'a Igemm,
    weights: *const W,
    pixels: Range<usize>,
    panels: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    /// The further input of a prologue, if it has one.
    gate: *const f32,
    table: *mut *const f32,
    /// Room for [`Igemm::widened`] floats.
    widened: *mut f32,
    /// Room for [`Igemm::copied_floats`].
    copied: *mut f32,
}

impl<W: Weight> Vectorized for Chunk<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let kernel = self.kernel;
        let tiles = self.pixels.len().div_ceil(kernel.rows);
        if tiles == 0 {
            return;
        }
        // Tile sizes differ by at most one: the first `taller` tiles have one row more.
        let (rows, taller) = (self.pixels.len() / tiles, self.pixels.len() % tiles);
        let rows_of = |tile: usize| rows + usize::from(tile < taller);
        let blocks = tiles.div_ceil(kernel.tiles);
        let size = kernel.desc.output;
        let mut pixel = Pixel::nth(self.pixels.start, size.height, size.width);
        for block in 0..blocks {
            let tiles_here = even_range(tiles, blocks, block);
            let (mut table, mut copied) = (self.table, self.copied);
            for tile in tiles_here.clone() {
                let (first, rows) = (pixel, rows_of(tile));
                // SAFETY: a block has at most `kernel.tiles` tiles of at most `kernel.rows` pixels.
                unsafe {
                    self.fill_table(&mut pixel, rows, table);
                    if let Some(prologue) = &kernel.prologue {
                        let map = &kernel.desc.input;
                        s.call(Change { prologue, map, first, rows, table, gate: self.gate, to: copied });
                        copied = copied.add(rows * change::floats(map));
                    }
                    table = table.add(kernel.addresses());
                }
            }
            for index in self.panels.clone() {
                let panel = kernel.panels.panel(index);
                // SAFETY: the table was filled for these tiles just now; the panel is inside the
                // packed weights, and so is the next one, unless it is not used.
                unsafe {
                    let weights = self.weights.add(panel.offset);
                    let len = kernel.panels.elements(panel);
                    let first = index == self.panels.start;
                    if kernel.widened > 0 && tiles_here.len() > 1 {
                        widen(s, weights, len, self.widened);
                        let weights = self.widened.cast_const();
                        let factor = Factor { panel, weights, next: weights, first };
                        self.tiles(s, &factor, tiles_here.clone(), rows_of);
                    } else {
                        let factor = Factor { panel, weights, next: weights.wrapping_add(len), first };
                        self.tiles(s, &factor, tiles_here.clone(), rows_of);
                    }
                }
            }
        }
    }
}

impl<W: Weight> Chunk<'_, W> {
    /// Multiplies the tiles of a block with a panel's weights.
    ///
    /// The last tile prefetches the next panel: 512-512@7, whose panels come from the third-level
    /// cache, gains a tenth. With a block's first panel, the other tiles prefetch the next tile's
    /// input, if pixels are contiguous in memory: 128-256@56 gains a twentieth.
    ///
    /// # Safety
    /// The table holds these tiles; the weights are the panel's.
    #[inline(always)]
    unsafe fn tiles<S: Simd, V: Weight>(
        &self,
        s: S,
        factor: &Factor<V>,
        tiles: Range<usize>,
        rows_of: impl Fn(usize) -> usize,
    ) {
        let kernel = self.kernel;
        let &Factor { panel, weights, next, first } = factor;
        let fetches = first && kernel.runs.count() == 1;
        let mut table = self.table.cast_const();
        for tile in tiles.clone() {
            let rows = rows_of(tile);
            let next = if tile + 1 == tiles.end {
                next
            } else if fetches {
                // SAFETY: the next tile's addresses are in the table.
                unsafe { *table.add(kernel.addresses()) }.cast()
            } else {
                weights
            };
            let product = Operands { kernel, residual: self.residual, panel, weights, table, next };
            // SAFETY: by contract.
            unsafe {
                if panel.vectors == Panels::VECTORS {
                    with_rows(s, rows, Product::<V, { Panels::VECTORS }>(product));
                } else {
                    with_rows(s, rows, Product::<V, 1>(product));
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

    /// Writes the addresses of a tile's rows, starting at `pixel`: runs `[tap][row]`, outputs,
    /// residuals.
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

/// A panel that is multiplied with the tiles of a block.
struct Factor<V> {
    panel: Panel,
    weights: *const V,
    /// The next panel, or this one.
    next: *const V,
    /// Whether it is the first panel for these tiles.
    first: bool,
}

/// One tile and one panel.
struct Operands<'a, W> {
    kernel: &'a Igemm,
    residual: Option<*const f32>,
    panel: Panel,
    weights: *const W,
    table: *const *const f32,
    next: *const W,
}

/// Their product.
struct Product<'a, W, const NV: usize>(Operands<'a, W>);

impl<W: Weight, const NV: usize> TileWork for Product<'_, W, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        // A separate function: inlined into a larger one, the accumulators would not stay in
        // registers between runs.
        s.call(ProductOf::<W, NV, ROWS>(self.0));
    }
}

struct ProductOf<'a, W, const NV: usize, const ROWS: usize>(Operands<'a, W>);

impl<W: Weight, const NV: usize, const ROWS: usize> Vectorized for ProductOf<'_, W, NV, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Operands { kernel, residual, panel, weights, table, next } = self.0;
        let Igemm { runs, epilogue, .. } = kernel;
        let runs = tile::Runs { table, taps: runs.count(), run: runs.run, skip: panel.group * runs.run };
        // SAFETY: the table holds this tile's addresses, each of a run inside the input or of zeros
        // as long; the weights are the panel's; outputs and residuals have the panel's
        // channels.
        unsafe {
            let outputs = table.add(runs.taps * ROWS);
            let mut to = [std::ptr::null_mut(); ROWS];
            let mut residual = residual.map(|first| [first; ROWS]);
            for (r, to) in to.iter_mut().enumerate() {
                *to = (*outputs.add(r)).cast_mut();
                if let Some(residual) = &mut residual {
                    residual[r] = *outputs.add(ROWS + r);
                }
                // Otherwise the stores would wait for their cache lines, and later work for the
                // stores: 128-256@56 and back took a tenth longer.
                for v in 0..NV {
                    s.prefetch_write(to.wrapping_add(panel.channel + v * S::LANES));
                }
            }
            let sums = tile::product::<S, W, ROWS, NV>(s, runs, weights, Next::whole::<S>(next, NV));
            epilogue.store_tile(s, sums, panel.columns(), to, residual);
        }
    }
}
