//! The transforms against their matrices, the kernels against the f64 oracle.

use proptest::prop_assert;

use super::kernel::{Organisation, Winograd};
use super::transforms::{Algorithm, MAX_TAPS, input_2d, output_columns, weights_2d};
use super::*;
use crate::kernels::conv::Padding;
use crate::kernels::testing::{ConvProblem, ConvRanges, filled, for_problems, uniform};
use crate::simd::{Isa, Vectorized};
use crate::tensor::{Activation, ElementType, FeatureMap};

/// `Bᵀ`, `G` and `Aᵀ` as in the paper.
struct Matrices<const A: usize, const M: usize, const R: usize> {
    input: [[f64; A]; A],
    weights: [[f64; R]; A],
    output: [[f64; A]; M],
}

const F4_MATRICES: Matrices<6, 4, 3> = Matrices {
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

const F2_MATRICES: Matrices<4, 2, 3> = Matrices {
    input: [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]],
    weights: [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
    output: [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]],
};

const F2_STRIDE_2_MATRICES: Matrices<5, 2, 3> = Matrices {
    input: [
        [1.0, 0.0, -1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, -1.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0],
    ],
    weights: [[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]],
    output: [[1.0, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0, 1.0]],
};

const F4_OF_5_MATRICES: Matrices<8, 4, 5> = Matrices {
    input: [
        [1.0, 0.0, -5.25, 0.0, 5.25, 0.0, -1.0, 0.0],
        [0.0, 1.0, 1.0, -4.25, -4.25, 1.0, 1.0, 0.0],
        [0.0, -1.0, 1.0, 4.25, -4.25, -1.0, 1.0, 0.0],
        [0.0, 0.5, 0.25, -2.5, -1.25, 2.0, 1.0, 0.0],
        [0.0, -0.5, 0.25, 2.5, -1.25, -2.0, 1.0, 0.0],
        [0.0, 2.0, 4.0, -2.5, -5.0, 0.5, 1.0, 0.0],
        [0.0, -2.0, 4.0, 2.5, -5.0, -0.5, 1.0, 0.0],
        [0.0, -1.0, 0.0, 5.25, 0.0, -5.25, 0.0, 1.0],
    ],
    weights: [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [-2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0],
        [-2.0 / 9.0, 2.0 / 9.0, -2.0 / 9.0, 2.0 / 9.0, -2.0 / 9.0],
        [1.0 / 90.0, 1.0 / 45.0, 2.0 / 45.0, 4.0 / 45.0, 8.0 / 45.0],
        [1.0 / 90.0, -1.0 / 45.0, 2.0 / 45.0, -4.0 / 45.0, 8.0 / 45.0],
        [32.0 / 45.0, 16.0 / 45.0, 8.0 / 45.0, 4.0 / 45.0, 2.0 / 45.0],
        [32.0 / 45.0, -16.0 / 45.0, 8.0 / 45.0, -4.0 / 45.0, 2.0 / 45.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
    ],
    output: [
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.25, 0.25, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 0.125, -0.125, 1.0],
    ],
};

const IDENTITY_MATRICES: Matrices<1, 1, 1> = Matrices { input: [[1.0]], weights: [[1.0]], output: [[1.0]] };

const F2_OF_7_MATRICES: Matrices<8, 2, 7> = Matrices {
    input: F4_OF_5_MATRICES.input,
    weights: [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        powers(1.0, -2.0 / 9.0),
        powers(-1.0, -2.0 / 9.0),
        powers(2.0, 1.0 / 90.0),
        powers(-2.0, 1.0 / 90.0),
        powers(0.5, 32.0 / 45.0),
        powers(-0.5, 32.0 / 45.0),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ],
    output: [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1.0]],
};

/// A point's powers, starting with the 0-th, times a factor.
const fn powers<const R: usize>(point: f64, factor: f64) -> [f64; R] {
    let (mut values, mut i) = ([factor; R], 1);
    while i < R {
        values[i] = values[i - 1] * point;
        i += 1;
    }
    values
}

/// `v d hᵀ`
fn sandwich<const RV: usize, const CV: usize, const RH: usize, const CH: usize>(
    v: &[[f64; CV]; RV],
    h: &[[f64; CH]; RH],
    d: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let at = |y: usize, x: usize| -> f64 {
        (0..CV).flat_map(|i| (0..CH).map(move |j| (i, j))).map(|(i, j)| v[y][i] * d(i, j) * h[x][j]).sum()
    };
    (0..RV * RH).map(|i| at(i / RH, i % RH)).collect()
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() < 2e-5, "{what} {i}: {f}, expected {e}");
    }
}

/// The transforms of vectors of channels by `V` over columns and `H` over rows against the
/// matrices.
struct TransformsAgree<
    'a,
    V,
    H,
    const AV: usize,
    const MV: usize,
    const RV: usize,
    const AH: usize,
    const MH: usize,
    const RH: usize,
>((V, &'a Matrices<AV, MV, RV>), (H, &'a Matrices<AH, MH, RH>));

impl<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const RV: usize,
    const AH: usize,
    const MH: usize,
    const RH: usize,
> Vectorized for TransformsAgree<'_, V, H, AV, MV, RV, AH, MH, RH>
{
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self((_, vertical), (_, horizontal)) = self;
        let lanes = S::LANES;
        let data: Vec<f32> = (0..AV * AH * lanes).map(|i| uniform(5, i)).collect();
        let (mut input, mut output) = (vec![0.0; AV * AH * lanes], vec![0.0; MV * MH * lanes]);
        // SAFETY: AV * AH vectors of floats in `data` and `input`, MV * MH in `output`.
        unsafe {
            let at = |i: usize| data[i * lanes..][..lanes].as_ptr();
            let pixels = std::array::from_fn(|y| std::array::from_fn(|x| at(y * AH + x)));
            let to = (input.as_mut_ptr(), lanes);
            input_2d::<S, V, H, AV, MV, AH, MH>(s, &pixels, [false; 2], (0, lanes), 0, to);
            let columns = output_columns::<S, V, AV, MV, AH>(s, (at(0), lanes), false);
            for (y, row) in columns.into_iter().enumerate() {
                for (x, v) in H::output(s, row).into_iter().enumerate() {
                    s.store(output[(y * MH + x) * lanes..][..lanes].as_mut_ptr(), v);
                }
            }
        }
        for lane in 0..lanes {
            let of = |values: &[f32]| -> Vec<f64> {
                values.iter().skip(lane).step_by(lanes).map(|&x| f64::from(x)).collect()
            };
            let d = of(&data);
            let at = |y: usize, x: usize| d[y * AH + x];
            let name = format!("F{MV}x{MH} of {RV}x{RH} {}, lane {lane}", S::ISA.name());
            let expected = sandwich(&vertical.input, &horizontal.input, at);
            assert_close(&of(&input), &expected, &format!("{name}, input"));
            let expected = sandwich(&vertical.output, &horizontal.output, at);
            assert_close(&of(&output), &expected, &format!("{name}, output"));
        }
    }
}

const NONE: (Identity, &Matrices<1, 1, 1>) = (Identity, &IDENTITY_MATRICES);

#[test]
fn transforms_are_the_papers_matrices() {
    fn twice<T: Algorithm<A, M>, const A: usize, const M: usize, const R: usize>(
        isa: Isa,
        one: (T, &Matrices<A, M, R>),
    ) {
        isa.dispatch(TransformsAgree(one, one));
    }
    for isa in Isa::available() {
        twice(isa, (F4, &F4_MATRICES));
        twice(isa, (F2, &F2_MATRICES));
        twice(isa, (F2Stride2, &F2_STRIDE_2_MATRICES));
        twice(isa, (F4Of5, &F4_OF_5_MATRICES));
        isa.dispatch(TransformsAgree(NONE, (F4, &F4_MATRICES)));
        isa.dispatch(TransformsAgree((F4, &F4_MATRICES), NONE));
        isa.dispatch(TransformsAgree(NONE, (F2Of7, &F2_OF_7_MATRICES)));
        isa.dispatch(TransformsAgree((F2Of7, &F2_OF_7_MATRICES), NONE));
    }
}

fn check_weights<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const RV: usize,
    const AH: usize,
    const MH: usize,
    const RH: usize,
>(
    (_, vertical): (V, &Matrices<AV, MV, RV>),
    (_, horizontal): (H, &Matrices<AH, MH, RH>),
) {
    let filter = |tap: usize| std::array::from_fn(|n| f64::from(uniform(7, tap * 5 + n)));
    let filters: Vec<[f64; 5]> = (0..RV * RH).map(filter).collect();
    let mut found = [[[0.0; 5]; AH]; AV];
    weights_2d::<V, H, AV, MV, AH, MH, 5>(&filters, &mut found);
    for n in 0..5 {
        let found: Vec<f64> = found.as_flattened().iter().map(|v| v[n]).collect();
        let expected = sandwich(&vertical.weights, &horizontal.weights, |y, x| filters[y * RH + x][n]);
        for (f, e) in found.iter().zip(&expected) {
            let name = format!("F{MV}x{MH} of {RV}x{RH}");
            assert!((f - e).abs() < 1e-15, "{name}, weights of filter {n}: {f}, expected {e}");
        }
    }
}

#[test]
fn transformed_weights_are_the_papers_matrices() {
    check_weights((F4, &F4_MATRICES), (F4, &F4_MATRICES));
    check_weights((F2, &F2_MATRICES), (F2, &F2_MATRICES));
    check_weights((F2Stride2, &F2_STRIDE_2_MATRICES), (F2Stride2, &F2_STRIDE_2_MATRICES));
    check_weights((F4Of5, &F4_OF_5_MATRICES), (F4Of5, &F4_OF_5_MATRICES));
    check_weights(NONE, (F4, &F4_MATRICES));
    check_weights((F4, &F4_MATRICES), NONE);
    check_weights(NONE, (F2Of7, &F2_OF_7_MATRICES));
    check_weights((F2Of7, &F2_OF_7_MATRICES), NONE);
}

/// The matrices themselves: together they compute the filter exactly.
#[test]
fn matrices_compute_a_filter() {
    fn check<const A: usize, const M: usize, const R: usize>(m: &Matrices<A, M, R>) {
        let d: Vec<f64> = (0..A).map(|i| f64::from(uniform(1, i))).collect();
        let g = &[0.3, -0.7, 0.9, -0.2, 0.4, -0.8, 0.6][..R];
        let stride = if M > 1 { (A - R) / (M - 1) } else { 1 };
        let dot = |row: &[f64], v: &[f64]| -> f64 { row.iter().zip(v).map(|(a, b)| a * b).sum() };
        let products: Vec<f64> = (0..A).map(|i| dot(&m.input[i], &d) * dot(&m.weights[i], g)).collect();
        for y in 0..M {
            let (found, expected) = (dot(&m.output[y], &products), dot(&d[y * stride..][..R], g));
            assert!((found - expected).abs() < 1e-14, "F{M}, output {y}: {found}, expected {expected}");
        }
    }
    check(&F4_MATRICES);
    check(&F2_MATRICES);
    check(&F2_STRIDE_2_MATRICES);
    check(&F4_OF_5_MATRICES);
    check(&F2_OF_7_MATRICES);
    check(&IDENTITY_MATRICES);
}

/// One run of outputs by fewer products, in one lane.
struct ShortRun<T, const A: usize, const M: usize>(T);

impl<T: Algorithm<A, M>, const A: usize, const M: usize> Vectorized for ShortRun<T, A, M> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let taps = taps::<T, A, M>();
        let mut g = [0.0; MAX_TAPS];
        for (i, g) in g[..taps].iter_mut().enumerate() {
            *g = f64::from(uniform(3, i));
        }
        let weights = T::weights(g);
        let mut d = [s.zero(); A];
        for (i, d) in d.iter_mut().enumerate() {
            *d = s.splat(uniform(4, i));
        }
        let mut m = T::short_input(s, d);
        for (i, m) in m.iter_mut().enumerate() {
            *m = if T::UNUSED.contains(&i) {
                s.splat(f32::NAN)
            } else {
                s.mul(*m, s.splat(weights[i] as f32))
            };
        }
        let outputs = T::short_output(s, m);
        for (y, output) in outputs.into_iter().take(T::SHORT).enumerate() {
            let mut found = vec![0.0; S::LANES];
            // SAFETY: the buffer has room for these floats.
            unsafe { s.store(found.as_mut_ptr(), output) };
            let expected: f64 = (0..taps).map(|i| g[i] * f64::from(uniform(4, y * T::STRIDE + i))).sum();
            assert!((f64::from(found[0]) - expected).abs() < 1e-5, "F{M}, output {y}: {found:?}, {expected}");
        }
    }
}

#[test]
fn short_runs_need_fewer_products() {
    for isa in Isa::available() {
        isa.dispatch(ShortRun(F4));
        isa.dispatch(ShortRun(F2));
    }
}

/// All candidates, wherever the algorithm is applicable, not only where it pays off.
fn runnable(desc: &ConvDesc) -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES.iter().filter(|candidate| candidate.isa.is_available() && (candidate.accepts)(desc))
}

/// Relative to the largest sum of magnitudes.
fn tolerance(candidate: &Candidate) -> f64 {
    if candidate.name.contains("_f2_") { 1e-6 } else { 1e-5 }
}

/// Sides of filters and strides for which there are algorithms.
const FILTERS: [([usize; 2], usize); 7] =
    [([3, 3], 1), ([5, 5], 1), ([3, 3], 2), ([1, 3], 1), ([3, 1], 1), ([1, 7], 1), ([7, 1], 1)];

fn ranges((kernel, stride): ([usize; 2], usize)) -> ConvRanges {
    let ranges = ConvRanges { groups: 1..=1, planar: false, ..Default::default() };
    let dilation = if stride == 1 { ranges.dilation.clone() } else { 1..=1 };
    let [kernel, kernel_width] = kernel.map(|taps| taps..=taps);
    ConvRanges { kernel, kernel_width: Some(kernel_width), stride: stride..=stride, dilation, ..ranges }
}

#[test]
fn every_kernel_matches_the_oracle() {
    for filter in FILTERS {
        let ranges = ConvRanges { size: 1..=15, inputs: 1..=40, outputs: 1..=70, ..ranges(filter) };
        for_problems(ranges, 200, |problem| {
            for candidate in runnable(&problem.desc) {
                problem.check(candidate, 1, tolerance(candidate))?;
            }
            Ok(())
        });
    }
}

/// A plain convolution of `batch` maps of `side` x `side` pixels.
fn plain(batch: usize, inputs: usize, outputs: usize, side: usize) -> ConvDesc {
    let map = |channels| FeatureMap::nhwc(batch, side, side, channels);
    between(map(inputs), map(outputs))
}

/// A plain convolution between maps of the same height and width.
pub(super) fn between(input: FeatureMap, output: FeatureMap) -> ConvDesc {
    ConvDesc {
        input,
        output,
        residual: None,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding { top: 1, left: 1, bottom: 1, right: 1 },
        groups: 1,
        weights: ElementType::F32,
        activation: Activation::Relu,
    }
}

/// The same with filters of 5x5.
fn wide(desc: &ConvDesc) -> ConvDesc {
    ConvDesc { kernel: [5, 5], padding: Padding { top: 2, left: 2, bottom: 2, right: 2 }, ..*desc }
}

/// A fused pool gives the bits of a separate one, also on maps of odd sides and with negative
/// scales.
#[test]
fn a_pool_gives_the_largest_of_what_comes_without_it() {
    let ranges =
        ConvRanges { size: 2..=15, dilation: 1..=1, inputs: 1..=40, outputs: 1..=70, ..ranges(([3, 3], 1)) };
    for_problems(ranges, 100, |problem| {
        let conv = problem.desc;
        let map = conv.output;
        let output = FeatureMap::nhwc(map.batch, map.height / 2, map.width / 2, map.channels);
        for candidate in runnable(&conv) {
            let desc = ConvPoolDesc { conv, output };
            if !desc.accepts(candidate) {
                continue;
            }
            let kernel = desc.prepare(candidate, problem.pack(candidate), problem.epilogue(), 2).unwrap();
            let pooled = ConvProblem { desc: ConvDesc { output, ..conv }, ..problem.clone() };
            let found = pooled.run_kernel(&*kernel, filled(conv.input, problem.seed));
            let apart = problem.run(candidate, 2);
            let at = |n: usize, y: usize, x: usize, c: usize| {
                apart[((n * map.height + y) * map.width + x) * map.channels + c]
            };
            for (i, &found) in found.iter().enumerate() {
                let (pixel, c) = (i / map.channels, i % map.channels);
                let (row, x) = (pixel / output.width, pixel % output.width);
                let (n, y) = (row / output.height, row % output.height);
                let window = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| at(n, 2 * y + i, 2 * x + j, c));
                let expected = window.into_iter().fold(f32::NEG_INFINITY, f32::max);
                prop_assert!(found == expected, "{}: {found}, expected {expected}", kernel.name());
            }
        }
        Ok(())
    });
}

#[test]
fn a_pool_passes_a_nan_on() {
    let conv = ConvDesc { activation: Activation::Relu, ..plain(1, 20, 10, 8) };
    let problem = ConvProblem::of(&conv);
    let output = FeatureMap::nhwc(1, 4, 4, 10);
    for candidate in runnable(&conv) {
        let desc = ConvPoolDesc { conv, output };
        let kernel = desc.prepare(candidate, problem.pack(candidate), problem.epilogue(), 1).unwrap();
        let pooled = ConvProblem { desc: ConvDesc { output, ..conv }, ..problem.clone() };
        let mut input = filled(conv.input, problem.seed);
        input[(3 * 8 + 3) * 20] = f32::NAN;
        let found = pooled.run_kernel(&*kernel, input);
        for (y, x) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let pixel = &found[(y * 4 + x) * 10..][..10];
            assert!(pixel.iter().all(|v| v.is_nan()), "{}: {pixel:?}", kernel.name());
        }
    }
}

/// The same with filters of one row or column.
fn narrow(desc: &ConvDesc, kernel: [usize; 2]) -> ConvDesc {
    let [y, x] = kernel.map(|taps| taps / 2);
    ConvDesc { kernel, padding: Padding { top: y, left: x, bottom: y, right: x }, ..*desc }
}

/// Tiles of one row or column have no windows of 2x2 pixels.
#[test]
fn a_pool_is_for_tiles_of_two_dimensions() {
    for kernel in [[1, 3], [3, 1], [1, 7], [7, 1]] {
        let conv = narrow(&plain(1, 20, 10, 8), kernel);
        let desc = ConvPoolDesc { conv, output: FeatureMap::nhwc(1, 4, 4, 10) };
        assert!(CANDIDATES.iter().any(|candidate| (candidate.accepts)(&conv)));
        assert!(!runnable(&conv).any(|candidate| desc.accepts(candidate)), "{kernel:?}");
    }
}

/// The candidate states which kernel is fused with a pool: one that states none is never mistaken
/// for another, whatever its name.
#[test]
fn only_a_candidate_that_says_so_is_fused_with_a_pool() {
    let conv = plain(1, 20, 10, 8);
    let desc = ConvPoolDesc { conv, output: FeatureMap::nhwc(1, 4, 4, 10) };
    for candidate in runnable(&conv) {
        assert!(desc.accepts(candidate), "{}", candidate.name);
        let silent = Candidate { with_pool: None, ..*candidate };
        assert!(!desc.accepts(&silent), "{}", candidate.name);
    }
}

/// A candidate's kernel with a pool computes the candidate's own algorithm.
#[test]
fn a_pool_keeps_the_algorithm() {
    for candidate in CANDIDATES.iter().filter(|c| c.with_pool.is_some() && c.isa.is_available()) {
        let size: usize = if candidate.name.contains("5x5") { 5 } else { 3 };
        let conv = narrow(&plain(1, 20, 10, 8), [size; 2]);
        let conv = if candidate.name.contains("3x3s2") { halved(&conv) } else { conv };
        let output = FeatureMap::nhwc(1, conv.output.height / 2, conv.output.width / 2, 10);
        let problem = ConvProblem::of(&conv);
        let desc = ConvPoolDesc { conv, output };
        let kernel = desc.prepare(candidate, problem.pack(candidate), problem.epilogue(), 1).unwrap();
        let isa = format!("_{}", candidate.isa.name());
        let expected = candidate.name.replace(&isa, &format!("_max_pool{isa}"));
        assert_eq!(kernel.name(), expected);
    }
}

/// The same at stride 2.
fn halved(desc: &ConvDesc) -> ConvDesc {
    let map = desc.input;
    let output =
        FeatureMap::nhwc(map.batch, map.height.div_ceil(2), map.width.div_ceil(2), desc.output.channels);
    ConvDesc { output, stride: [2, 2], ..*desc }
}

/// The plain convolution, and one for each algorithm of other filters.
fn all_filters(desc: &ConvDesc) -> [ConvDesc; 7] {
    let [row, column, long_row, long_column] =
        [[1, 3], [3, 1], [1, 7], [7, 1]].map(|kernel| narrow(desc, kernel));
    [*desc, wide(desc), halved(desc), row, column, long_row, long_column]
}

/// Weights on both sides of the size that decides the organisation, and sums longer than a chunk.
#[test]
fn large_layers_match_the_oracle() {
    let plain = [plain(1, 64, 64, 15), plain(1, 300, 200, 9), plain(1, 600, 130, 7)];
    for desc in plain.each_ref().map(all_filters).into_iter().flatten() {
        let problem = ConvProblem::of(&desc);
        for candidate in runnable(&desc).filter(|c| !c.name.contains("portable")) {
            problem.check(candidate, 3, tolerance(candidate)).unwrap();
        }
    }
}

/// The same bits from every organisation, for every number of threads, in every batch.
#[test]
fn bits_depend_on_the_picture_alone() {
    for (inputs, outputs, side) in [(24, 40, 13), (160, 144, 14), (530, 40, 5)] {
        let desc = |candidate: &Candidate, batch: usize| {
            let desc = plain(batch, inputs, outputs, side);
            all_filters(&desc).into_iter().find(|desc| (candidate.accepts)(desc)).unwrap()
        };
        for candidate in CANDIDATES.iter().filter(|candidate| candidate.isa.is_available()) {
            let mut alone: Vec<Vec<f32>> = Vec::new();
            for batch in [1, 5] {
                for threads in [1, 2, 3] {
                    let problem = ConvProblem::of(&desc(candidate, batch));
                    let values = problem.run(candidate, threads);
                    if alone.is_empty() {
                        alone.push(values.clone());
                    }
                    assert_eq!(values[..alone[0].len()], alone[0], "{}", candidate.name);
                    if batch == 5 {
                        // The last picture, alone.
                        let last = (batch - 1) * side * side * inputs;
                        let whole = filled(problem.desc.input, problem.seed);
                        let single = ConvProblem::of(&desc(candidate, 1));
                        let mut input = filled(single.desc.input, 0);
                        input.copy_from_slice(&whole[last..]);
                        let weights = single.pack(candidate);
                        let kernel =
                            (candidate.prepare)(&single.desc, weights, single.epilogue(), threads).unwrap();
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
    // With tiles that are short, and without.
    for side in [11, 13] {
        organisations_agree_on(side);
    }
}

fn organisations_agree_on(side: usize) {
    let problem = ConvProblem::of(&plain(2, 40, 100, side));
    let weights = |lanes: usize| problem.pack(CANDIDATES.iter().find(|c| c.isa.lanes() == lanes).unwrap());
    for isa in Isa::available() {
        let packed = weights(isa.lanes());
        let run = |organisation: Organisation, group: usize| {
            let convolution =
                convolution::<6, 4, 6, 4>(&problem.desc, packed.clone(), problem.epilogue(), isa.lanes())
                    .unwrap();
            let kernel =
                Winograd::<F4, F4, 6, 4, 6, 4>::organised("test", isa, convolution, 2, organisation, group);
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

/// If the direct convolution gives infinity or NaN, Winograd gives one of them too.
#[test]
fn non_finite_values_stay() {
    let values = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for activation in [Activation::Identity, Activation::Relu] {
        let desc = ConvDesc { activation, ..plain(1, 20, 10, 9) };
        for (desc, candidate) in
            all_filters(&desc).iter().flat_map(|desc| runnable(desc).map(move |candidate| (desc, candidate)))
        {
            let problem = ConvProblem::of(desc);
            let weights = problem.pack(candidate);
            let kernel = (candidate.prepare)(desc, weights, problem.epilogue(), 1).unwrap();
            for (i, value) in values.into_iter().enumerate() {
                for pixel in [0, 4 * 9 + 3, 80] {
                    let mut input = filled(desc.input, problem.seed);
                    input[pixel * 20 + i] = value;
                    let expected = crate::kernels::reference::conv_f64(
                        desc,
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

/// The documented error, on inputs and weights like a network's.
#[test]
fn errors_are_as_documented() {
    let layers = [(64, 28), (256, 14), (512, 14)].map(|(inputs, side)| plain(1, inputs, 16, side));
    for desc in layers.each_ref().map(all_filters).into_iter().flatten() {
        let (inputs, side) = (desc.input.channels, desc.input.width);
        let problem = ConvProblem { scale: false, shift: false, ..ConvProblem::of(&desc) };
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
        for candidate in runnable(&desc) {
            let weights = problem.pack(candidate);
            let kernel = (candidate.prepare)(&problem.desc, weights, problem.epilogue(), 1).unwrap();
            let mut copy = filled(problem.desc.input, 0);
            copy.copy_from_slice(&input);
            let found = problem.run_kernel(&*kernel, copy);
            let error = found
                .iter()
                .zip(&expected.values)
                .fold(0.0, |a: f64, (&f, e)| a.max((f64::from(f) - e).abs()))
                / largest;
            println!("{} {inputs} channels {side}x{side}: {error:.1e}", candidate.name);
            let bound = match (desc.kernel, candidate.name.contains("_f2_")) {
                ([1, _] | [_, 1], _) => 5e-6,
                (_, true) => 1e-6,
                (_, false) => 2e-5,
            };
            assert!(error < bound, "{}: {error:e}", candidate.name);
        }
    }
}

#[test]
fn packed_tails_are_zero() {
    let desc = plain(1, 3, 19, 4);
    let weights: Vec<f32> = (0..3 * 19 * 9).map(|i| uniform(3, i)).collect();
    let packed = panels::pack::<F4, F4, 6, 4, 6, 4, 8>(&desc, &weights).unwrap();
    assert_eq!(packed.len(), 36 * 3 * 24);
    let tail = &packed[36 * 3 * 16..];
    for row in tail.chunks(8) {
        assert!(row[..3].iter().any(|&w| w != 0.0));
        assert_eq!(row[3..], [0.0; 5]);
    }
}
