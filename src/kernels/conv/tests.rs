//! Every candidate, on every instruction set of the machine, against the f64 oracle.

use std::collections::HashSet;

use half::f16;
use proptest::prelude::*;

use super::{Candidate, ConvDesc, Padding, candidates};
use crate::kernels::testing::{ConvProblem, ConvRanges, Guarded, filled, for_problems, offsets};
use crate::simd::Isa;
use crate::tensor::{Activation, ElementType, FeatureMap, Packed, Values};

/// Relative to the largest sum of magnitudes; Winograd's transforms lose more accuracy than a
/// direct sum.
fn tolerance(candidate: &Candidate) -> f64 {
    if candidate.name.contains("winograd") { 4e-5 } else { 1e-6 }
}

fn accepting(desc: &ConvDesc) -> impl Iterator<Item = &'static Candidate> {
    candidates().filter(|c| c.isa.is_available() && (c.accepts)(desc))
}

fn check_all(ranges: ConvRanges, cases: u32) {
    for_problems(ranges, cases, |problem: ConvProblem| {
        for candidate in accepting(&problem.desc) {
            for threads in [1, 2] {
                problem.check(candidate, threads, tolerance(candidate))?;
            }
        }
        Ok(())
    });
}

#[test]
fn convolutions_of_all_kinds() {
    check_all(ConvRanges::default(), 300);
}

#[test]
fn sums_longer_than_one_chain() {
    let deep = ConvRanges { groups: 1..=1, inputs: 100..=300, size: 1..=4, ..ConvRanges::default() };
    check_all(deep, 60);
}

#[test]
fn tails_of_every_width() {
    let wide = ConvRanges {
        groups: 1..=1,
        inputs: 1..=5,
        outputs: 1..=100,
        size: 3..=12,
        kernel: 1..=2,
        ..ConvRanges::default()
    };
    check_all(wide, 100);
}

#[test]
fn three_channels() {
    check_all(ConvRanges { groups: 1..=1, inputs: 3..=3, size: 8..=24, ..ConvRanges::default() }, 60);
}

/// Wide enough for the tallest tiles over planes, and for the rest of a row.
#[test]
fn few_channels_of_pictures() {
    let pictures = ConvRanges {
        groups: 1..=1,
        inputs: 1..=4,
        outputs: 1..=70,
        size: 20..=70,
        kernel: 1..=7,
        stride: 1..=4,
        dilation: 1..=2,
        ..ConvRanges::default()
    };
    check_all(pictures.clone(), 60);
    // Sums of more than one chain.
    check_all(ConvRanges { inputs: 4..=4, kernel: 12..=14, dilation: 1..=1, ..pictures }, 15);
}

#[test]
fn one_to_three_rows() {
    let linear = ConvRanges {
        batch: 1..=3,
        size: 1..=1,
        groups: 1..=1,
        inputs: 1..=1200,
        outputs: 1..=200,
        kernel: 1..=1,
        padding: 0..=0,
        ..ConvRanges::default()
    };
    check_all(linear, 60);
}

/// Layers of networks whose strides are removed: taps farther apart than the map is wide, or in
/// wide padding.
#[test]
fn dilations_up_to_beyond_the_map() {
    let dense = ConvRanges {
        size: 1..=40,
        groups: 1..=1,
        inputs: 16..=20,
        outputs: 1..=9,
        kernel: 3..=3,
        stride: 1..=1,
        dilation: 2..=32,
        padding: 0..=40,
        planar: false,
        ..ConvRanges::default()
    };
    check_all(dense.clone(), 40);
    check_all(ConvRanges { dilation: 2..=5, padding: 0..=9, ..dense.clone() }, 60);
    check_all(ConvRanges { groups: 2..=2, inputs: 8..=8, outputs: 8..=8, kernel: 2..=4, ..dense }, 30);
}

fn layer(
    batch: usize,
    size: usize,
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    padding: usize,
) -> ConvDesc {
    dilated_layer(batch, size, [inputs, outputs], kernel, padding, 1)
}

fn dilated_layer(
    batch: usize,
    size: usize,
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    padding: usize,
    dilation: usize,
) -> ConvDesc {
    let out = size + 2 * padding - (kernel - 1) * dilation;
    ConvDesc {
        input: FeatureMap::nhwc(batch, size, size, inputs),
        output: FeatureMap::nhwc(batch, out, out, outputs),
        residual: None,
        kernel: [kernel; 2],
        stride: [1; 2],
        dilation: [dilation; 2],
        padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
        groups: 1,
        weights: ElementType::F32,
        activation: Activation::Silu,
    }
}

/// The kernel of a whole map: a linear layer after a flatten.
#[test]
fn kernels_as_large_as_the_map() {
    for batch in [1, 2, 5] {
        let problem = ConvProblem::of(&layer(batch, 7, [24, 70], 7, 0));
        for candidate in accepting(&problem.desc) {
            problem.check(candidate, 2, tolerance(candidate)).unwrap();
        }
    }
}

/// Layers of each kind: picture by picture, with any number of threads, at any position in a batch.
#[test]
fn same_bits_in_any_batch_and_with_any_threads() {
    let mut tested = HashSet::new();
    let layers = [
        (1, [700, 90], 1, 0, 1),
        (7, [16, 40], 7, 0, 1),
        (9, [3, 32], 3, 1, 1),
        (14, [64, 40], 3, 1, 1),
        (7, [70, 64], 3, 1, 1),
        (5, [600, 100], 1, 0, 1),
        (30, [33, 24], 1, 0, 1),
        (28, [32, 32], 5, 2, 1),
        (17, [32, 20], 3, 3, 3),
        (9, [32, 20], 3, 4, 4),
        (9, [32, 20], 3, 16, 16),
    ];
    let of_batch = |n: usize| {
        let layers = layers.map(|(size, channels, kernel, padding, dilation)| {
            dilated_layer(n, size, channels, kernel, padding, dilation)
        });
        let half = FeatureMap::nhwc(n, 8, 8, 40);
        let halved = ConvDesc { output: half, stride: [2, 2], ..dilated_layer(n, 15, [32, 40], 3, 1, 1) };
        let narrow = [[1, 3], [3, 1], [1, 7], [7, 1]].map(|kernel| {
            let [y, x] = kernel.map(|taps| taps / 2);
            let padding = Padding { top: y, left: x, bottom: y, right: x };
            ConvDesc { kernel, padding, ..layer(n, 9, [32, 40], 1, 0) }
        });
        layers.into_iter().chain([halved]).chain(narrow)
    };
    for (batch, single) in of_batch(5).zip(of_batch(1)) {
        let size = batch.input.height;
        let [batch, single] = [batch, single].map(|desc| ConvProblem::of(&desc));
        let whole = filled(batch.desc.input, batch.seed);
        let picture = batch.desc.input.image_stride;
        for isa in candidates().map(|c| c.isa).collect::<HashSet<_>>() {
            // Different candidates may take different batches; on one instruction set a direct
            // kernel's bits are those of the others.
            let of = |desc: &ConvDesc| accepting(desc).filter(|c| c.isa == isa).collect::<Vec<_>>();
            let mut direct: Option<Vec<f32>> = None;
            let mut all = of(&batch.desc);
            all.extend(of(&single.desc));
            for candidate in all {
                tested.insert(candidate.name);
                let packed = batch.pack(candidate);
                let mut results = Vec::new();
                for threads in [1, 2, 3] {
                    if (candidate.accepts)(&batch.desc) {
                        let kernel =
                            (candidate.prepare)(&batch.desc, packed.clone(), batch.epilogue(), threads)
                                .unwrap();
                        let mut copy = Guarded::poisoned(whole.len());
                        copy.copy_from_slice(&whole);
                        results.push(batch.run_kernel(&*kernel, copy));
                    }
                    if !(candidate.accepts)(&single.desc) {
                        continue;
                    }
                    let kernel =
                        (candidate.prepare)(&single.desc, packed.clone(), single.epilogue(), threads)
                            .unwrap();
                    let mut alone = Vec::new();
                    for n in 0..5 {
                        let mut copy = Guarded::poisoned(picture);
                        copy.copy_from_slice(&whole[n * picture..][..picture]);
                        alone.extend(single.run_kernel(&*kernel, copy));
                    }
                    results.push(alone);
                }
                if !candidate.name.contains("winograd") {
                    results.extend(direct.take());
                    direct = Some(results[0].clone());
                }
                let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let first = bits(&results[0]);
                assert_eq!(first.len(), offsets(batch.desc.output).count());
                for other in &results {
                    assert!(bits(other) == first, "{}: other bits at size {size}", candidate.name);
                }
            }
        }
    }
    for candidate in candidates().filter(|c| c.isa.is_available()) {
        let grouped = ["depthwise", "grouped"].iter().any(|kind| candidate.name.contains(kind));
        assert!(grouped || tested.contains(candidate.name), "{} was not run", candidate.name);
    }
}

/// A kernel gives the same results for float16 weights as for float32 weights of the same values;
/// both are compared with the oracle.
#[test]
fn float16_weights_are_widened_exactly() {
    let linear = ConvRanges { batch: 1..=4, size: 1..=2, inputs: 1..=700, ..ConvRanges::default() };
    for ranges in [ConvRanges::default(), linear] {
        for_problems(ranges, 60, |problem| {
            for candidate in accepting(&problem.desc) {
                let [float, half] =
                    ElementType::ALL.map(|weights| problem.clone().with_weights(weights).pack(candidate));
                if matches!(half, Packed::F32(_)) {
                    continue;
                }
                prop_assert_eq!(half.bytes() * 2, float.bytes());
                let stored = problem.clone().with_weights(ElementType::F16).weights();
                let float = candidate.pack_values(&problem.desc, Values::F32(&stored)).unwrap();
                let bits = |packed: Packed| -> Vec<u32> {
                    let kernel = (candidate.prepare)(&problem.desc, packed, problem.epilogue(), 2).unwrap();
                    let values = problem.run_kernel(&*kernel, filled(problem.desc.input, problem.seed));
                    values.into_iter().map(f32::to_bits).collect()
                };
                prop_assert!(bits(half) == bits(float), "{}", candidate.name);
            }
            Ok(())
        });
    }
}

/// If a linear layer's weights come from memory, those of zero inputs are not read. The sums still
/// equal the implicit product's, and a zero times infinity is still NaN.
#[test]
fn weights_that_would_meet_zeros_change_nothing() {
    for (stored, outputs) in [(ElementType::F32, 1024 + 40), (ElementType::F16, 2048 + 40)] {
        let problem = ConvProblem::of(&layer(1, 1, [2100, outputs], 1, 0)).with_weights(stored);
        let desc = problem.desc;
        for candidate in accepting(&desc).filter(|candidate| candidate.name.contains("gaxpy")) {
            let product = candidate.name.replace("gaxpy", "igemm");
            let Some(product) = candidates().find(|candidate| candidate.name == product) else { continue };
            let bits = |candidate: &Candidate, weights: &[f32], zeros: usize, threads: usize| -> Vec<u32> {
                let mut input = filled(desc.input, problem.seed);
                (0..2100)
                    .filter(|k| k % 8 < zeros)
                    .for_each(|k| input[k] = if k % 2 == 0 { 0.0 } else { -0.0 });
                let halves: Vec<f16> = weights.iter().copied().map(f16::from_f32).collect();
                let values = match stored {
                    ElementType::F32 => Values::F32(weights),
                    ElementType::F16 => Values::F16(&halves),
                };
                let packed = candidate.pack_values(&desc, values).unwrap();
                let kernel = (candidate.prepare)(&desc, packed, problem.epilogue(), threads).unwrap();
                problem.run_kernel(&*kernel, input).into_iter().map(f32::to_bits).collect()
            };
            let mut weights = problem.weights();
            for zeros in [0, 4, 6, 8] {
                let expected = bits(product, &weights, zeros, 1);
                for threads in [1, 3] {
                    let found = bits(candidate, &weights, zeros, threads);
                    assert!(found == expected, "{} {stored:?} {zeros}", candidate.name);
                }
            }
            weights[5 * 2100 + 16] = f32::INFINITY;
            let found = bits(candidate, &weights, 6, 2);
            let is_nan = |bits: &u32| f32::from_bits(*bits).is_nan();
            assert!(is_nan(&found[5]) && !found[..5].iter().any(is_nan), "{}", candidate.name);
        }
    }
}

/// A NaN or an infinity in the input never becomes a finite value.
#[test]
fn non_finite_values_stay() {
    let mut desc = layer(1, 6, [20, 40], 3, 1);
    for activation in [Activation::Identity, Activation::Relu, Activation::Clamp { lo: 0.0, hi: 6.0 }] {
        desc.activation = activation;
        let problem = ConvProblem::of(&desc);
        for candidate in accepting(&desc) {
            let mut input = filled(desc.input, problem.seed);
            input[desc.input.at(0, 2, 3) + 7] = f32::NAN;
            let packed = problem.pack(candidate);
            let kernel = (candidate.prepare)(&desc, packed, problem.epilogue(), 1).unwrap();
            let output = problem.run_kernel(&*kernel, input);
            for (y, x) in [(1, 2), (2, 3), (3, 4)] {
                let pixel = &output[(y * 6 + x) * 40..][..40];
                assert!(pixel.iter().all(|x| x.is_nan()), "{} {activation:?}", candidate.name);
            }
        }
    }
}

/// Each set of vectors has the same kernels: none was forgotten in the list.
#[test]
fn every_set_of_vectors_has_every_candidate() {
    let of = |isa: Isa| -> Vec<&str> {
        let end = format!("_{}", isa.name());
        let names = candidates().filter(|c| c.isa == isa).map(|c| c.name.strip_suffix(&*end).unwrap());
        names.collect()
    };
    let expected = of(Isa::Portable16);
    assert!(expected.len() > 10, "{expected:?}");
    for isa in Isa::available().filter(|&isa| isa != Isa::Portable) {
        assert_eq!(of(isa), expected, "{}", isa.name());
    }
}

/// The type of the weights is a part of the list's key: a candidate gets no others than it names.
#[test]
fn a_candidate_takes_the_weights_that_it_names() {
    let desc = layer(1, 9, [32, 40], 3, 1);
    for candidate in candidates().filter(|c| (c.accepts)(&desc)) {
        let only = Candidate { weights: &[ElementType::F16], ..*candidate };
        for weights in ElementType::ALL {
            let desc = ConvDesc { weights, ..desc };
            assert!(candidate.takes(&desc, candidate.isa), "{}", candidate.name);
            assert_eq!(only.takes(&desc, candidate.isa), weights == ElementType::F16);
        }
        let other = if candidate.isa == Isa::Portable { Isa::Portable4 } else { Isa::Portable };
        assert!(!candidate.takes(&desc, other), "{}", candidate.name);
    }
}
