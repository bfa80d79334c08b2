//! The transforms against their matrices, the kernels against the f64 oracle.

use super::kernel::{Organisation, Winograd};
use super::transforms::{Algorithm, F2, F4, input_2d, output_columns, weights_2d};
use super::*;
use crate::kernels::conv::Padding;
use crate::kernels::testing::{ConvProblem, ConvRanges, filled, for_problems, uniform};
use crate::simd::Vectorized;
use crate::tensor::{Activation, FeatureMap};

/// `Bᵀ`, `G` and `Aᵀ` as in the paper.
struct Matrices<const A: usize, const M: usize> {
    input: [[f64; A]; A],
    weights: [[f64; 3]; A],
    output: [[f64; A]; M],
}

const F4_MATRICES: Matrices<6, 4> = Matrices {
    input: [
        [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
        [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
        [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
    ],
    weights: [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ],
    output: [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
    ],
};

const F2_MATRICES: Matrices<4, 2> = Matrices {
    input: [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]],
    weights: [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
    output: [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]],
};

/// `t d tᵀ`
fn sandwich<const R: usize, const C: usize>(t: &[[f64; C]; R], d: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let at = |y: usize, x: usize| -> f64 {
        (0..C).flat_map(|i| (0..C).map(move |j| (i, j))).map(|(i, j)| t[y][i] * d(i, j) * t[x][j]).sum()
    };
    (0..R * R).map(|i| at(i / R, i % R)).collect()
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < 2e-5, "{what} {i}: {f}, expected {e}");
    }
}

/// The transforms of `count` different vectors of channels against the matrices.
struct TransformsAgree<T, const A: usize, const M: usize>(T, Matrices<A, M>);

impl<T: Algorithm<A, M>, const A: usize, const M: usize> Vectorized for TransformsAgree<T, A, M> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = S::LANES;
        let data: Vec<f32> = (0..A * A * lanes).map(|i| uniform(5, i)).collect();
        let (mut input, mut output) = (vec![0.0; A * A * lanes], vec![0.0; M * M * lanes]);
        // SAFETY: A * A vectors of floats in `data` and `input`, M * M in `output`.
        unsafe {
            let at = |i: usize| data[i * lanes..][..lanes].as_ptr();
            let pixels = std::array::from_fn(|y| std::array::from_fn(|x| at(y * A + x)));
            input_2d::<S, T, A, M>(s, &pixels, (0, lanes), (input.as_mut_ptr(), lanes));
            for (y, row) in output_columns::<S, T, A, M>(s, (at(0), lanes)).into_iter().enumerate() {
                for (x, v) in T::output(s, row).into_iter().enumerate() {
                    s.store(output[(y * M + x) * lanes..][..lanes].as_mut_ptr(), v);
                }
            }
        }
        for lane in 0..lanes {
            let of = |values: &[f32]| -> Vec<f64> {
                values.iter().skip(lane).step_by(lanes).map(|&x| f64::from(x)).collect()
            };
            let d = of(&data);
            let at = |y: usize, x: usize| d[y * A + x];
            let name = format!("F{M} {}, lane {lane}", S::ISA.name());
            assert_close(&of(&input), &sandwich(&self.1.input, at), &format!("{name}, input"));
            assert_close(&of(&output), &sandwich(&self.1.output, at), &format!("{name}, output"));
        }
    }
}

#[test]
fn transforms_are_the_papers_matrices() {
    for isa in Isa::available() {
        isa.dispatch(TransformsAgree(F4, F4_MATRICES));
        isa.dispatch(TransformsAgree(F2, F2_MATRICES));
    }
}

fn check_weights<T: Algorithm<A, M>, const A: usize, const M: usize>(matrices: &Matrices<A, M>) {
    let filters: [[f64; 5]; 9] =
        std::array::from_fn(|tap| std::array::from_fn(|n| f64::from(uniform(7, tap * 5 + n))));
    let mut found = [[[0.0; 5]; A]; A];
    weights_2d::<T, A, M, 5>(&filters, &mut found);
    for n in 0..5 {
        let found: Vec<f64> = found.as_flattened().iter().map(|v| v[n]).collect();
        let expected = sandwich(&matrices.weights, |y, x| filters[y * 3 + x][n]);
        for (f, e) in found.iter().zip(&expected) {
            assert!((f - e).abs() < 1e-15, "F{M}, weights of filter {n}: {f}, expected {e}");
        }
    }
}

#[test]
fn transformed_weights_are_the_papers_matrices() {
    check_weights::<F4, 6, 4>(&F4_MATRICES);
    check_weights::<F2, 4, 2>(&F2_MATRICES);
}

/// The matrices themselves: together they are a three-tap filter, exactly.
#[test]
fn matrices_compute_a_filter() {
    fn check<const A: usize, const M: usize>(m: &Matrices<A, M>) {
        let (d, g): (Vec<f64>, Vec<f64>) =
            ((0..A).map(|i| f64::from(uniform(1, i))).collect(), vec![0.3, -0.7, 0.9]);
        let dot = |row: &[f64], v: &[f64]| -> f64 { row.iter().zip(v).map(|(a, b)| a * b).sum() };
        let products: Vec<f64> = (0..A).map(|i| dot(&m.input[i], &d) * dot(&m.weights[i], &g)).collect();
        for y in 0..M {
            let (found, expected) = (dot(&m.output[y], &products), dot(&d[y..y + 3], &g));
            assert!((found - expected).abs() < 1e-14, "F{M}, output {y}: {found}, expected {expected}");
        }
    }
    check(&F4_MATRICES);
    check(&F2_MATRICES);
}

/// All candidates, wherever the algorithm applies, not only where it pays.
fn runnable() -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES.iter().filter(|candidate| candidate.isa.is_available())
}

/// Relative to the largest sum of magnitudes.
fn tolerance(candidate: &Candidate) -> f64 {
    if candidate.name.contains("_f4_") { 1e-5 } else { 1e-6 }
}

fn ranges() -> ConvRanges {
    ConvRanges { kernel: 3..=3, stride: 1..=1, groups: 1..=1, planar: false, ..Default::default() }
}

#[test]
fn every_kernel_matches_the_oracle() {
    let ranges = ConvRanges { size: 1..=15, inputs: 1..=40, outputs: 1..=70, ..ranges() };
    for_problems(ranges, 200, |problem| {
        for candidate in runnable() {
            problem.check(candidate, 1, tolerance(candidate))?;
        }
        Ok(())
    });
}

/// A plain convolution of `batch` maps of `side` x `side` pixels.
fn plain(batch: usize, inputs: usize, outputs: usize, side: usize) -> ConvDesc {
    ConvDesc {
        input: FeatureMap::nhwc(batch, side, side, inputs),
        output: FeatureMap::nhwc(batch, side, side, outputs),
        residual: None,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        groups: 1,
        activation: Activation::Relu,
    }
}

/// Weights on both sides of the size that decides the organisation, sums longer than a chunk.
#[test]
fn large_layers_match_the_oracle() {
    for desc in [plain(1, 64, 64, 15), plain(1, 300, 200, 9), plain(1, 600, 130, 7)] {
        let problem = ConvProblem::of(&desc);
        for candidate in runnable().filter(|c| !c.name.contains("portable")) {
            problem.check(candidate, 3, tolerance(candidate)).unwrap();
        }
    }
}

/// The same bits from every organisation, for every number of threads, in every batch.
#[test]
fn bits_depend_on_the_picture_alone() {
    for (inputs, outputs, side) in [(24, 40, 13), (160, 144, 14), (530, 40, 5)] {
        for candidate in runnable() {
            let mut alone: Vec<Vec<f32>> = Vec::new();
            for batch in [1, 5] {
                for threads in [1, 2, 3] {
                    let problem = ConvProblem::of(&plain(batch, inputs, outputs, side));
                    let values = problem.run(candidate, threads);
                    if alone.is_empty() {
                        alone.push(values.clone());
                    }
                    assert_eq!(values[..alone[0].len()], alone[0], "{}", candidate.name);
                    if batch == 5 {
                        // The last picture, alone.
                        let last = (batch - 1) * side * side * inputs;
                        let whole = filled(problem.desc.input, problem.seed);
                        let single = ConvProblem::of(&plain(1, inputs, outputs, side));
                        let mut input = filled(single.desc.input, 0);
                        input.copy_from_slice(&whole[last..]);
                        let weights = single.pack(candidate);
                        let kernel = (candidate.prepare)(&single.desc, weights, single.epilogue(), threads);
                        let expected = single.run_kernel(&*kernel, input);
                        assert_eq!(values[values.len() - expected.len()..], expected, "{}", candidate.name);
                    }
                }
            }
        }
    }
}

/// Both organisations, with blocks and groups of all sizes.
#[test]
fn organisations_agree() {
    let problem = ConvProblem::of(&plain(2, 40, 100, 11));
    let weights = |lanes: usize| problem.pack(CANDIDATES.iter().find(|c| c.isa.lanes() == lanes).unwrap());
    for isa in Isa::available() {
        let packed = weights(isa.lanes());
        let run = |organisation: Organisation, group: usize| {
            let convolution =
                convolution::<6, 4>(&problem.desc, packed.clone(), problem.epilogue(), isa.lanes());
            let kernel = Winograd::<F4, 6, 4>::organised("test", isa, convolution, 2, organisation, group);
            problem.run_kernel(&kernel, filled(problem.desc.input, problem.seed))
        };
        let expected = run(Organisation::Blocks { blocks: 1 }, 100);
        for group in [1, 2, 3] {
            for blocks in [1, 4, 18] {
                assert_eq!(run(Organisation::Blocks { blocks }, group), expected);
                for parts in [[1, 1], [1, 2], [2, 3], [1, 3]] {
                    assert_eq!(run(Organisation::Phased { blocks, parts }, group), expected);
                }
            }
        }
    }
}

/// Where the direct convolution gives infinity or NaN, Winograd gives one of them too.
#[test]
fn non_finite_values_stay() {
    let values = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for activation in [Activation::Identity, Activation::Relu] {
        let desc = ConvDesc { activation, ..plain(1, 20, 10, 9) };
        let problem = ConvProblem::of(&desc);
        for candidate in runnable() {
            let weights = problem.pack(candidate);
            let kernel = (candidate.prepare)(&desc, weights, problem.epilogue(), 1);
            for (i, value) in values.into_iter().enumerate() {
                for pixel in [0, 4 * 9 + 3, 80] {
                    let mut input = filled(desc.input, problem.seed);
                    input[pixel * 20 + i] = value;
                    let expected = crate::kernels::reference::conv_f64(
                        &desc,
                        &input,
                        &problem.weights(),
                        &problem.epilogue(),
                        None,
                    );
                    let found = problem.run_kernel(&*kernel, input);
                    for (found, expected) in found.iter().zip(&expected.values) {
                        assert!(
                            expected.is_finite() || !found.is_finite(),
                            "{}: {found} where {expected} is right",
                            candidate.name
                        );
                    }
                }
            }
        }
    }
}

/// The error that the documentation states, on inputs and weights like a network's.
#[test]
fn errors_are_as_documented() {
    for (inputs, side) in [(64, 28), (256, 14), (512, 14)] {
        let problem =
            ConvProblem { scale: false, shift: false, ..ConvProblem::of(&plain(1, inputs, 16, side)) };
        let mut input = filled(problem.desc.input, problem.seed);
        input.iter_mut().for_each(|x| *x = x.max(0.0));
        let expected = crate::kernels::reference::conv_f64(
            &problem.desc,
            &input,
            &problem.weights(),
            &problem.epilogue(),
            None,
        );
        let largest = expected.values.iter().fold(0.0, |a: f64, &b| a.max(b));
        for candidate in runnable() {
            let weights = problem.pack(candidate);
            let kernel = (candidate.prepare)(&problem.desc, weights, problem.epilogue(), 1);
            let mut copy = filled(problem.desc.input, 0);
            copy.copy_from_slice(&input);
            let found = problem.run_kernel(&*kernel, copy);
            let error = found
                .iter()
                .zip(&expected.values)
                .fold(0.0, |a: f64, (&f, e)| a.max((f64::from(f) - e).abs()))
                / largest;
            println!("{} {inputs} channels {side}x{side}: {error:.1e}", candidate.name);
            let bound = if candidate.name.contains("_f4_") { 2e-5 } else { 1e-6 };
            assert!(error < bound, "{}: {error:e}", candidate.name);
        }
    }
}

#[test]
fn packed_tails_are_zero() {
    let desc = plain(1, 3, 19, 4);
    let weights: Vec<f32> = (0..3 * 19 * 9).map(|i| uniform(3, i)).collect();
    let packed = panels::pack::<F4, 6, 4, 8>(&desc, &weights).unwrap();
    assert_eq!(packed.len(), 36 * 3 * 24);
    let tail = &packed[36 * 3 * 16..];
    for row in tail.chunks(8) {
        assert!(row[..3].iter().any(|&w| w != 0.0));
        assert_eq!(row[3..], [0.0; 5]);
    }
}
