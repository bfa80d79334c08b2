//! Resizing of feature maps: torch's `interpolate`.
//!
//! All kinds are one kernel over two tables: the input rows of each output row with their weights,
//! and the input columns of each output column ([`axis`]). First the rows of an output row are
//! summed for every input column, into a row of scratch memory, then each output pixel sums its
//! columns. A value's sum depends only on its own pixels.

mod axis;
mod desc;

use std::ops::Range;

use super::names::{Names, names};
use super::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::error::Result;
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::reserved;
use axis::{Axis, Tap};

pub use desc::{ResizeDesc, ResizeMode};

/// The kernel of a resizing.
///
/// # Panics
/// If pictures or channels differ between input and output, the channels are not dense, or the
/// input is empty and the output is not.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare(desc: &ResizeDesc, isa: Isa, threads: usize) -> Result<Box<dyn Kernel>> {
    let (x, y) = (&desc.input, &desc.output);
    assert_eq!([x.batch, x.channels], [y.batch, y.channels], "resizing keeps pictures and channels");
    assert!(x.channels_last() && y.channels_last(), "resizing needs dense channels");
    let is_empty = y.pixels() * y.channels == 0;
    assert!(is_empty || x.pixels() > 0, "nothing to resize to {}x{}", y.height, y.width);
    let axes = [Axis::new(desc, 0)?, Axis::new(desc, 1)?];
    let rows = (y.batch * y.height).max(1);
    if matches!(desc.mode, ResizeMode::Nearest | ResizeMode::NearestExact) {
        let phases = if is_empty { vec![] } else { vec![chunks_for(rows, threads)] };
        return Ok(Box::new(Nearest { desc: *desc, axes, phases }));
    }
    let what = "which columns are resized";
    let mut seen = reserved(x.width, what)?;
    seen.resize(x.width, false);
    axes[1].taps.iter().for_each(|tap| seen[tap.index] = true);
    let mut columns = reserved(x.width, what)?;
    columns.extend((0..x.width).filter(|&x| seen[x]));
    let unit = 4 * isa.lanes();
    // With few output rows, the channels are shared between the threads.
    let share = y.channels.div_ceil(chunks_for(usize::MAX, threads).div_ceil(rows));
    let block = (CACHED / x.width.max(1)).min(share).max(unit) / unit * unit;
    let mut resize = Resize { desc: *desc, axes, columns, block, phases: vec![], isa };
    if !is_empty {
        resize.phases = vec![chunks_for(resize.items(), threads)];
    }
    Ok(Box::new(resize))
}

/// Floats of a row of scratch that should stay in the second-level cache: 256 KiB.
const CACHED: usize = 64 << 10;

/// Nearest neighbour: copies pixels.
struct Nearest {
    desc: ResizeDesc,
    axes: [Axis; 2],
    phases: Vec<usize>,
}

impl Kernel for Nearest {
    /// It copies bits, so it is the same on every instruction set.
    fn name(&self) -> &'static str {
        names!(any: "resize_nearest")
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let (input, output) = (&self.desc.input, &self.desc.output);
        let [down, across] = &self.axes;
        for row in even_range(output.batch * output.height, self.phases[phase], chunk) {
            let (n, oy) = (row / output.height, row % output.height);
            for (ox, tap) in across.taps.iter().enumerate() {
                // SAFETY: the tables' pixels are inside the maps, whose channels are dense.
                unsafe {
                    let from = io.inputs[0].add(input.at(n, down.taps[oy].index, tap.index));
                    let to = io.output.add(output.at(n, oy, ox));
                    std::ptr::copy_nonoverlapping(from, to, input.channels);
                }
            }
        }
    }
}

/// Sums pixels by rows, then by columns.
struct Resize {
    desc: ResizeDesc,
    axes: [Axis; 2],
    /// Input columns that any output pixel reads.
    columns: Vec<usize>,
    /// Channels of an item, except for the last item.
    block: usize,
    phases: Vec<usize>,
    isa: Isa,
}

impl Resize {
    fn blocks(&self) -> usize {
        self.desc.output.channels.div_ceil(self.block)
    }

    /// Number of items: output rows, each for a block of channels.
    fn items(&self) -> usize {
        self.desc.output.batch * self.desc.output.height * self.blocks()
    }

    /// Whether all columns of a row and their channels are contiguous.
    fn has_dense_rows(&self) -> bool {
        let input = &self.desc.input;
        self.blocks() == 1 && input.pixel_stride == input.channels && self.columns.len() == input.width
    }
}

const LINEAR: Names<1> = names!("resize_linear");
const CUBIC: Names<1> = names!("resize_cubic");

impl Kernel for Resize {
    fn name(&self) -> &'static str {
        let names = if matches!(self.desc.mode, ResizeMode::Cubic { .. }) { &CUBIC } else { &LINEAR };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.desc.input.width * self.block.min(self.desc.input.channels))
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Rows {
            resize: self,
            items: even_range(self.items(), self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
            sums: scratch.local(),
        });
    }
}

/// One chunk's output rows.
struct Rows<'a> {
    resize: &'a Resize,
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
        let Resize { desc: ResizeDesc { input, output, .. }, axes: [down, across], columns, block, .. } =
            self.resize;
        let blocks = self.resize.blocks();
        let dense = self.resize.has_dense_rows();
        for item in self.items {
            let (row, start) = (item / blocks, item % blocks * block);
            let (n, oy) = (row / output.height, row % output.height);
            let channels = (output.channels - start).min(*block);
            let rows = down.of(oy);
            // SAFETY: the tables' pixels are inside the maps, the channels are the maps', and the
            // scratch has room for a block's channels of every input column.
            unsafe {
                let from = self.input.add(input.at(n, 0, 0) + start);
                if dense {
                    join(s, rows, from, input.row_stride, self.sums, input.width * channels);
                } else {
                    for &x in columns {
                        let from = from.add(x * input.pixel_stride);
                        join(s, rows, from, input.row_stride, self.sums.add(x * channels), channels);
                    }
                }
                for ox in 0..output.width {
                    let to = self.output.add(output.at(n, oy, ox) + start);
                    join(s, across.of(ox), self.sums, channels, to, channels);
                }
            }
        }
    }
}

/// The weighted sum of rows of `len` floats.
///
/// # Safety
/// `from` must be valid for reading them at each tap's index times `step`, `to` for writing them.
#[inline(always)]
unsafe fn join<S: Simd>(s: S, taps: &[Tap], from: *const f32, step: usize, to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: the caller's contract; this many floats remain from i.
    unsafe {
        while i + 4 * S::LANES <= len {
            let mut sum = [s.zero(); 4];
            for tap in taps {
                let (from, weight) = (from.add(tap.index * step + i), s.splat(tap.weight));
                for (v, sum) in sum.iter_mut().enumerate() {
                    *sum = s.fma(s.load(from.add(v * S::LANES)), weight, *sum);
                }
            }
            for (v, sum) in sum.into_iter().enumerate() {
                s.store(to.add(i + v * S::LANES), sum);
            }
            i += 4 * S::LANES;
        }
        while i < len {
            let n = S::LANES.min(len - i);
            let mut sum = s.zero();
            for tap in taps {
                let from = from.add(tap.index * step + i);
                let x = if n == S::LANES { s.load(from) } else { s.load_partial(from, n) };
                sum = s.fma(x, s.splat(tap.weight), sum);
            }
            if n == S::LANES {
                s.store(to.add(i), sum);
            } else {
                s.store_partial(to.add(i), sum, n);
            }
            i += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests;
