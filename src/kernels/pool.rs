//! Max and average pooling, sliding and adaptive, over channels-last maps.
//!
//! All kinds are one kernel over two tables: the input rows of each output row, and the input
//! columns of each output column. Windows are clipped to the picture when the kernel is prepared,
//! so edges cost nothing at run time. A window is summed row by row and then over the rows, which
//! keeps the mean of a large map accurate; large windows that overlap use [`separable`].

mod desc;
mod separable;
mod window;

use self::desc::Axis;
use self::window::Window;
use super::names::{Names, names};
use super::{Io, Kernel, Scratch, chunks_for, even_range};
use crate::error::Result;
use crate::simd::{Isa, Simd, Vectorized};

pub use desc::{PoolDesc, PoolOp, PoolWindow};

/// The kernel of a pooling.
///
/// # Panics
/// If pictures or channels differ between input and output, or the channels are not dense.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare(desc: &PoolDesc, isa: Isa, threads: usize) -> Result<Box<dyn Kernel>> {
    let (x, y) = (&desc.input, &desc.output);
    assert_eq!([x.batch, x.channels], [y.batch, y.channels], "a pool keeps pictures and channels");
    assert!(x.channels_last() && y.channels_last(), "a pool needs dense channels");
    if separable::pays(desc) {
        return Ok(Box::new(separable::Separable::new(desc, isa, threads)?));
    }
    let rows = y.batch * y.height;
    let pixels = rows * y.width;
    let blocks = if rows == 0 || threads == 1 {
        1
    } else {
        // A map of few rows (global pooling has one) is shared between threads by channels.
        chunks_for(usize::MAX, threads).div_ceil(rows).min(y.channels.div_ceil(CHANNEL_BLOCK)).max(1)
    };
    let phases = if pixels * y.channels == 0 { vec![] } else { vec![chunks_for(rows * blocks, threads)] };
    let axes = [Axis::new(desc, 0)?, Axis::new(desc, 1)?];
    Ok(Box::new(Pool { desc: *desc, axes, blocks, phases, isa }))
}

/// Channels that are worth another thread: two cache lines per pixel.
const CHANNEL_BLOCK: usize = 32;

struct Pool {
    desc: PoolDesc,
    axes: [Axis; 2],
    /// Parts into which the channels are split.
    blocks: usize,
    phases: Vec<usize>,
    isa: Isa,
}

const MAX: Names<1> = names!("max_pool");
const AVERAGE: Names<1> = names!("avg_pool");

impl Kernel for Pool {
    fn name(&self) -> &'static str {
        let names = if self.desc.op == PoolOp::Max { &MAX } else { &AVERAGE };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let items = self.desc.output.batch * self.desc.output.height * self.blocks;
        self.isa.dispatch(Rows {
            pool: self,
            items: even_range(items, self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
        });
    }
}

/// One chunk's output rows, each for a part of the channels.
struct Rows<'a> {
    pool: &'a Pool,
    items: std::ops::Range<usize>,
    input: *const f32,
    output: *mut f32,
}

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.pool.desc.op {
            PoolOp::Max => self.windows::<S, true>(s, None),
            PoolOp::Average { divisor, .. } => self.windows::<S, false>(s, divisor.map(|d| d as f32)),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn windows<S: Simd, const IS_MAX: bool>(self, s: S, divisor: Option<f32>) {
        let Pool { desc: PoolDesc { input, output, .. }, axes: [rows, columns], blocks, .. } = self.pool;
        for item in self.items {
            let (row, block) = (item / blocks, item % blocks);
            let (n, oy) = (row / output.height, row % output.height);
            let units = even_range(input.channels.div_ceil(S::LANES), *blocks, block);
            let channels = units.start * S::LANES..input.channels.min(units.end * S::LANES);
            for (ox, &across) in columns.spans.iter().enumerate() {
                let down = rows.spans[oy];
                let window = Window {
                    taps: [down.taps, across.taps],
                    steps: [rows.dilation * input.row_stride, columns.dilation * input.pixel_stride],
                    divisor: divisor.unwrap_or(down.divisor * across.divisor),
                };
                let from = input.at(n, down.first, across.first);
                // SAFETY: the spans are clipped to the picture and `channels` to its channels.
                unsafe {
                    let from = self.input.add(from + channels.start);
                    let to = self.output.add(output.at(n, oy, ox) + channels.start);
                    window.pool_channels::<S, IS_MAX>(s, from, to, channels.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
