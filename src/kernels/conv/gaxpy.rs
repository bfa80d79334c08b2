//! Linear layers of one row whose weights come from memory: the sum of the weights' columns (in
//! torch's order), each times its input (gaxpy; Golub and Van Loan, Matrix Computations).
//!
//! An input's weights are contiguous in a panel, as wide as a page. So memory delivers them at full
//! speed, and weights of zero inputs need not be read ([`nonzero`]). The sums do not fit in
//! registers: they stay in the first-level cache, and several inputs share one load and store of
//! them. If no input is zero, [`super::gemv`] would take 0.85 to 1 of the time; if a fifth is, the
//! same time.
//!
//! Each sum has the order of the implicit product's, so a single row gives the same bits as in a
//! batch.

mod nonzero;

use super::desc::{Candidate, ConvDesc, FLOATS, Pack, on_vectors};
use super::igemm;
use super::runs::Runs;
use crate::error::Result;
use crate::kernels::gemm::tile::LINE;
use crate::kernels::gemm::{Columns, Panel, Panels, Weight};
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{ElementType, Form, Packed};
use nonzero::{Group, Nonzero};

/// More weights than this (8 MiB in float32) come from memory. Fewer may be in the last-level
/// cache, where [`super::gemv`] reads them as fast, without a list.
const CACHED: usize = 2 << 20;

/// Bytes of an input's weights in a panel. 25088-4096 with 41 % zeros took 7.5 to 9 ms; with 2048
/// bytes 11, with 1024 from 13 to 14, with 128 (a panel of tiles) 16.
const WIDTH: usize = 4096;

/// Inputs that share a load and store of the sums: the fastest of 4, 8 and 16.
const INPUTS: usize = 8;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "gaxpy");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers: |desc| desc.output.channels * desc.depth() > CACHED,
        form: |desc| Form { name: "wide_panels", params: [S::LANES, 1, desc.kernel[0], desc.kernel[1]] },
        pack: Pack::Permutation {
            pack: |desc, weights| {
                igemm::pack_panels(desc, &panels::<S>(desc, weights.element_type()), weights)
            },
            restore: |desc, packed| {
                igemm::restore_panels(desc, &panels::<S>(desc, packed.element_type()), packed)
            },
        },
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

/// A window of several runs, such as a whole map with gaps between its rows, is as good as a single
/// run.
fn accepts(desc: &ConvDesc) -> bool {
    let padded = desc.is_padded(0) || desc.is_padded(1);
    desc.input.channels_last() && desc.groups == 1 && !padded && desc.output.pixels() == 1 && desc.macs() > 0
}

/// The panels of weights of a type.
fn panels<S: Simd>(desc: &ConvDesc, weights: ElementType) -> Panels {
    Panels { vectors: WIDTH / weights.bytes() / S::LANES, ..igemm::panels(desc, S::ISA) }
}

#[expect(clippy::unnecessary_wraps, reason = "others of the list can fail: it is one signature")]
fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let panels = panels::<S>(desc, packed.element_type());
    // Whole panels if they divide evenly among the threads, since a part of a panel is less than a
    // page at a time.
    let chunks = panels.count().next_multiple_of(threads).min(panels.group_outputs.div_ceil(S::LANES));
    Ok(Box::new(Gaxpy {
        name: NAMES.with(S::ISA, &packed),
        isa: S::ISA,
        desc: *desc,
        runs: Runs::of(desc),
        panels,
        // Zero times infinity is NaN.
        needs_all: !packed.is_finite(),
        packed,
        epilogue,
        phases: [1, chunks],
    }))
}

struct Gaxpy {
    name: &'static str,
    isa: Isa,
    desc: ConvDesc,
    runs: Runs,
    panels: Panels,
    packed: Packed,
    /// Whether no weight may be skipped.
    needs_all: bool,
    epilogue: Epilogue,
    /// The first lists the inputs, the second multiplies.
    phases: [usize; 2],
}

impl Gaxpy {
    /// The runs of input values that the window sees, in order.
    ///
    /// # Safety
    /// `input` is the descriptor's, and does not change during the iteration.
    unsafe fn inputs<'a>(&self, input: *const f32) -> impl Iterator<Item = &'a [f32]> {
        let Self { desc: ConvDesc { input: map, dilation, .. }, runs, .. } = *self;
        (0..runs.count()).map(move |tap| {
            let (y, x) = (tap / runs.taps[1] * dilation[0], tap % runs.taps[1] * dilation[1]);
            // SAFETY: without padding, every run is inside the input.
            unsafe { std::slice::from_raw_parts(input.add(map.at(0, y, x)), runs.run) }
        })
    }
}

impl Kernel for Gaxpy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(Nonzero::room(self.panels.depth), 2 * self.panels.width())
    }

    unsafe fn run(&self, phase: usize, index: usize, io: &Io<'_>, scratch: Scratch) {
        let (list, depth) = (scratch.shared::<f32>(), self.panels.depth);
        // SAFETY: by contract, the input is the descriptor's, the list has room, and only this
        // phase writes it.
        unsafe {
            if phase == 0 {
                Nonzero::write(self.inputs(io.inputs[0]), depth, self.needs_all, list);
                return;
            }
            let nonzero = Nonzero::read(list, depth);
            match &self.packed {
                Packed::F32(weights) => {
                    let weights = weights.as_ptr();
                    self.isa.dispatch(Chunk { kernel: self, weights, index, io, nonzero, scratch });
                }
                Packed::F16(weights) => {
                    let weights = weights.as_ptr();
                    self.isa.dispatch(Chunk { kernel: self, weights, index, io, nonzero, scratch });
                }
            }
        }
    }
}

/// A range of output vectors.
struct Chunk<'a, W> {
    kernel: &'a Gaxpy,
    weights: *const W,
    index: usize,
    io: &'a Io<'a>,
    nonzero: Nonzero<'a>,
    scratch: Scratch,
}

impl<W: Weight> Vectorized for Chunk<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Gaxpy { panels, phases, .. } = self.kernel;
        let mut these = even_range(panels.group_outputs.div_ceil(S::LANES), phases[1], self.index);
        while !these.is_empty() {
            let panel = panels.panel(these.start / panels.vectors);
            let first = these.start % panels.vectors;
            let vectors = (panel.vectors - first).min(these.len());
            // SAFETY: the contract of the kernel that made this chunk.
            unsafe { self.part(s, panel, first, vectors) };
            these.start += vectors;
        }
    }
}

impl<W: Weight> Chunk<'_, W> {
    /// Computes some of a panel's vectors, starting at `first`.
    ///
    /// # Safety
    /// As [`Kernel::run`]; the panel has them.
    #[inline(always)]
    unsafe fn part<S: Simd>(&self, s: S, panel: Panel, first: usize, vectors: usize) {
        let Gaxpy { desc, panels, epilogue, .. } = self.kernel;
        let chain: *mut f32 = self.scratch.local();
        let skip = first * S::LANES;
        // SAFETY: by contract; the local scratch has room for two panels of sums.
        unsafe {
            let totals = chain.add(panels.width());
            let columns = Product {
                weights: self.weights.add(panel.offset + skip),
                step: panel.vectors * S::LANES,
                vectors,
                sums: chain,
            };
            for (number, inputs) in self.nonzero.chains().enumerate() {
                chain.write_bytes(0, vectors * S::LANES);
                let (groups, rest) = inputs.groups::<INPUTS>();
                for group in groups {
                    columns.add(s, group);
                }
                for input in rest.groups::<1>().0 {
                    columns.add(s, input);
                }
                for at in (0..vectors * S::LANES).step_by(S::LANES) {
                    let sum = s.load(chain.add(at));
                    s.store(
                        totals.add(at),
                        if number == 0 { sum } else { s.add(s.load(totals.add(at)), sum) },
                    );
                }
            }
            let to = [self.io.output.add(desc.output.at(0, 0, 0))];
            let residual = desc.residual.map(|map| [self.io.inputs[1].add(map.at(0, 0, 0))]);
            for v in 0..vectors {
                let at = skip + v * S::LANES;
                let columns =
                    Columns { channel: panel.channel + at, channels: S::LANES.min(panel.channels - at) };
                epilogue.store_tile(s, [[s.load(totals.add(v * S::LANES))]], columns, to, residual);
            }
            if !epilogue.is_finished_by_store() {
                let channels = (vectors * S::LANES).min(panel.channels - skip);
                epilogue.activate_stored(S::ISA, Columns { channel: panel.channel + skip, channels }, &to);
            }
        }
    }
}

/// The products of inputs and their weights in some vectors of a panel.
struct Product<W> {
    weights: *const W,
    /// Elements from one input's weights to the next input's.
    step: usize,
    vectors: usize,
    sums: *mut f32,
}

impl<W: Weight> Product<W> {
    /// Accumulates the products of `N` inputs, one after the other, and prefetches the weights of
    /// later inputs.
    ///
    /// # Safety
    /// The numbers are those of inputs; the pointers are valid for them.
    #[inline(always)]
    unsafe fn add<S: Simd, const N: usize>(&self, s: S, group: Group<'_, N>) {
        let mut factors = [s.zero(); N];
        // SAFETY: by contract.
        unsafe {
            for (factor, value) in factors.iter_mut().zip(group.values) {
                *factor = s.broadcast(value);
            }
            let weights = group.numbers.map(|number| self.weights.add(number as usize * self.step));
            let later = group.later.map(|number| self.weights.add(number as usize * self.step));
            for at in (0..self.vectors * S::LANES).step_by(S::LANES) {
                if (at * size_of::<W>()).is_multiple_of(LINE) {
                    for weights in later {
                        s.prefetch(weights.add(at).cast());
                    }
                }
                let mut sum = s.load(self.sums.add(at));
                for (&factor, weights) in factors.iter().zip(weights) {
                    sum = s.fma(factor, W::load(s, weights.add(at)), sum);
                }
                s.store(self.sums.add(at), sum);
            }
        }
    }
}
