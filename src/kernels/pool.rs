//! Max and average pooling, sliding and adaptive, over channels-last maps.
//!
//! Every kind is one kernel over two tables: which input rows an output row sees, and which columns
//! an output column. The windows are clipped to the picture when the kernel is prepared, so edges
//! cost nothing while running. A window is summed row by row and then over the rows, which is what
//! keeps the mean of a large map exact; large windows that overlap go by way of [`separable`].

mod separable;

use super::conv::Padding;
use super::math::maximum;
use super::names::{Names, names};
use super::{Io, Kernel, Scratch, chunks_for, even_range};
use crate::error::Result;
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{FeatureMap, reserved};

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolOp {
    /// The largest value; NaN if there is one.
    Max,
    /// The sum over the number of values.
    Average {
        /// Whether padding counts as values of zero (torch's `count_include_pad`).
        include_padding: bool,
        /// What to divide by instead (torch's `divisor_override`).
        divisor: Option<i64>,
    },
}

/// Which pixels an output pixel sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolWindow {
    /// A window of fixed size that moves by a stride. Padding is never a maximum.
    Sliding {
        /// Height and width.
        kernel: [usize; 2],
        /// Vertical and horizontal stride.
        stride: [usize; 2],
        /// Vertical and horizontal dilation; 1 is none.
        dilation: [usize; 2],
        /// Around the picture. The last windows may reach beyond it, if the output's size was
        /// rounded up.
        padding: Padding,
    },
    /// The input cut evenly into as many windows as there are output pixels, overlapping where that
    /// does not come out even (torch's `AdaptiveAvgPool2d`, `AdaptiveMaxPool2d`).
    Adaptive,
}

/// A pooling of one map into another with the same pictures and channels, whose channels are dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolDesc {
    /// What is read.
    pub input: FeatureMap,
    /// What is written.
    pub output: FeatureMap,
    /// What a window becomes.
    pub op: PoolOp,
    /// Which pixels it sees.
    pub window: PoolWindow,
}

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

/// Channels that are worth another thread: two cache lines a pixel.
const CHANNEL_BLOCK: usize = 32;

/// The input rows (or columns) of one output row, inside the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    first: usize,
    taps: usize,
    /// This axis's factor of what a sum is divided by.
    divisor: f32,
}

/// One axis of the windows.
struct Axis {
    spans: Vec<Span>,
    dilation: usize,
}

impl Axis {
    /// The vertical axis for `i` = 0, the horizontal one for 1.
    fn new(desc: &PoolDesc, i: usize) -> Result<Self> {
        let size = [desc.input.height, desc.input.width][i];
        let out = [desc.output.height, desc.output.width][i];
        let mut spans = reserved(out, "where a pool's windows lie")?;
        let PoolWindow::Sliding { kernel, stride, dilation, padding } = desc.window else {
            spans.extend((0..out).map(|o| {
                let (first, end) = (o * size / out, ((o + 1) * size).div_ceil(out));
                Span { first, taps: end - first, divisor: (end - first) as f32 }
            }));
            return Ok(Self { spans, dilation: 1 });
        };
        let (kernel, stride, dilation) = (kernel[i], stride[i], dilation[i]);
        let [before, after] = [[padding.top, padding.bottom], [padding.left, padding.right]][i];
        let include_padding = matches!(desc.op, PoolOp::Average { include_padding: true, .. });
        spans.extend((0..out).map(|o| {
            let start = o * stride;
            let skipped = before.saturating_sub(start).div_ceil(dilation).min(kernel);
            let first = start + skipped * dilation;
            let inside = (before + size).saturating_sub(first).div_ceil(dilation);
            let taps = inside.min(kernel - skipped);
            // A window that was rounded up to counts its padding, not what lies beyond.
            let padded = kernel.min((before + size + after).saturating_sub(start).div_ceil(dilation));
            let divisor = if include_padding { padded } else { taps };
            // Without taps the place does not matter, but it must be one.
            let first = if taps == 0 { 0 } else { first - before };
            Span { first, taps, divisor: divisor as f32 }
        }));
        Ok(Self { spans, dilation })
    }
}

struct Pool {
    desc: PoolDesc,
    axes: [Axis; 2],
    /// Parts that the channels are cut into.
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

/// One chunk's output rows, each of a part of the channels.
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

/// One output pixel's window: taps and distances between them, down and across.
#[derive(Clone, Copy)]
struct Window {
    taps: [usize; 2],
    steps: [usize; 2],
    divisor: f32,
}

impl Window {
    #[inline(always)]
    fn start<S: Simd, const IS_MAX: bool>(s: S) -> S::F32 {
        s.splat(if IS_MAX { f32::NEG_INFINITY } else { 0.0 })
    }

    #[inline(always)]
    fn join<S: Simd, const IS_MAX: bool>(s: S, a: S::F32, x: S::F32) -> S::F32 {
        if IS_MAX { maximum(s, a, x) } else { s.add(a, x) }
    }

    /// What a window's sum or maximum becomes. A window without any value is 0 (an average) or
    /// negative infinity, as in torch.
    #[inline(always)]
    fn finish<S: Simd, const IS_MAX: bool>(self, s: S, x: S::F32) -> S::F32 {
        if IS_MAX || self.taps[0] * self.taps[1] == 0 { x } else { s.div(x, s.splat(self.divisor)) }
    }

    /// So many channels.
    ///
    /// # Safety
    /// `from` must be valid for reading them at each tap, `to` for writing them.
    #[inline(always)]
    unsafe fn pool_channels<S: Simd, const IS_MAX: bool>(
        self,
        s: S,
        from: *const f32,
        to: *mut f32,
        channels: usize,
    ) {
        let mut c = 0;
        // SAFETY: the caller's contract.
        unsafe {
            while c + 4 * S::LANES <= channels {
                self.pool::<S, IS_MAX, 4>(s, from.add(c), to.add(c));
                c += 4 * S::LANES;
            }
            while c + S::LANES <= channels {
                self.pool::<S, IS_MAX, 1>(s, from.add(c), to.add(c));
                c += S::LANES;
            }
            if c < channels {
                self.pool_partial::<S, IS_MAX>(s, from.add(c), to.add(c), channels - c);
            }
        }
    }

    /// `V` vectors of channels.
    ///
    /// # Safety
    /// `from` must be valid for reading them at each tap, `to` for writing them.
    #[inline(always)]
    unsafe fn pool<S: Simd, const IS_MAX: bool, const V: usize>(self, s: S, from: *const f32, to: *mut f32) {
        let mut total = [Self::start::<S, IS_MAX>(s); V];
        for y in 0..self.taps[0] {
            let mut row = [Self::start::<S, IS_MAX>(s); V];
            for x in 0..self.taps[1] {
                for (v, row) in row.iter_mut().enumerate() {
                    let at = y * self.steps[0] + x * self.steps[1] + v * S::LANES;
                    // SAFETY: the caller's contract.
                    *row = Self::join::<S, IS_MAX>(s, *row, unsafe { s.load(from.add(at)) });
                }
            }
            for (total, &row) in total.iter_mut().zip(&row) {
                *total = Self::join::<S, IS_MAX>(s, *total, row);
            }
        }
        for (v, &total) in total.iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { s.store(to.add(v * S::LANES), self.finish::<S, IS_MAX>(s, total)) };
        }
    }

    /// The last `n` channels.
    ///
    /// # Safety
    /// `from` must be valid for reading `n` floats at each tap, `to` for writing them.
    #[inline(always)]
    unsafe fn pool_partial<S: Simd, const IS_MAX: bool>(
        self,
        s: S,
        from: *const f32,
        to: *mut f32,
        n: usize,
    ) {
        let mut total = Self::start::<S, IS_MAX>(s);
        for y in 0..self.taps[0] {
            let mut row = Self::start::<S, IS_MAX>(s);
            for x in 0..self.taps[1] {
                let at = y * self.steps[0] + x * self.steps[1];
                // SAFETY: the caller's contract.
                row = Self::join::<S, IS_MAX>(s, row, unsafe { s.load_partial(from.add(at), n) });
            }
            total = Self::join::<S, IS_MAX>(s, total, row);
        }
        // SAFETY: the caller's contract.
        unsafe { s.store_partial(to, self.finish::<S, IS_MAX>(s, total), n) };
    }
}

#[cfg(test)]
mod tests;
