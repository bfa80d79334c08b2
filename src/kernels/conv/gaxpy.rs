//! Linear layers of one row whose weights come from memory: the sum of the weights' columns, in torch's order,
//! each times its input (gaxpy; Golub and Van Loan, Matrix Computations).
//!
//! What an input meets lies side by side in a panel, as wide as a page. So memory gives it at full speed, and what
//! would meet a zero need not be read ([`nonzero`]). The sums do not fit into registers: they stay in the first
//! cache, and some inputs share their way there and back. Where no input is zero, [`super::gemv`] would take 0.85
//! to 1 of the time; where a fifth is, as long.
//!
//! Each sum runs in the order of the implicit product's, so a row alone gives the same bits as a row in a batch.

mod nonzero;

use half::f16;

use super::desc::{Candidate, ConvDesc, Pack, on_vectors};
use super::igemm;
use super::runs::Runs;
use crate::error::Result;
use crate::kernels::gemm::tile::LINE;
use crate::kernels::gemm::{Columns, Panel, Panels, Weight};
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{Form, Packed};
use nonzero::{Group, Nonzero};

/// More weights than these come from memory, 8 MiB of them in float32. Fewer may be in the last-level cache, where
/// [`super::gemv`] reads them as fast, without a list.
const CACHED: usize = 2 << 20;

/// Bytes that an input meets in a panel. 25088-4096 with 41 % zeros took 7.5 to 9 ms; with 2048 bytes 11, with 1024
/// from 13 to 14, with 128 (a panel of tiles) 16.
const WIDTH: usize = 4096;

/// Inputs that share the sums' way: of 4, 8 and 16 the fastest.
const INPUTS: usize = 8;

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_vectors!(candidate);

const NAMES: WeightNames = names!(weights: "gaxpy");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        accepts,
        prefers: |desc| desc.output.channels * desc.depth() > CACHED,
        form: |desc| Form { name: "wide_panels", params: [S::LANES, 1, desc.kernel[0], desc.kernel[1]] },
        pack: Pack::Permutation {
            pack: |desc, weights| {
                igemm::pack_panels(desc, weights, panels::<S, f32>(desc), panels::<S, f16>(desc))
            },
            restore: |desc, packed| {
                igemm::restore_panels(desc, packed, panels::<S, f32>(desc), panels::<S, f16>(desc))
            },
        },
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

/// A window of several runs, such as the whole of a map with gaps between its rows, is as good as one.
fn accepts(desc: &ConvDesc) -> bool {
    let padded = desc.is_padded(0) || desc.is_padded(1);
    desc.input.channels_last() && desc.groups == 1 && !padded && desc.output.pixels() == 1 && desc.macs() > 0
}

/// The panels of weights of type `W`.
fn panels<S: Simd, W>(desc: &ConvDesc) -> Panels {
    Panels { vectors: WIDTH / size_of::<W>() / S::LANES, ..igemm::panels(desc, S::ISA) }
}

#[expect(clippy::unnecessary_wraps, reason = "others of the list can fail: it is one signature")]
fn prepare<S: Simd>(
    desc: &ConvDesc,
    packed: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let half = matches!(packed, Packed::F16(_));
    let panels = if half { panels::<S, f16>(desc) } else { panels::<S, f32>(desc) };
    // Whole panels where they go round evenly, since a part of one is less than a page at a time.
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
    /// Whether no weight may be left out.
    needs_all: bool,
    epilogue: Epilogue,
    /// The first lists the inputs, the second multiplies.
    phases: [usize; 2],
}

impl Gaxpy {
    /// What the window sees, run after run.
    ///
    /// # Safety
    /// `input` is the descriptor's, and stays as it is meanwhile.
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
        ScratchSize { shared: Nonzero::room(self.panels.depth), local: 2 * self.panels.width() }
    }

    unsafe fn run(&self, phase: usize, index: usize, io: &Io<'_>, scratch: Scratch) {
        let (list, depth) = (scratch.shared, self.panels.depth);
        // SAFETY: the contract: the input is the descriptor's, the list has its room, and this phase is the
        // only one that writes it.
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
            // SAFETY: the kernel's contract, which made this chunk.
            unsafe { self.part(s, panel, first, vectors) };
            these.start += vectors;
        }
    }
}

impl<W: Weight> Chunk<'_, W> {
    /// Some of a panel's vectors, from the `first` on.
    ///
    /// # Safety
    /// As [`Kernel::run`]; the panel has them.
    #[inline(always)]
    unsafe fn part<S: Simd>(&self, s: S, panel: Panel, first: usize, vectors: usize) {
        let Gaxpy { desc, panels, epilogue, .. } = self.kernel;
        let chain = self.scratch.local;
        let skip = first * S::LANES;
        // SAFETY: by contract; local scratch has room for the sums of a panel twice.
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

/// Inputs times what they meet in some vectors of a panel.
struct Product<W> {
    weights: *const W,
    /// Elements from what one input meets to what the next one meets.
    step: usize,
    vectors: usize,
    sums: *mut f32,
}

impl<W: Weight> Product<W> {
    /// Add the products of `N` inputs to the sums, one after the other, and ask for what later ones meet.
    ///
    /// # Safety
    /// These are numbers of inputs; pointers are valid for them.
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
