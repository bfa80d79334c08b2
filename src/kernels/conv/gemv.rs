//! Linear layers on one to three rows: the weights are read once and bound the time, so several
//! panels are streamed in parallel. Two threads read float32 and float16 weights from memory at the
//! same 35 to 40 GB/s, so float16 takes half the time. Weights that may be in the last-level cache
//! are prefetched.
//!
//! [`super::gaxpy`] computes one row times more weights than that.
//!
//! Each sum has the order of the implicit product's, so a single row gives the same bits as in a
//! batch.

use std::array::from_fn;

use super::desc::{Candidate, ConvDesc, FLOATS, on_vectors};
use super::igemm::{form, pack, panels};
use super::runs::{Pixel, Runs};
use crate::error::Result;
use crate::kernels::gemm::tile::{LINE, Tile, zeros};
use crate::kernels::gemm::{DEPTH_CHUNK, Panels, Weight};
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::Packed;

/// More rows than these reuse the weights enough for the implicit product.
const MOST_ROWS: usize = 3;

/// Up to this size in bytes, panels streamed in parallel prefetch the next panels, as they end
/// before the hardware prefetcher has recognised their strides: 128-2048 and 224-896, whose weights
/// the last-level cache holds, took twice as long without.
const SHORT: usize = 64 << 10;
/// The prefetch distance in elements of longer panels, if all weights together have at most
/// [`CACHED`] bytes: 960-240 and 2112-88 took up to 1.5 times as long without it. For weights from
/// memory it gained nothing, and cost a tenth with 9216-4096.
const AHEAD: usize = 512;
const CACHED: usize = 8 << 20;
/// Up to this number of panels per thread, they are not streamed in parallel: of five, two and
/// three would be uneven shares, which cost more than parallel streams gain (1512-144).
const FEW: usize = 4;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "gemv");

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
        with_prologue: None,
        block_part: None,
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    let padded = desc.is_padded(0) || desc.is_padded(1);
    desc.input.channels_last()
        && desc.groups == 1
        && !padded
        && (1..=MOST_ROWS).contains(&desc.output.pixels())
        && Runs::of(desc).count() == 1
}

#[expect(clippy::unnecessary_wraps, reason = "others of the list can fail: it is one signature")]
fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let panels = panels(desc, S::ISA);
    let bytes = packed.element_type().bytes();
    let few = threads > 1 && panels.count() <= FEW * threads;
    let step = if few { 1 } else { most_panels(1, bytes) };
    let chunks = [chunks_for(panels.count().div_ceil(step), threads)];
    let name = NAMES.with(S::ISA, &packed);
    Ok(Box::new(Gemv { name, isa: S::ISA, desc: *desc, panels, packed, epilogue, step, chunks }))
}

/// The number of panels streamed in parallel, for weights of `bytes` bytes each. Two threads read
/// two streams each 1 to 10 % faster than four; float16 weights, with half as many bytes, need the
/// multiply-add chains of four panels to hide their latency. More rows provide more chains
/// themselves.
const fn most_panels(rows: usize, bytes: usize) -> usize {
    if rows == 1 && bytes == 2 { 4 } else { 2 }
}

struct Gemv {
    name: &'static str,
    isa: Isa,
    desc: ConvDesc,
    panels: Panels,
    packed: Packed,
    epilogue: Epilogue,
    /// Panels that stay together in a chunk.
    step: usize,
    chunks: [usize; 1],
}

impl Kernel for Gemv {
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, _scratch: Scratch) {
        match &self.packed {
            Packed::F32(weights) => {
                self.isa.dispatch(Chunk { kernel: self, weights: weights.as_ptr(), index: chunk, io });
            }
            Packed::F16(weights) => {
                self.isa.dispatch(Chunk { kernel: self, weights: weights.as_ptr(), index: chunk, io });
            }
        }
    }
}

struct Chunk<'a, W> {
    kernel: &'a Gemv,
    weights: *const W,
    index: usize,
    io: &'a Io<'a>,
}

impl<W: Weight> Vectorized for Chunk<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the contract of the kernel that made this chunk.
        unsafe {
            match self.kernel.desc.output.pixels() {
                1 if size_of::<W>() == 2 => self.rows::<S, 1, { most_panels(1, 2) }>(s),
                1 => self.rows::<S, 1, { most_panels(1, 4) }>(s),
                2 => self.rows::<S, 2, { most_panels(2, 4) }>(s),
                _ => self.rows::<S, 3, { most_panels(3, 4) }>(s),
            }
        }
    }
}

impl<W: Weight> Chunk<'_, W> {
    /// # Safety
    /// As [`Kernel::run`], for a kernel of `ROWS` output pixels.
    #[inline(always)]
    unsafe fn rows<S: Simd, const ROWS: usize, const SIDE_BY_SIDE: usize>(&self, s: S) {
        let Gemv { desc, panels, .. } = self.kernel;
        let (x, y) = (&desc.input, &desc.output);
        let pixels: [Pixel; ROWS] = from_fn(|r| Pixel::nth(r, y.height, y.width));
        // SAFETY: without padding, every run is inside the input.
        let rows = pixels
            .map(|p| unsafe { self.io.inputs[0].add(x.at(p.n, p.y * desc.stride[0], p.x * desc.stride[1])) });
        let step = self.kernel.step;
        let these = even_range(panels.count().div_ceil(step), self.kernel.chunks[0], self.index);
        let end = (these.end * step).min(panels.count());
        let mut index = these.start * step;
        // SAFETY: the panels and rows are those of the descriptor.
        unsafe {
            while index < end {
                let last = index + SIDE_BY_SIDE - 1;
                if last < end && panels.panel(last).vectors == Panels::VECTORS {
                    self.panels::<S, ROWS, { Panels::VECTORS }, SIDE_BY_SIDE>(s, rows, pixels, index);
                    index += SIDE_BY_SIDE;
                } else if panels.panel(index).vectors == Panels::VECTORS {
                    self.panels::<S, ROWS, { Panels::VECTORS }, 1>(s, rows, pixels, index);
                    index += 1;
                } else {
                    self.panels::<S, ROWS, 1, 1>(s, rows, pixels, index);
                    index += 1;
                }
            }
        }
    }

    /// Computes `P` panels, starting at the `index`-th.
    ///
    /// # Safety
    /// They exist and are `NV` vectors wide; the rows have the same depth.
    #[inline(always)]
    unsafe fn panels<S: Simd, const ROWS: usize, const NV: usize, const P: usize>(
        &self,
        s: S,
        rows: [*const f32; ROWS],
        pixels: [Pixel; ROWS],
        index: usize,
    ) {
        let Gemv { desc, panels, epilogue, .. } = self.kernel;
        let these = from_fn(|p| panels.panel(index + p));
        // SAFETY: by contract.
        unsafe {
            let weights = these.map(|panel| self.weights.add(panel.offset));
            let all = P * panels.depth * NV * S::LANES;
            let ahead = match size_of::<W>() {
                bytes if all * bytes <= SHORT => all,
                bytes if panels.len() * bytes <= CACHED => AHEAD,
                _ => 0,
            };
            let sums: [Tile<S, ROWS, NV>; P] = stream(s, rows, weights, panels.depth, ahead);
            let to = pixels.map(|p| self.io.output.add(desc.output.at(p.n, p.y, p.x)));
            let residual =
                desc.residual.map(|map| pixels.map(|p| self.io.inputs[1].add(map.at(p.n, p.y, p.x))));
            for (panel, sums) in these.into_iter().zip(sums) {
                epilogue.store_tile(s, sums, panel.columns(), to, residual);
                if !epilogue.is_finished_by_store() {
                    epilogue.activate_stored(S::ISA, panel.columns(), &to);
                }
            }
        }
    }
}

/// Computes the sums of `ROWS` rows over `P` panels at once, in chains of [`DEPTH_CHUNK`], and
/// prefetches `ahead` elements ahead unless it is 0.
///
/// # Safety
/// Each row is valid for reading `depth` floats, each panel for `depth * NV * LANES` elements.
#[inline(always)]
unsafe fn stream<S: Simd, W: Weight, const ROWS: usize, const NV: usize, const P: usize>(
    s: S,
    rows: [*const f32; ROWS],
    panels: [*const W; P],
    depth: usize,
    ahead: usize,
) -> [Tile<S, ROWS, NV>; P] {
    let mut totals = [zeros::<S, ROWS, NV>(s); P];
    for start in (0..depth).step_by(DEPTH_CHUNK) {
        let mut acc = [zeros::<S, ROWS, NV>(s); P];
        for k in start..depth.min(start + DEPTH_CHUNK) {
            // SAFETY: k < depth.
            unsafe {
                let mut x = [s.zero(); ROWS];
                for (x, row) in x.iter_mut().zip(rows) {
                    *x = s.broadcast(row.add(k));
                }
                for p in 0..P {
                    let row = panels[p].add(k * NV * S::LANES);
                    if ahead > 0 {
                        for line in (0..NV * S::LANES).step_by(LINE / size_of::<W>()) {
                            s.prefetch(row.wrapping_add(ahead + line).cast());
                        }
                    }
                    for v in 0..NV {
                        let w = W::load(s, row.add(v * S::LANES));
                        for (acc, x) in acc[p].iter_mut().zip(x) {
                            acc[v] = s.fma(x, w, acc[v]);
                        }
                    }
                }
            }
        }
        if start == 0 {
            totals = acc;
        } else {
            for p in 0..P {
                for r in 0..ROWS {
                    for v in 0..NV {
                        totals[p][r][v] = s.add(totals[p][r][v], acc[p][r][v]);
                    }
                }
            }
        }
    }
    totals
}
