//! Generated views, and runs of kernels on them with guarded memory.

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};

use super::{Guarded, run_reversed, uniform};
use crate::kernels::{Io, Kernel};
use crate::tensor::{MAX_RANK, Shape, View};

/// Offsets of a view's elements in logical order.
pub(crate) fn offsets(view: View) -> impl Iterator<Item = usize> {
    (0..view.shape.numel()).map(move |mut i| {
        let mut offset = 0;
        for d in (0..view.shape.rank()).rev() {
            offset += i % view.shape[d] * view.strides[d];
            i /= view.shape[d];
        }
        offset
    })
}

/// A view's memory: `value(i)` for the `i`-th element in logical order, NaN in the gaps.
pub(crate) fn filled(view: View, value: impl Fn(usize) -> f32) -> Guarded {
    let mut memory = Guarded::poisoned(view.end());
    offsets(view).enumerate().for_each(|(i, offset)| memory[offset] = value(i));
    memory
}

/// As [`filled`], with random numbers of a seed.
pub(crate) fn random(view: View, seed: u64) -> Guarded {
    filled(view, |i| uniform(seed, i))
}

/// A view's elements in logical order.
pub(crate) fn values(view: View, memory: &[f32]) -> Vec<f32> {
    offsets(view).map(|offset| memory[offset]).collect()
}

/// A kernel's output, in logical order.
pub(crate) fn run(kernel: &dyn Kernel, inputs: &[&Guarded], output: View) -> Vec<f32> {
    run_into(kernel, inputs, output, Guarded::poisoned(output.end()))
}

/// A kernel's output written over `memory`, in logical order. Only the view may be changed.
pub(crate) fn run_into(
    kernel: &dyn Kernel,
    inputs: &[&Guarded],
    output: View,
    mut memory: Guarded,
) -> Vec<f32> {
    let inputs: Vec<*const f32> = inputs.iter().map(|input| input.as_ptr()).collect();
    // SAFETY: each input and the output has its view's memory, and nothing else uses it.
    unsafe { run_reversed(kernel, &Io { inputs: &inputs, output: memory.as_mut_ptr() }) };
    let found = values(output, &memory);
    offsets(output).for_each(|offset| memory[offset] = f32::NAN);
    assert!(memory.iter().all(|x| x.is_nan()), "{}: writes between its elements", kernel.name());
    found
}

/// A kernel's output written over its only input.
pub(crate) fn run_in_place(kernel: &dyn Kernel, input: &Guarded, view: View) -> Vec<f32> {
    let mut memory = Guarded::poisoned(input.len());
    memory.copy_from_slice(input);
    let at = memory.as_mut_ptr();
    // SAFETY: the memory matches the view, and the kernel allows input and output to be the same.
    unsafe { run_reversed(kernel, &Io { inputs: &[at.cast_const()], output: at }) };
    values(view, &memory)
}

/// Shapes of these ranks and sizes.
pub(crate) fn shapes(
    rank: std::ops::RangeInclusive<usize>,
    size: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Shape> {
    prop::collection::vec(size, rank).prop_map(|dims| Shape::new(&dims))
}

/// The layout of a view: the nesting order of the dimensions, and the gap after each.
pub(crate) type Layout = ([u8; MAX_RANK], [usize; MAX_RANK]);

/// Layouts of any kind: dense or with gaps, in any order of the dimensions.
pub(crate) fn layouts() -> impl Strategy<Value = Layout> {
    let gaps = prop_oneof![2 => Just([0; MAX_RANK]), 1 => prop::array::uniform6(0..4_usize)];
    let order =
        prop_oneof![1 => Just([5, 4, 3, 2, 1, 0]), 1 => Just([5, 0, 4, 3, 2, 1]), 2 => any::<[u8; 6]>()];
    (order, gaps)
}

/// The view of this shape with this layout.
pub(crate) fn laid_out(shape: Shape, (order, gaps): Layout) -> View {
    let mut dims: Vec<usize> = (0..shape.rank()).collect();
    dims.sort_by_key(|&d| order[d]);
    let mut strides = [0; MAX_RANK];
    let mut step = 1;
    for d in dims {
        step += if gaps[d] == 3 { step } else { gaps[d] };
        strides[d] = step;
        step *= shape[d].max(1);
    }
    View { shape, strides, offset: 0 }
}

/// Runs `test` on `cases` values of a strategy, the same ones each time.
pub(crate) fn for_all<T: Strategy>(strategy: T, cases: u32, test: impl Fn(T::Value) -> TestCaseResult) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x00C0_FFEE),
        ..ProptestConfig::default()
    };
    if let Err(error) = TestRunner::new(config).run(&strategy, test) {
        panic!("{error}");
    }
}

/// Whether two values agree: both NaN, equal (infinities), or within `tolerance` of each other.
pub(crate) fn close(found: f32, expected: f64, tolerance: f64) -> bool {
    let found = f64::from(found);
    found.is_nan() && expected.is_nan() || found == expected || (found - expected).abs() <= tolerance
}

/// Whether two slices have the same bits; all NaNs are equal.
pub(crate) fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
    a.len() == b.len() && a.iter().zip(b).all(same)
}
