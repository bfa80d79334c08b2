//! Sums, means, maxima and minima over any dimensions.
//!
//! Values are added in parts of at most 128, then the sums of at most 128 parts, and so on: in an
//! order that depends only on the shape and layout, and with a rounding error that hardly grows
//! with the number of values.

use super::math::{maximum, minimum};
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, even_range};
use crate::simd::{Isa, Simd, Vectorized};
pub use crate::tensor::ReduceOp;
use crate::tensor::{Shape, View};

/// A reduction. The dimensions in which the output's size is 1 are reduced (torch's `keepdim=True`;
/// dropping them afterwards needs no copy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReduceDesc {
    /// What is read.
    pub input: View,
    /// What is written: of the input's rank, each size either the input's or 1.
    pub output: View,
    /// The reduction.
    pub op: ReduceOp,
}

/// The kernel of a reduction.
///
/// # Panics
/// If the shapes do not match.
pub fn prepare(desc: &ReduceDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let ReduceDesc { input, output, op } = *desc;
    let rank = input.shape.rank();
    let belongs = |d: usize| [1, input.shape[d]].contains(&output.shape[d]);
    assert!(
        rank == output.shape.rank() && (0..rank).all(belongs),
        "{} cannot be reduced to {}",
        input.shape,
        output.shape
    );
    let mut reduced = Shape::new(&vec![1; rank]);
    (0..rank).filter(|&d| output.shape[d] == 1).for_each(|d| reduced[d] = input.shape[d]);
    let kept = Nest::new(output.shape, [output.strides(), input.strides()]).with_pieces(KEPT);
    let reduced_nest = Nest::new(reduced, [input.strides()]).with_pieces(PART);
    let phases = kept.phases(reduced.numel(), threads);
    let phases = if output.shape.numel() > 0 && phases.is_empty() { vec![1] } else { phases };
    let divisor = if op == ReduceOp::Mean { reduced.numel() as f32 } else { 1.0 };
    Box::new(Reduce { kept, reduced: reduced_nest, divisor, op, phases, isa })
}

/// Results in one piece of work.
const KEPT: usize = 64;

/// Values, or sums of values, that are added in one part.
const PART: usize = 128;

struct Reduce {
    /// Over the results: the output, and where its values begin in the input.
    kept: Nest<2>,
    /// Over one result's values.
    reduced: Nest<1>,
    divisor: f32,
    op: ReduceOp,
    phases: Vec<usize>,
    isa: Isa,
}

const SUM: Names<1> = names!("sum");
const MEAN: Names<1> = names!("mean");
const AMAX: Names<1> = names!("amax");
const AMIN: Names<1> = names!("amin");

impl Kernel for Reduce {
    fn name(&self) -> &'static str {
        let names = match self.op {
            ReduceOp::Sum => &SUM,
            ReduceOp::Mean => &MEAN,
            ReduceOp::Max => &AMAX,
            ReduceOp::Min => &AMIN,
        };
        names.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        self.isa.dispatch(Results {
            reduce: self,
            pieces: even_range(self.kept.pieces(), self.phases[phase], chunk),
            input: io.inputs[0],
            output: io.output,
        });
    }
}

/// One chunk's results.
struct Results<'a> {
    reduce: &'a Reduce,
    pieces: std::ops::Range<usize>,
    input: *const f32,
    output: *mut f32,
}

impl Vectorized for Results<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.reduce.op {
            ReduceOp::Sum | ReduceOp::Mean => self.results::<S, Add>(s),
            ReduceOp::Max => self.results::<S, Largest>(s),
            ReduceOp::Min => self.results::<S, Smallest>(s),
        }
    }
}

impl Results<'_> {
    #[inline(always)]
    fn results<S: Simd, J: Join>(self, s: S) {
        let Reduce { kept, reduced, divisor, .. } = self.reduce;
        let [to_step, from_step] = kept.inner().strides;
        for ([to, from], len) in kept.walk(self.pieces) {
            let mut i = 0;
            while i < len {
                // SAFETY: the nests stay inside the views.
                unsafe {
                    let (from, to) =
                        (self.input.add(from + i * from_step), self.output.add(to + i * to_step));
                    if [to_step, from_step] == [1, 1] && i + S::LANES <= len {
                        let sum = join_vectors::<S, J>(s, reduced, from);
                        s.store(to, s.div(sum, s.splat(*divisor)));
                        i += S::LANES;
                    } else {
                        *to = join_values::<S, J>(s, reduced, from) / divisor;
                        i += 1;
                    }
                }
            }
        }
    }
}

/// A binary reduction.
trait Join {
    /// The neutral element.
    const START: f32;
    fn vectors<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32;
    fn values(a: f32, b: f32) -> f32;
    /// Reduces the lanes of a vector.
    fn lanes<S: Simd>(s: S, a: S::F32) -> f32;
}

struct Add;
struct Largest;
struct Smallest;

impl Join for Add {
    const START: f32 = 0.0;
    #[inline(always)]
    fn vectors<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.add(a, b)
    }
    #[inline(always)]
    fn values(a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn lanes<S: Simd>(s: S, a: S::F32) -> f32 {
        s.reduce_add(a)
    }
}

impl Join for Largest {
    const START: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn vectors<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        maximum(s, a, b)
    }
    #[inline(always)]
    fn values(a: f32, b: f32) -> f32 {
        if a.is_nan() || a > b { a } else { b }
    }
    #[inline(always)]
    fn lanes<S: Simd>(s: S, a: S::F32) -> f32 {
        s.reduce_max(a)
    }
}

impl Join for Smallest {
    const START: f32 = f32::INFINITY;
    #[inline(always)]
    fn vectors<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        minimum(s, a, b)
    }
    #[inline(always)]
    fn values(a: f32, b: f32) -> f32 {
        if a.is_nan() || a < b { a } else { b }
    }
    #[inline(always)]
    fn lanes<S: Simd>(s: S, a: S::F32) -> f32 {
        -s.reduce_max(s.mul(a, s.splat(-1.0)))
    }
}

/// Reduces the values of `LANES` adjacent results.
///
/// # Safety
/// `from` must be valid for reading a vector at each offset of the nest.
#[inline(always)]
unsafe fn join_vectors<S: Simd, J: Join>(s: S, nest: &Nest<1>, from: *const f32) -> S::F32 {
    let step = nest.inner().strides[0];
    let start = s.splat(J::START);
    let (mut total, mut parts, mut count) = (start, start, 0);
    for ([at], len) in nest.walk(0..nest.pieces()) {
        let mut part = start;
        for i in 0..len {
            // SAFETY: the caller's contract.
            part = J::vectors(s, part, unsafe { s.load(from.add(at + i * step)) });
        }
        parts = J::vectors(s, parts, part);
        count += 1;
        if count % PART == 0 {
            total = J::vectors(s, total, parts);
            parts = start;
        }
    }
    J::vectors(s, total, parts)
}

/// Reduces the values of one result.
///
/// # Safety
/// `from` must be valid for reading at each offset of the nest.
#[inline(always)]
unsafe fn join_values<S: Simd, J: Join>(s: S, nest: &Nest<1>, from: *const f32) -> f32 {
    let step = nest.inner().strides[0];
    let (mut total, mut parts, mut count) = (J::START, J::START, 0);
    for ([at], len) in nest.walk(0..nest.pieces()) {
        let mut i = 0;
        let mut lanes = s.splat(J::START);
        while step == 1 && i + S::LANES <= len {
            // SAFETY: the caller's contract.
            lanes = J::vectors(s, lanes, unsafe { s.load(from.add(at + i)) });
            i += S::LANES;
        }
        let mut part = J::lanes(s, lanes);
        for i in i..len {
            // SAFETY: the caller's contract.
            part = J::values(part, unsafe { *from.add(at + i * step) });
        }
        parts = J::values(parts, part);
        count += 1;
        if count % PART == 0 {
            total = J::values(total, parts);
            parts = J::START;
        }
    }
    J::values(total, parts)
}

#[cfg(test)]
mod tests;
