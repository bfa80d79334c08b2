use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::group::{GroupNormDesc, prepare_group};
use super::*;
use crate::kernels::testing::views::{
    close, filled, for_all, laid_out, layouts, run, run_in_place, same_bits, shapes, values,
};
use crate::kernels::testing::{Guarded, gapped, uniform};
use crate::tensor::{Shape, View};

/// Maps of the same sizes with different layouts.
fn maps() -> impl Strategy<Value = (FeatureMap, FeatureMap)> {
    let gaps = || prop_oneof![1 => Just([0; 3]), 1 => [0..5_usize, 0..5_usize, 0..5_usize]];
    (1..=2_usize, 1..=4_usize, 1..=4_usize, 1..=70_usize, gaps(), gaps()).prop_map(
        |(n, h, w, c, from, to)| {
            let map = FeatureMap::nhwc(n, h, w, c);
            (gapped(map, from), gapped(map, to))
        },
    )
}

#[test]
fn local_response_norm() {
    let beta = prop_oneof![2 => Just(0.75_f32), 1 => Just(0.5), 1 => Just(1.0), 1 => 0.1..2.0_f32];
    let settings = (1..=12_usize, 1e-4..3.0_f32, beta, 0.5..2.0_f32);
    for_all((maps(), settings), 200, |((input, output), (size, alpha, beta, k))| {
        let memory = filled(input.view(), |i| 2.0 * uniform(1, i));
        let x = values(input.view(), &memory);
        let area = input.height * input.width;
        for isa in Isa::available() {
            let desc = LocalResponseNormDesc { input, output, size, alpha, beta, k };
            let kernel = prepare_local_response(&desc, isa, 2);
            let found = run(&*kernel, &[&memory], output.view());
            for (i, &y) in found.iter().enumerate() {
                let c = i / area % input.channels;
                let window = c.saturating_sub(size / 2)..input.channels.min(c + (size - 1) / 2 + 1);
                let squares: f64 = window.map(|w| f64::from(x[i + w * area - c * area]).powi(2)).sum();
                let base = f64::from(k) + f64::from(alpha) / size as f64 * squares;
                let expected = f64::from(x[i]) / base.powf(f64::from(beta));
                prop_assert!(close(y, expected, 4e-6 * expected.abs()), "{}: {y}, {expected}", kernel.name());
            }
            let in_place = prepare_local_response(&LocalResponseNormDesc { output: input, ..desc }, isa, 1);
            prop_assert!(same_bits(&found, &run_in_place(&*in_place, &memory, input.view())));
        }
        Ok(())
    });
}

/// torch 2.14's results for channels 0 to 6, alpha 0.5, beta 0.75, k 2.
#[test]
fn local_response_norm_has_torchs_window() {
    let cases: [(usize, [f32; 7]); 3] = [
        (2, [0.0, 0.544_331, 0.826_261, 0.864_971, 0.821_712, 0.763_604, 0.708_858]),
        (5, [0.0, 0.399_384, 0.598_14, 0.661_95, 0.662_24, 0.851_12, 1.091_622]),
        (9, [0.0, 0.296_602, 0.461_989, 0.692_983, 0.923_978, 1.154_972, 1.394_209]),
    ];
    let map = FeatureMap::nhwc(1, 1, 1, 7);
    let memory = filled(map.view(), |i| i as f32);
    for (size, expected) in cases {
        for isa in Isa::available() {
            let desc =
                LocalResponseNormDesc { input: map, output: map, size, alpha: 0.5, beta: 0.75, k: 2.0 };
            let found = run(&*prepare_local_response(&desc, isa, 1), &[&memory], map.view());
            let same = found.iter().zip(expected).all(|(&y, e)| close(y, f64::from(e), 1e-6));
            assert!(same, "size {size} {}: {found:?}, expected {expected:?}", isa.name());
        }
    }
}

#[test]
fn layer_norm() {
    for_all((maps(), any::<bool>(), any::<bool>()), 200, |((input, output), weighted, biased)| {
        let memory = filled(input.view(), |i| 3.0 + 2.0 * uniform(1, i));
        let x: Vec<f64> = values(input.view(), &memory).into_iter().map(f64::from).collect();
        let vector = |wanted: bool, seed: u64| {
            wanted.then(|| (0..input.channels).map(|c| uniform(seed, c)).collect::<Vec<_>>())
        };
        let (weight, bias) = (vector(weighted, 2), vector(biased, 3));
        let (channels, area) = (input.channels, input.height * input.width);
        for isa in Isa::available() {
            let desc = LayerNormDesc { input, output, epsilon: 1e-3 };
            let kernel = prepare_layer(&desc, weight.as_deref(), bias.as_deref(), isa, 2).unwrap();
            let found = run(&*kernel, &[&memory], output.view());
            for (i, &y) in found.iter().enumerate() {
                let c = i / area % channels;
                let pixel = || (0..channels).map(|w| x[i + w * area - c * area]);
                let mean = pixel().sum::<f64>() / channels as f64;
                let variance = pixel().map(|v| (v - mean).powi(2)).sum::<f64>() / channels as f64;
                let scale = weight.as_ref().map_or(1.0, |w| f64::from(w[c]));
                let shift = bias.as_ref().map_or(0.0, |b| f64::from(b[c]));
                let expected = (x[i] - mean) / (variance + 1e-3).sqrt() * scale + shift;
                prop_assert!(close(y, expected, 2e-5), "{}: {y}, {expected}", kernel.name());
            }
        }
        Ok(())
    });
}

/// Rows as in vision transformers, far from zero: the differences from the mean must be accurate.
#[test]
fn layer_norm_of_long_rows() {
    for channels in [96, 384, 768, 1000, 1280] {
        let map = FeatureMap::nhwc(1, 1, 3, channels);
        let memory = filled(map.view(), |i| 5.0 + uniform(1, i));
        let x: Vec<f64> =
            values(map.view().permute(&[0, 2, 3, 1]), &memory).into_iter().map(f64::from).collect();
        for isa in Isa::available() {
            let desc = LayerNormDesc { input: map, output: map, epsilon: 1e-6 };
            let kernel = prepare_layer(&desc, None, None, isa, 1).unwrap();
            // Each of four lanes sums twice as many values as each of eight.
            let tolerance = if isa.lanes() < 8 { 3e-6 } else { 1.5e-6 };
            let found = run(&*kernel, &[&memory], map.view().permute(&[0, 2, 3, 1]));
            for (row, found) in x.chunks(channels).zip(found.chunks(channels)) {
                let mean = row.iter().sum::<f64>() / channels as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channels as f64;
                for (v, &y) in row.iter().zip(found) {
                    let expected = (v - mean) / (variance + 1e-6).sqrt();
                    assert!(close(y, expected, tolerance), "{}: {y}, {expected}", kernel.name());
                }
            }
            assert!(same_bits(
                &run(&*kernel, &[&memory], map.view()),
                &run_in_place(&*kernel, &memory, map.view())
            ));
        }
    }
}

#[test]
fn normalize() {
    for_all((maps(), 0..3_usize), 200, |((input, output), scale)| {
        let memory = filled(input.view(), |i| [1.0, 1e-4, 0.0][scale] * uniform(1, i));
        let x: Vec<f64> = values(input.view(), &memory).into_iter().map(f64::from).collect();
        let (channels, area) = (input.channels, input.height * input.width);
        for isa in Isa::available() {
            let kernel = prepare_normalize(&NormalizeDesc { input, output, epsilon: 1e-3 }, isa, 2);
            let found = run(&*kernel, &[&memory], output.view());
            for (i, &y) in found.iter().enumerate() {
                let c = i / area % channels;
                let squares: f64 = (0..channels).map(|w| x[i + w * area - c * area].powi(2)).sum();
                let expected = x[i] / squares.sqrt().max(1e-3);
                prop_assert!(close(y, expected, 4e-7), "{}: {y}, {expected}", kernel.name());
            }
            let in_place = prepare_normalize(&NormalizeDesc { input, output: input, epsilon: 1e-3 }, isa, 1);
            prop_assert!(same_bits(&found, &run_in_place(&*in_place, &memory, input.view())));
        }
        Ok(())
    });
}

/// The definition, per value in logical order.
fn group_norm_f64(desc: &GroupNormDesc, memory: &Guarded, weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let shape = desc.input.shape;
    let x: Vec<f64> = values(desc.input, memory).into_iter().map(f64::from).collect();
    let area: usize = shape[2..].iter().product();
    let size = shape[1] / desc.groups * area;
    let mut expected = Vec::new();
    for (k, group) in x.chunks(size.max(1)).enumerate() {
        let mean = group.iter().sum::<f64>() / size as f64;
        let variance = group.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size as f64;
        for (i, v) in group.iter().enumerate() {
            let c = (k * size + i) / area % shape[1];
            let normed = (v - mean) / (variance + f64::from(desc.epsilon)).sqrt();
            expected.push(normed * f64::from(weight[c]) + f64::from(bias[c]));
        }
    }
    expected
}

fn check_group_norm(desc: &GroupNormDesc, parameters: [bool; 2], mean: f32, bound: f64) -> TestCaseResult {
    let channels = desc.input.shape[1];
    let memory = filled(desc.input, |i| mean + 2.0 * uniform(1, i));
    let vector = |seed: u64| (0..channels).map(|c| uniform(seed, c)).collect::<Vec<_>>();
    let [weight, bias] = [0, 1].map(|k| parameters[k].then(|| vector(k as u64 + 2)));
    let [ones, zeros] = [1.0, 0.0].map(|x| vec![x; channels]);
    let (given_weight, given_bias) = (weight.as_ref().unwrap_or(&ones), bias.as_ref().unwrap_or(&zeros));
    let expected = group_norm_f64(desc, &memory, given_weight, given_bias);
    for isa in Isa::available() {
        let prepare = |desc: &GroupNormDesc, threads| {
            prepare_group(desc, weight.as_deref(), bias.as_deref(), isa, threads).unwrap()
        };
        let kernel = prepare(desc, 1);
        let found = run(&*kernel, &[&memory], desc.output);
        for (&y, &expected) in found.iter().zip(&expected) {
            prop_assert!(close(y, expected, bound), "{}: {y}, {expected}", kernel.name());
        }
        prop_assert!(same_bits(&found, &run(&*prepare(desc, 3), &[&memory], desc.output)));
        let in_place = GroupNormDesc { output: desc.input, ..*desc };
        let found = run(&*prepare(&in_place, 2), &[&memory], desc.input);
        prop_assert!(same_bits(&found, &run_in_place(&*prepare(&in_place, 2), &memory, desc.input)));
    }
    Ok(())
}

#[test]
fn group_norm_of_any_layout() {
    let parameters = [any::<bool>(), any::<bool>()];
    let problems = (shapes(2..=6, 1..=5), 1..=4_usize, 1..=4_usize, layouts(), layouts(), parameters);
    for_all(problems, 300, |(mut shape, groups, size, from, to, parameters)| {
        shape[1] = groups * size;
        let (input, output) = (laid_out(shape, from), laid_out(shape, to));
        // A single value in a group is its own mean: the difference is divided by sqrt(epsilon).
        let desc = GroupNormDesc { input, output, groups, epsilon: 1e-3 };
        check_group_norm(&desc, parameters, 3.0, 2e-5)
    });
}

/// Maps as in networks, far from zero: the differences from the mean must be accurate.
#[test]
fn group_norm_of_feature_maps() {
    for (dims, groups) in [
        (&[2, 32, 28, 28][..], 8),
        (&[1, 96, 57, 3], 1),
        (&[1, 21, 65, 65], 21),
        (&[3, 64], 4),
        (&[2, 12, 700], 3),
        (&[1, 150, 9, 11], 50),
    ] {
        let shape = Shape::new(dims);
        for view in [View::physical(shape), View::contiguous(shape)] {
            let desc = GroupNormDesc { input: view, output: view, groups, epsilon: 1e-5 };
            check_group_norm(&desc, [true, true], 5.0, 2e-6).unwrap();
        }
    }
}

#[test]
fn group_norm_of_nothing_and_of_nan() {
    for dims in [&[0, 4, 3][..], &[2, 4, 0]] {
        let view = View::physical(Shape::new(dims));
        let desc = GroupNormDesc { input: view, output: view, groups: 2, epsilon: 1e-5 };
        let kernel = prepare_group(&desc, None, None, Isa::Portable, 2).unwrap();
        assert!(kernel.phases().is_empty());
    }
    // NaN affects its own group and no other.
    let view = View::physical(Shape::new(&[1, 4, 2, 2]));
    let memory = filled(view, |i| if i == 5 { f32::NAN } else { i as f32 });
    for isa in Isa::available() {
        let desc = GroupNormDesc { input: view, output: view, groups: 2, epsilon: 1e-5 };
        let found = run(&*prepare_group(&desc, None, None, isa, 2).unwrap(), &[&memory], view);
        assert!(found.iter().enumerate().all(|(i, y)| y.is_nan() == (i < 8)), "{found:?}");
    }
}
