//! Softmax and its logarithm over one dimension.

use super::math::{exp, maximum};
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, ScratchSize, even_range};
use crate::simd::{Isa, MOST_LANES, Simd, Vectorized};
use crate::tensor::View;

/// `exp(x) / sum of exp` along a dimension, or the logarithm of that. Infinities and NaN behave as
/// in torch: a row with a NaN, with a positive infinity, or with negative infinities only becomes
/// NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxDesc {
    /// What is read.
    pub input: View,
    /// What is written, of the same shape. It may share the input's memory if the strides agree.
    pub output: View,
    /// The dimension.
    pub dim: usize,
    /// `log_softmax` instead.
    pub logarithm: bool,
}

/// The kernel of a softmax.
///
/// # Panics
/// If the shapes differ or the dimension does not exist.
pub fn prepare(desc: &SoftmaxDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let SoftmaxDesc { input, output, dim, logarithm } = *desc;
    assert_eq!(input.shape, output.shape, "a softmax keeps the shape");
    let mut rows = output.shape;
    let size = std::mem::replace(&mut rows[dim], 1);
    let nest = Nest::new(rows, [output.strides(), input.strides()]).with_pieces(ROWS);
    let phases = nest.phases(size, threads);
    let steps = [output.strides[dim], input.strides[dim]];
    Box::new(Softmax { nest, size, steps, logarithm, phases, isa })
}

/// The largest number of rows in one piece of work.
const ROWS: usize = 16;

struct Softmax {
    /// Over the other dimensions.
    nest: Nest<2>,
    size: usize,
    /// Strides of the output and the input along the dimension.
    steps: [usize; 2],
    logarithm: bool,
    phases: Vec<usize>,
    isa: Isa,
}

const SOFTMAX: Names<1> = names!("softmax");
const LOG_SOFTMAX: Names<1> = names!("log_softmax");

impl Kernel for Softmax {
    fn name(&self) -> &'static str {
        let names = if self.logarithm { &LOG_SOFTMAX } else { &SOFTMAX };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.size)
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Rows {
            softmax: self,
            pieces: even_range(self.nest.pieces(), self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
            row: scratch.local(),
        });
    }
}

/// One chunk's rows; a row is processed in scratch memory, where it is dense.
struct Rows<'a> {
    softmax: &'a Softmax,
    pieces: std::ops::Range<usize>,
    input: *const f32,
    output: *mut f32,
    row: *mut f32,
}

impl Vectorized for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Softmax { nest, size, steps: [to_step, from_step], logarithm, .. } = self.softmax;
        let [to_next, from_next] = nest.inner().strides;
        for ([to, from], rows) in nest.walk(self.pieces) {
            for i in 0..rows {
                // SAFETY: the nest and the dimension stay inside the views; the scratch holds a
                // row.
                unsafe {
                    let from = self.input.add(from + i * from_next);
                    let to = self.output.add(to + i * to_next);
                    (0..*size).for_each(|j| *self.row.add(j) = *from.add(j * from_step));
                    normalise(s, self.row, *size, *logarithm);
                    (0..*size).for_each(|j| *to.add(j * to_step) = *self.row.add(j));
                }
            }
        }
    }
}

/// Softmax of a dense row, in place.
///
/// # Safety
/// `row` must be valid for reading and writing `len` floats.
#[inline(always)]
unsafe fn normalise<S: Simd>(s: S, row: *mut f32, len: usize, logarithm: bool) {
    let full = len / S::LANES * S::LANES;
    let rest = len - full;
    // SAFETY: here and below, full vectors end before the row does, and `rest` floats remain.
    unsafe {
        let mut largest = s.splat(f32::NEG_INFINITY);
        for i in (0..full).step_by(S::LANES) {
            largest = maximum(s, largest, s.load(row.add(i)));
        }
        for i in full..len {
            largest = maximum(s, largest, s.broadcast(row.add(i)));
        }
        let largest = s.splat(s.reduce_max(largest));
        let sum = exp_sum(s, row, len, largest, logarithm);
        if logarithm {
            let shift = s.splat(sum.ln());
            for i in (0..full).step_by(S::LANES) {
                s.store(row.add(i), s.sub(s.sub(s.load(row.add(i)), largest), shift));
            }
            let last = s.sub(s.sub(s.load_partial(row.add(full), rest), largest), shift);
            s.store_partial(row.add(full), last, rest);
        } else {
            let sum = s.splat(sum);
            for i in (0..full).step_by(S::LANES) {
                s.store(row.add(i), s.div(s.load(row.add(i)), sum));
            }
            s.store_partial(row.add(full), s.div(s.load_partial(row.add(full), rest), sum), rest);
        }
    }
}

/// The sum of e^(x - largest), whose terms replace the row unless `keep`. Partial sums of a few
/// hundred values are added, which keeps long rows accurate.
///
/// # Safety
/// As [`normalise`].
#[inline(always)]
unsafe fn exp_sum<S: Simd>(s: S, row: *mut f32, len: usize, largest: S::F32, keep: bool) -> f32 {
    /// Vectors in a partial sum.
    const PART: usize = 64;
    let full = len / S::LANES * S::LANES;
    let mut total = s.zero();
    let mut i = 0;
    while i < full {
        let end = full.min(i + PART * S::LANES);
        let mut part = s.zero();
        while i < end {
            // SAFETY: i + LANES <= full.
            unsafe {
                let e = exp(s, s.sub(s.load(row.add(i)), largest));
                if !keep {
                    s.store(row.add(i), e);
                }
                part = s.add(part, e);
            }
            i += S::LANES;
        }
        total = s.add(total, part);
    }
    let mut sum = s.reduce_add(total);
    let rest = len - full;
    let mut lanes = [0.0_f32; MOST_LANES];
    // SAFETY: `rest` floats are left; no vector has more lanes.
    unsafe {
        let e = exp(s, s.sub(s.load_partial(row.add(full), rest), largest));
        if !keep {
            s.store_partial(row.add(full), e, rest);
        }
        s.store(lanes.as_mut_ptr(), e);
    }
    for &e in &lanes[..rest] {
        sum += e;
    }
    sum
}

#[cfg(test)]
mod tests;
