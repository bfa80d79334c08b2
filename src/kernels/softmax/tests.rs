use proptest::prelude::*;

use super::*;
use crate::kernels::testing::uniform;
use crate::kernels::testing::views::{
    close, filled, for_all, laid_out, layouts, run, run_in_place, same_bits, shapes, values,
};
use crate::tensor::Shape;

/// The definition along a dimension of a dense value.
fn softmax_f64(shape: Shape, dim: usize, logarithm: bool, x: &[f32]) -> Vec<f64> {
    let (size, step) = (shape[dim], shape.contiguous_strides()[dim]);
    let mut y = vec![0.0; x.len()];
    for first in (0..x.len()).filter(|i| i / step % size == 0) {
        let row = || (0..size).map(|j| f64::from(x[first + j * step]));
        let largest = row().fold(f64::NEG_INFINITY, |m, v| if m.is_nan() || m > v { m } else { v });
        let sum: f64 = row().map(|v| (v - largest).exp()).sum();
        for (j, v) in row().enumerate() {
            let shifted = v - largest;
            y[first + j * step] = if logarithm { shifted - sum.ln() } else { shifted.exp() / sum };
        }
    }
    y
}

// The difference from the largest value is rounded before its exponential, as in torch.
#[test]
fn softmax_over_any_dimension() {
    let problems = (shapes(1..=5, 1..=7), layouts(), layouts(), 0..5_usize, any::<bool>());
    for_all(problems, 200, |(shape, from, to, dim, logarithm)| {
        let dim = dim % shape.rank();
        let (input, output) = (laid_out(shape, from), laid_out(shape, to));
        let memory = filled(input, |i| 20.0 * uniform(1, i));
        let expected = softmax_f64(shape, dim, logarithm, &values(input, &memory));
        for isa in Isa::available() {
            let kernel = prepare(&SoftmaxDesc { input, output, dim, logarithm }, isa, 2);
            let found = run(&*kernel, &[&memory], output);
            for (&y, &expected) in found.iter().zip(&expected) {
                let bound = 4e-6 * expected.abs() + 5e-7;
                prop_assert!(close(y, expected, bound), "{}: {y}, {expected}", kernel.name());
            }
            let in_place = prepare(&SoftmaxDesc { input, output: input, dim, logarithm }, isa, 1);
            prop_assert!(same_bits(&found, &run_in_place(&*in_place, &memory, input)));
        }
        Ok(())
    });
}

#[test]
fn softmax_of_long_rows() {
    for len in [1, 15, 1000, 21843] {
        let view = View::contiguous(Shape::new(&[3, len]));
        let memory = filled(view, |i| 10.0 * uniform(1, i));
        for logarithm in [false, true] {
            let expected = softmax_f64(view.shape, 1, logarithm, &values(view, &memory));
            for isa in Isa::available() {
                let kernel = prepare(&SoftmaxDesc { input: view, output: view, dim: 1, logarithm }, isa, 2);
                let found = run(&*kernel, &[&memory], view);
                let same = found.iter().zip(&expected).all(|(&y, &e)| close(y, e, 4e-6 * e.abs()));
                assert!(same, "{} of {len}", kernel.name());
            }
        }
    }
}

#[test]
fn infinities_and_nan_as_torch() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [1.0, inf, 2.0, nan, 1.0, 2.0, -inf, -inf, -inf, -inf, 0.0, 1.0, 1000.0, 1000.0, -1000.0];
    let soft = [nan, nan, nan, nan, nan, nan, nan, nan, nan, 0.0, 0.268_941_4, 0.731_058_6, 0.5, 0.5, 0.0];
    let logarithms = [
        nan,
        nan,
        nan,
        nan,
        nan,
        nan,
        nan,
        nan,
        nan,
        -inf,
        -1.313_261_7,
        -0.313_261_7,
        -std::f32::consts::LN_2,
        -std::f32::consts::LN_2,
        -2_000.693_1,
    ];
    let view = View::contiguous(Shape::new(&[5, 3]));
    let memory = filled(view, |i| x[i]);
    for isa in Isa::available() {
        for (logarithm, expected) in [(false, soft), (true, logarithms)] {
            let kernel = prepare(&SoftmaxDesc { input: view, output: view, dim: 1, logarithm }, isa, 1);
            let found = run(&*kernel, &[&memory], view);
            let same =
                found.iter().zip(expected).all(|(&y, e)| close(y, f64::from(e), 2e-7 * f64::from(e).abs()));
            assert!(same, "{}: {found:?}, expected {expected:?}", kernel.name());
        }
    }
}
