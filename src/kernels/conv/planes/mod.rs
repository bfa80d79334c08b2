//! Convolutions of few channels over planes: the first layer of a network, which reads a picture in
//! NumPy's order.
//!
//! The input rows of some output rows are copied, plane by plane, into a thread's local scratch
//! with zeros around them. There no tap is in the padding, and a tap has the same offset from every
//! output pixel, so a product needs one offset for all pixels of a tile and no table of addresses.
//! Sums of 27 products are too short for more work per tile.

mod tile;

use std::ops::Range;

use super::desc::{Candidate, ConvDesc, FLOATS, on_vectors};
use super::igemm::{form, pack, panels};
use crate::error::Result;
use crate::kernels::activation::{StoredRows, activate_rows};
use crate::kernels::gemm::{Panel, Panels, widen};
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{ElementType, FeatureMap, Packed, reserved};
use tile::{Line, heights};

/// Up to this many channels the copy is cheap compared with the product.
const FEW_CHANNELS: usize = 4;

/// The largest number of weights for which this kernel is faster (128 KiB, which all blocks read
/// from the second-level cache). The patches of vision transformers have more.
const MOST_WEIGHTS: usize = 32 << 10;

/// The least number of tiles that are multiplied with a panel before the next panel, in whole rows.
/// Neighbouring blocks both copy the rows that they share.
const TILES_PER_BLOCK: usize = 32;

/// Horizontal strides for which there are tiles. Compile-time constants take no registers.
const STEPS: [usize; 3] = [1, 2, 4];

/// Floats of a cache line, to which planes are aligned.
const LINE: usize = 16;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "planes");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers,
        form: form::<S>,
        pack: pack::<S>(),
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    desc.input.channels <= FEW_CHANNELS
        && desc.groups == 1
        && STEPS.contains(&desc.stride[1])
        && (desc.kernel != [1, 1] || !desc.input.channels_last())
}

fn prefers(desc: &ConvDesc) -> bool {
    desc.depth() * desc.output.channels <= MOST_WEIGHTS && desc.dilation[0] == 1
}

fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let (input, output) = (&desc.input, &desc.output);
    let panels = panels(desc, S::ISA);
    let reach = |axis: usize| (desc.kernel[axis] - 1) * desc.dilation[axis] + 1;
    let tallest = heights(S::ISA, Panels::VECTORS)[0];
    let rows = TILES_PER_BLOCK.div_ceil(output.width.div_ceil(tallest).max(1)).min(output.height);
    let seen = rows.saturating_sub(1) * desc.stride[0] + reach(0);
    // A row's last tile may read beyond the last pixel.
    let wider = output.width.next_multiple_of(heights(S::ISA, 1)[0]);
    let before = desc.padding.left.next_multiple_of(LINE);
    let first = before - desc.padding.left;
    let end = first + wider.saturating_sub(1) * desc.stride[1] + reach(1);
    let width = end.next_multiple_of(LINE);
    let mut offsets = reserved(desc.depth(), "where a convolution's factors lie")?;
    for i in 0..desc.kernel[0] {
        for j in 0..desc.kernel[1] {
            for c in 0..input.channels {
                let plane = i * desc.dilation[0] * input.channels + c;
                offsets.push(plane * width + j * desc.dilation[1]);
            }
        }
    }
    let narrow = packed.element_type() != ElementType::F32;
    Ok(Box::new(Planes {
        name: NAMES.with(S::ISA, &packed),
        isa: S::ISA,
        desc: *desc,
        panels,
        packed,
        epilogue,
        offsets,
        rows,
        seen,
        width,
        before,
        inside: input.width.min(width - before),
        first,
        widened: if narrow { panels.width() * panels.depth } else { 0 },
        chunks: [chunks_for(output.batch * output.height, threads)],
    }))
}

/// A prepared convolution over planes.
struct Planes {
    name: &'static str,
    isa: Isa,
    desc: ConvDesc,
    panels: Panels,
    packed: Packed,
    epilogue: Epilogue,
    /// Offsets of a sum's inputs in the copy, relative to its pixel.
    offsets: Vec<usize>,
    /// Output rows of a block, and the input rows that they see.
    rows: usize,
    seen: usize,
    /// Floats of a row of one plane in the copy; floats before the picture's first column; floats
    /// of the columns that are copied.
    width: usize,
    before: usize,
    inside: usize,
    /// The offset of a row's first pixel.
    first: usize,
    /// Floats of a panel that is widened, or 0.
    widened: usize,
    chunks: [usize; 1],
}

impl Planes {
    /// Floats of the copy: `[seen][channel][width]`.
    fn copied(&self) -> usize {
        self.seen * self.desc.input.channels * self.width
    }
}

impl Kernel for Planes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.copied() + self.widened + self.panels.width())
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let FeatureMap { batch, height, .. } = self.desc.output;
        let rows = even_range(batch * height, self.chunks[0], chunk);
        let copy = scratch.local::<f32>();
        let widened = copy.wrapping_add(self.copied());
        let spare = widened.wrapping_add(self.widened);
        let chunk = Chunk {
            kernel: self,
            rows,
            input: io.inputs[0],
            residual: self.desc.residual.map(|_| io.inputs[1]),
            output: io.output,
            copy,
            widened,
            spare,
        };
        self.isa.dispatch(chunk);
    }
}

/// Some output rows.
struct Chunk<'a> {
    kernel: &'a Planes,
    /// Output rows, counted over all pictures.
    rows: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    /// Room for [`Planes::copied`] floats.
    copy: *mut f32,
    /// Room for [`Planes::widened`] floats.
    widened: *mut f32,
    /// Room for a panel's channels.
    spare: *mut f32,
}

impl Vectorized for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let kernel = self.kernel;
        let height = kernel.desc.output.height;
        // SAFETY: room for these floats. The floats around the picture's columns stay zero.
        unsafe { self.copy.write_bytes(0, kernel.copied()) };
        let mut at = self.rows.start;
        while at < self.rows.end {
            let (n, y) = (at / height, at % height);
            let count = kernel.rows.min(self.rows.end - at).min(height - y);
            // SAFETY: the rows are inside the output, and no more than a block's.
            unsafe {
                self.copy_rows(n, y, count);
                for index in 0..kernel.panels.count() {
                    let panel = kernel.panels.panel(index);
                    match &kernel.packed {
                        Packed::F32(weights) => {
                            self.block(s, n, y..y + count, panel, weights.as_ptr().add(panel.offset));
                        }
                        Packed::F16(weights) => {
                            let weights = weights.as_ptr().add(panel.offset);
                            widen(s, weights, kernel.panels.elements(panel), self.widened);
                            self.block(s, n, y..y + count, panel, self.widened);
                        }
                    }
                }
            }
            at += count;
        }
    }
}

impl Chunk<'_> {
    /// Copies the input of `count` output rows, starting at row `y` of picture `n`.
    ///
    /// # Safety
    /// The rows are inside the output, and no more than a block's.
    unsafe fn copy_rows(&self, n: usize, y: usize, count: usize) {
        let Planes { desc, width, before, inside, .. } = *self.kernel;
        let map = &desc.input;
        let seen = (count - 1) * desc.stride[0] + (desc.kernel[0] - 1) * desc.dilation[0] + 1;
        for i in 0..seen {
            // Negative positions wrap around and are larger than any size.
            let y = (y * desc.stride[0] + i).wrapping_sub(desc.padding.top);
            for c in 0..map.channels {
                // SAFETY: a block's copy has this many rows; the columns are inside the picture,
                // and so is a row that is read.
                unsafe {
                    let to = self.copy.add((i * map.channels + c) * width + before);
                    if y >= map.height {
                        to.write_bytes(0, inside);
                        continue;
                    }
                    let from = self.input.add(map.at(n, y, 0) + c * map.channel_stride);
                    if map.pixel_stride == 1 {
                        to.copy_from_nonoverlapping(from, inside);
                    } else {
                        for x in 0..inside {
                            *to.add(x) = *from.add(x * map.pixel_stride);
                        }
                    }
                }
            }
        }
    }

    /// Prefetches the part of picture `n` that output row `y` sees and the row above does not.
    /// Otherwise the copy of a whole block would wait for it.
    #[inline(always)]
    fn ask_for<S: Simd>(&self, s: S, n: usize, y: usize) {
        let desc = &self.kernel.desc;
        let map = &desc.input;
        let end =
            (y * desc.stride[0] + (desc.kernel[0] - 1) * desc.dilation[0] + 1).wrapping_sub(desc.padding.top);
        for y in end.wrapping_sub(desc.stride[0])..end {
            if y >= map.height {
                continue;
            }
            for c in 0..map.channels {
                let row = self.input.wrapping_add(map.at(n, y, 0) + c * map.channel_stride);
                for x in (0..self.kernel.inside).step_by(LINE) {
                    s.prefetch(row.wrapping_add(x * map.pixel_stride));
                }
            }
        }
    }

    /// Computes a panel's channels for some rows of picture `n`, whose input has been copied.
    ///
    /// # Safety
    /// The input has been copied; the weights are the panel's.
    #[inline(always)]
    unsafe fn block<S: Simd>(&self, s: S, n: usize, rows: Range<usize>, panel: Panel, weights: *const f32) {
        let kernel = self.kernel;
        let Planes { desc, epilogue, .. } = kernel;
        let map = &desc.output;
        for (i, y) in rows.clone().enumerate() {
            if panel.channel == 0 {
                self.ask_for(s, n, y + rows.len());
            }
            // SAFETY: by contract.
            unsafe {
                let seen = i * desc.stride[0] * desc.input.channels * kernel.width;
                let to = self.output.add(map.at(n, y, 0));
                let residual = self.residual.zip(desc.residual.as_ref());
                let line = Line {
                    offsets: &kernel.offsets,
                    weights,
                    columns: panel.columns(),
                    at: self.copy.add(seen + kernel.first),
                    epilogue,
                    to,
                    to_step: map.pixel_stride,
                    residual: residual.map(|(at, map)| (at.add(map.at(n, y, 0)), map.pixel_stride)),
                    spare: self.spare,
                };
                match (panel.vectors, desc.stride[1]) {
                    (1, 1) => line.run::<S, 1, 1>(s, map.width),
                    (1, 2) => line.run::<S, 1, 2>(s, map.width),
                    (1, _) => line.run::<S, 1, 4>(s, map.width),
                    (_, 1) => line.run::<S, { Panels::VECTORS }, 1>(s, map.width),
                    (_, 2) => line.run::<S, { Panels::VECTORS }, 2>(s, map.width),
                    (_, _) => line.run::<S, { Panels::VECTORS }, 4>(s, map.width),
                }
                if !epilogue.is_finished_by_store() {
                    let first = to.add(panel.channel);
                    // Dense channels count as one row.
                    let (rows, len) = if map.pixel_stride == panel.channels {
                        (StoredRows::Every { first, stride: 0, count: 1 }, map.width * panel.channels)
                    } else {
                        let stride = map.pixel_stride;
                        (StoredRows::Every { first, stride, count: map.width }, panel.channels)
                    };
                    activate_rows(S::ISA, rows, len, epilogue.activation);
                }
            }
        }
    }
}
