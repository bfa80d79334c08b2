//! Large windows that overlap: the rows of a window are reduced once for every input column, into a
//! row of scratch memory that all windows of an output row share; then each window reduces its
//! columns.
//!
//! A 13x13 window costs 26 values instead of 169. Nothing is ever subtracted from a running sum, so
//! a window's sum is as accurate as a separate one and depends only on its own pixels.

use std::ops::Range;

use super::desc::{Axis, PoolDesc, PoolOp, PoolWindow};
use super::window::Window;
use crate::error::Result;
use crate::kernels::names::{Names, names};
use crate::kernels::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range, phase_order};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::reserved;

/// Whether windows overlap enough for the pass through scratch memory. Only the windows decide, so
/// that a part of a picture is summed like the whole.
pub(super) fn pays(desc: &PoolDesc) -> bool {
    let PoolWindow::Sliding { kernel: [height, width], stride, .. } = desc.window else { return false };
    // Two passes cost more than the values they read: at 5x5 they gained nothing.
    3 * (height * stride[1] + width) <= height * width
}

/// Floats of the input rows of one output row that should stay in the inner caches for the next
/// one: 1 MiB. With fewer, the pieces of pixels would be too short to be read at full speed.
const CACHED: usize = 256 << 10;

/// A pool by columns, then by rows.
pub(super) struct Separable {
    desc: PoolDesc,
    axes: [Axis; 2],
    /// Input columns that any window reads.
    columns: Vec<usize>,
    /// Channels of an item, except for the last item.
    block: usize,
    /// Distance between the output rows of consecutive items, whose windows share input rows.
    step: usize,
    phases: Vec<usize>,
    isa: Isa,
}

impl Separable {
    pub(super) fn new(desc: &PoolDesc, isa: Isa, threads: usize) -> Result<Self> {
        let PoolWindow::Sliding { kernel, stride, dilation, .. } = desc.window else {
            unreachable!("adaptive windows do not pay");
        };
        let axes = [Axis::new(desc, 0)?, Axis::new(desc, 1)?];
        let what = "which of a pool's columns are seen";
        let mut seen = reserved(desc.input.width, what)?;
        seen.resize(desc.input.width, false);
        for span in &axes[1].spans {
            (0..span.taps).for_each(|tap| seen[span.first + tap * axes[1].dilation] = true);
        }
        let unit = 4 * isa.lanes();
        // With few output rows, the channels are shared between the threads.
        let rows = (desc.output.batch * desc.output.height).max(1);
        let share = desc.output.channels.div_ceil(chunks_for(usize::MAX, threads).div_ceil(rows));
        let block = (CACHED / (kernel[0] * desc.input.width).max(1)).min(share).max(unit) / unit * unit;
        let step = if stride[0] == 1 { dilation[0] } else { 1 };
        let mut columns = reserved(desc.input.width, what)?;
        columns.extend((0..desc.input.width).filter(|&x| seen[x]));
        let mut pool = Self { desc: *desc, axes, columns, block, step, phases: vec![], isa };
        if desc.output.pixels() * desc.output.channels > 0 {
            pool.phases = vec![chunks_for(pool.items(), threads)];
        }
        Ok(pool)
    }

    fn blocks(&self) -> usize {
        self.desc.output.channels.div_ceil(self.block)
    }

    /// Number of items: output rows, each for a block of channels.
    fn items(&self) -> usize {
        self.desc.output.batch * self.desc.output.height * self.blocks()
    }
}

const MAX: Names<1> = names!("max_pool_separable");
const AVERAGE: Names<1> = names!("avg_pool_separable");

impl Kernel for Separable {
    fn name(&self) -> &'static str {
        let names = if self.desc.op == PoolOp::Max { &MAX } else { &AVERAGE };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        let channels = self.block.min(self.desc.input.channels.next_multiple_of(self.isa.lanes()));
        ScratchSize::floats(0, self.desc.input.width * channels)
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Rows {
            pool: self,
            items: even_range(self.items(), self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
            sums: scratch.local(),
        });
    }
}

/// One chunk's output rows.
struct Rows<'a> {
    pool: &'a Separable,
    items: Range<usize>,
    input: *const f32,
    output: *mut f32,
    /// The contiguous channels of each input column.
    sums: *mut f32,
}

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.pool.desc.op {
            PoolOp::Max => self.rows::<S, true>(s, None),
            PoolOp::Average { divisor, .. } => self.rows::<S, false>(s, divisor.map(|d| d as f32)),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn rows<S: Simd, const IS_MAX: bool>(self, s: S, divisor: Option<f32>) {
        let Separable { desc: PoolDesc { input, output, .. }, axes: [rows, across], block, step, .. } =
            self.pool;
        for item in self.items.clone() {
            let (part, row) = (item / output.height, item % output.height);
            let (n, start) = (part / self.pool.blocks(), part % self.pool.blocks() * block);
            let oy = phase_order(row, output.height, *step);
            let channels = (output.channels - start).min(*block);
            let stride = channels.next_multiple_of(S::LANES);
            let down = rows.spans[oy];
            // SAFETY: the spans are clipped to the picture, the channels are the map's, and the
            // scratch has room for a block's channels of every input column.
            unsafe {
                for &x in &self.pool.columns {
                    let column = Window {
                        taps: [down.taps, 1],
                        steps: [rows.dilation * input.row_stride, 0],
                        divisor: 1.0,
                    };
                    let from = self.input.add(input.at(n, down.first, x) + start);
                    column.pool_channels::<S, IS_MAX>(s, from, self.sums.add(x * stride), channels);
                }
                for (ox, span) in across.spans.iter().enumerate() {
                    let window = Window {
                        taps: [usize::from(down.taps > 0), span.taps],
                        steps: [0, across.dilation * stride],
                        divisor: divisor.unwrap_or(down.divisor * span.divisor),
                    };
                    let to = self.output.add(output.at(n, oy, ox) + start);
                    window.pool_channels::<S, IS_MAX>(s, self.sums.add(span.first * stride), to, channels);
                }
            }
        }
    }
}
