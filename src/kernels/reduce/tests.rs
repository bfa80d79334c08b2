use proptest::prelude::*;

use super::*;
use crate::kernels::testing::views::{
    close, filled, for_all, laid_out, layouts, random, run, same_bits, shapes, values,
};
use crate::kernels::testing::{Guarded, uniform};

/// Sums of the values and of their magnitudes, per result in logical order.
fn sums_f64(input: View, output: Shape, memory: &[f32]) -> Vec<(f64, f64)> {
    let strides = output.contiguous_strides();
    let mut sums = vec![(0.0, 0.0); output.numel()];
    for (mut i, x) in values(input, memory).into_iter().enumerate() {
        let mut at = 0;
        for d in (0..output.rank()).rev() {
            at += i % input.shape[d] % output[d] * strides[d];
            i /= input.shape[d];
        }
        sums[at].0 += f64::from(x);
        sums[at].1 += f64::from(x.abs());
    }
    sums
}

/// The largest and the smallest value, per result in logical order.
fn extremes(input: View, output: Shape, memory: &[f32]) -> Vec<[f32; 2]> {
    let strides = output.contiguous_strides();
    let mut found = vec![[f32::NEG_INFINITY, f32::INFINITY]; output.numel()];
    for (mut i, x) in values(input, memory).into_iter().enumerate() {
        let mut at = 0;
        for d in (0..output.rank()).rev() {
            at += i % input.shape[d] % output[d] * strides[d];
            i /= input.shape[d];
        }
        let [most, least] = found[at];
        found[at] = if x.is_nan() || most.is_nan() { [f32::NAN; 2] } else { [most.max(x), least.min(x)] };
    }
    found
}

fn check_extremes(input: View, output: View, memory: &Guarded) -> proptest::test_runner::TestCaseResult {
    let expected = extremes(input, output.shape, memory);
    for isa in Isa::available() {
        for (k, op) in [ReduceOp::Max, ReduceOp::Min].into_iter().enumerate() {
            let expected: Vec<f32> = expected.iter().map(|both| both[k]).collect();
            for threads in [1, 3] {
                let kernel = prepare(&ReduceDesc { input, output, op }, isa, threads);
                let found = run(&*kernel, &[memory], output);
                prop_assert!(same_bits(&found, &expected), "{}: {found:?}, {expected:?}", kernel.name());
            }
        }
    }
    Ok(())
}

#[test]
fn largest_and_smallest_over_any_dimensions() {
    let problems = (shapes(0..=6, 1..=5), any::<[bool; 6]>(), layouts(), layouts(), 0..4_usize);
    for_all(problems, 300, |(shape, reduced, from, to, nan)| {
        let mut small = shape;
        (0..shape.rank()).filter(|&d| reduced[d]).for_each(|d| small[d] = 1);
        let input = laid_out(shape, from);
        // Also with a single sign, so that zero is neither the maximum nor the minimum.
        let memory = filled(input, |i| {
            let x = uniform(1, i);
            if nan == 3 && i % 11 == 5 { f32::NAN } else { [x, x + 2.0, x - 2.0, x][nan] }
        });
        check_extremes(input, laid_out(small, to), &memory)
    });
    for (dims, out) in
        [(&[3, 5000][..], &[3, 1][..]), (&[5000, 19], &[1, 19]), (&[2, 21, 70, 90], &[2, 21, 1, 1])]
    {
        let (input, output) = (View::physical(Shape::new(dims)), View::physical(Shape::new(out)));
        check_extremes(input, output, &random(input, 4)).unwrap();
    }
}

fn check(input: View, output: View) -> proptest::test_runner::TestCaseResult {
    let memory = random(input, 1);
    let sums = sums_f64(input, output.shape, &memory);
    let count = (input.shape.numel() / output.shape.numel().max(1)) as f64;
    for isa in Isa::available() {
        for (op, divisor) in [(ReduceOp::Sum, 1.0), (ReduceOp::Mean, count)] {
            let run =
                |threads| run(&*prepare(&ReduceDesc { input, output, op }, isa, threads), &[&memory], output);
            let found = run(1);
            for (&y, &(sum, magnitude)) in found.iter().zip(&sums) {
                let bound = 1e-6 * magnitude / divisor;
                prop_assert!(close(y, sum / divisor, bound), "{op:?} {}: {y}, {}", isa.name(), sum / divisor);
            }
            prop_assert!(same_bits(&found, &run(3)));
        }
    }
    Ok(())
}

#[test]
fn sums_and_means_over_any_dimensions() {
    let problems = (shapes(0..=6, 1..=5), any::<[bool; 6]>(), layouts(), layouts());
    for_all(problems, 300, |(shape, reduced, from, to)| {
        let mut small = shape;
        (0..shape.rank()).filter(|&d| reduced[d]).for_each(|d| small[d] = 1);
        check(laid_out(shape, from), laid_out(small, to))
    });
}

#[test]
fn means_of_many_values() {
    let over =
        |dims: &[usize], out: &[usize]| (View::physical(Shape::new(dims)), View::physical(Shape::new(out)));
    for (input, output) in [
        over(&[2, 21, 70, 90], &[2, 21, 1, 1]),
        over(&[1, 3, 300, 301], &[1, 1, 1, 1]),
        over(&[3, 5000], &[3, 1]),
        over(&[5000, 19], &[1, 19]),
    ] {
        check(input, output).unwrap();
    }
}

#[test]
fn a_large_mean_is_exact_to_a_few_units() {
    // A single chain of additions would be off by a thousandth here.
    let (input, output) =
        (View::physical(Shape::new(&[1, 1, 1500, 1500])), View::physical(Shape::new(&[1, 1, 1, 1])));
    let memory = filled(input, |_| 0.1);
    for isa in Isa::available() {
        let desc = ReduceDesc { input, output, op: ReduceOp::Mean };
        let found = run(&*prepare(&desc, isa, 2), &[&memory], output)[0];
        assert!(close(found, 0.1, 2e-6), "{}: {found}", isa.name());
    }
}

#[test]
fn a_mean_of_nothing_is_nan() {
    let (input, output) = (View::physical(Shape::new(&[2, 0])), View::physical(Shape::new(&[2, 1])));
    let desc = ReduceDesc { input, output, op: ReduceOp::Mean };
    let found = run(&*prepare(&desc, Isa::Portable, 2), &[&filled(input, |_| 0.0)], output);
    assert!(found.iter().all(|x| x.is_nan()));
}
