use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::kernels::testing::views::{close, filled, for_all, run, same_bits};
use crate::kernels::testing::{gapped, uniform};
use crate::tensor::FeatureMap;

/// The definition of one axis in double precision: each output pixel's input pixels and weights.
fn axis_f64(desc: &ResizeDesc, i: usize) -> Vec<Vec<(usize, f64)>> {
    let input = [desc.input.height, desc.input.width][i];
    let output = [desc.output.height, desc.output.width][i];
    let (last, same) = (input as isize - 1, input == output);
    let ratio = desc.scale_factors[i].map_or(input as f64 / output as f64, |factor| 1.0 / factor);
    let scale = |align_corners: bool| match align_corners {
        true if output > 1 => last as f64 / (output - 1) as f64,
        true => 0.0,
        false => ratio,
    };
    let middle = |o: usize, align_corners: bool| {
        let scale = scale(align_corners);
        if align_corners { scale * o as f64 } else { scale * (o as f64 + 0.5) - 0.5 }
    };
    let cubic = |x: f64, a: f64| match x.abs() {
        x if x < 1.0 => (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0,
        x if x < 2.0 => a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a,
        _ => 0.0,
    };
    let clamped = |at: isize| at.clamp(0, last) as usize;
    let antialiased = |o: usize, align_corners: bool, radius: f64, filter: &dyn Fn(f64) -> f64| {
        let scale = scale(align_corners);
        let (wide, centre) = (scale.max(1.0), scale * (o as f64 + 0.5));
        let weight = |at: usize| filter((at as f64 + 0.5 - centre) / wide);
        let near = |at: &usize| (*at as f64 + 0.5 - centre).abs() < radius * wide;
        let total: f64 = (0..input).filter(near).map(weight).sum();
        (0..input).filter(near).map(|at| (at, weight(at) / total)).collect::<Vec<_>>()
    };
    let one = |o: usize| match desc.mode {
        _ if same && !matches!(desc.mode, ResizeMode::Cubic { antialias: false, .. }) => vec![(o, 1.0)],
        // In single precision: at the border between two pixels torch's rounding decides.
        ResizeMode::Nearest => vec![(clamped((o as f32 * ratio as f32).floor() as isize), 1.0)],
        ResizeMode::NearestExact => {
            vec![(clamped(((o as f32 + 0.5) * ratio as f32).floor() as isize), 1.0)]
        }
        ResizeMode::Linear { antialias: false, align_corners } => {
            let at = middle(o, align_corners).clamp(0.0, last as f64);
            let part = at - at.floor();
            vec![(at as usize, 1.0 - part), (clamped(at as isize + 1), part)]
        }
        ResizeMode::Cubic { antialias: false, align_corners } => {
            let at = middle(o, align_corners);
            let before = at.floor();
            let weight = |j: isize| cubic(at - before - j as f64, -0.75);
            (-1..3).map(|j| (clamped(before as isize + j), weight(j))).collect()
        }
        ResizeMode::Linear { align_corners, .. } => {
            antialiased(o, align_corners, 1.0, &|x: f64| (1.0 - x.abs()).max(0.0))
        }
        ResizeMode::Cubic { align_corners, .. } => {
            antialiased(o, align_corners, 2.0, &|x: f64| cubic(x, -0.5))
        }
    };
    (0..output).map(one).collect()
}

fn check(desc: &ResizeDesc) -> TestCaseResult {
    let (x, y) = (&desc.input, &desc.output);
    let memory = filled(x.view(), |i| uniform(1, i));
    let [down, across] = [axis_f64(desc, 0), axis_f64(desc, 1)];
    let mut expected = Vec::new();
    for n in 0..y.batch {
        for c in 0..y.channels {
            for down in &down {
                for across in &across {
                    let mut sum = 0.0;
                    for &(iy, wy) in down {
                        for &(ix, wx) in across {
                            sum += wy * wx * f64::from(memory[x.at(n, iy, ix) + c]);
                        }
                    }
                    expected.push(sum);
                }
            }
        }
    }
    for isa in Isa::available() {
        let prepare = |threads| prepare(desc, isa, threads).unwrap();
        let found = run(&*prepare(1), &[&memory], y.view());
        for (i, (&y, &expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert!(close(y, expected, 4e-5), "{desc:?} {}: {i} {y}, {expected}", prepare(1).name());
        }
        prop_assert!(same_bits(&found, &run(&*prepare(3), &[&memory], y.view())));
    }
    Ok(())
}

fn modes() -> impl Strategy<Value = ResizeMode> {
    prop_oneof![
        Just(ResizeMode::Nearest),
        Just(ResizeMode::NearestExact),
        any::<[bool; 2]>()
            .prop_map(|[align_corners, antialias]| ResizeMode::Linear { align_corners, antialias }),
        any::<[bool; 2]>()
            .prop_map(|[align_corners, antialias]| ResizeMode::Cubic { align_corners, antialias }),
    ]
}

#[test]
fn resizes_of_all_kinds() {
    let gaps = || prop_oneof![2 => Just([0; 3]), 1 => [0..5_usize, 0..5_usize, 0..5_usize]];
    let sizes = (1..=2_usize, [1..=13_usize, 1..=13_usize], [1..=17_usize, 1..=17_usize], 1..=70_usize);
    let factor = prop_oneof![2 => Just(None), 1 => (0.3..3.0_f64).prop_map(Some)];
    for_all((modes(), sizes, factor, gaps(), gaps()), 400, |(mode, sizes, factor, from, to)| {
        let (batch, [height, width], [mut out_height, out_width], channels) = sizes;
        // A given factor determines the output's size.
        if let Some(factor) = factor {
            out_height = (height as f64 * factor).floor() as usize;
        }
        check(&ResizeDesc {
            input: gapped(FeatureMap::nhwc(batch, height, width, channels), from),
            output: gapped(FeatureMap::nhwc(batch, out_height, out_width, channels), to),
            mode,
            scale_factors: [factor, None],
        })
    });
}

#[test]
fn maps_of_segmentation_networks() {
    for (from, to, channels) in [([9, 9], [65, 65], 21), ([16, 12], [32, 24], 256), ([40, 30], [7, 5], 3)] {
        for mode in [
            ResizeMode::Linear { align_corners: false, antialias: false },
            ResizeMode::Cubic { align_corners: true, antialias: false },
            ResizeMode::Linear { align_corners: false, antialias: true },
        ] {
            check(&ResizeDesc {
                input: FeatureMap::nhwc(1, from[0], from[1], channels),
                output: FeatureMap::nhwc(1, to[0], to[1], channels),
                mode,
                scale_factors: [None; 2],
            })
            .unwrap();
        }
    }
}

/// A picture of 4x5 pixels.
fn picture(i: usize) -> f32 {
    ((i * 7 % 11) as f32 - 5.0) / 4.0
}

fn check_against_torch(
    mode: ResizeMode,
    size: [usize; 2],
    scale_factors: [Option<f64>; 2],
    expected: &[f32],
) {
    let (input, output) = (FeatureMap::nhwc(1, 4, 5, 1), FeatureMap::nhwc(1, size[0], size[1], 1));
    let memory = filled(input.view(), picture);
    for isa in Isa::available() {
        let desc = ResizeDesc { input, output, mode, scale_factors };
        let found = run(&*prepare(&desc, isa, 1).unwrap(), &[&memory], output.view());
        let same = found.iter().zip(expected).all(|(&y, &e)| close(y, f64::from(e), 2e-6));
        assert!(found.len() == expected.len() && same, "{mode:?} {}: {found:?}, {expected:?}", isa.name());
    }
}

/// torch 2.14's results for the picture at 6x3 pixels.
#[test]
fn sizes_as_torch() {
    for (mode, expected) in [
        (
            ResizeMode::Nearest,
            [
                -1.25, 0.5, 1.25, -1.25, 0.5, 1.25, -0.75, 1.0, -1.0, -0.25, -1.25, -0.5, -0.25, -1.25, -0.5,
                0.25, -0.75, 0.0,
            ],
        ),
        (
            ResizeMode::NearestExact,
            [
                -1.25, -0.5, 0.25, -0.75, 0.0, 0.75, -0.75, 0.0, 0.75, -0.25, 0.5, 1.25, 0.25, 1.0, -1.0,
                0.25, 1.0, -1.0,
            ],
        ),
        (
            ResizeMode::Linear { align_corners: false, antialias: false },
            [
                -0.666_667, -0.5, 0.583_333, -0.416_667, -0.25, 0.375, -0.236_111, 0.083_333, 0.25,
                -0.513_889, 0.416_667, 0.583_333, -0.333_333, 0.75, 0.0, -0.083_333, 1.0, -0.666_667,
            ],
        ),
        (
            ResizeMode::Linear { align_corners: false, antialias: true },
            [
                -0.5, 0.111_111, 0.678_572, -0.25, 0.055_556, 0.339_286, -0.113_095, -0.018_519, 0.083_333,
                -0.565_476, -0.092_593, 0.416_667, -0.428_571, 0.138_889, -0.035_714, -0.178_571, 0.388_889,
                -0.571_428,
            ],
        ),
        (
            ResizeMode::Linear { align_corners: true, antialias: false },
            [
                -1.25, -0.5, 0.25, -0.95, -0.2, 0.55, -0.65, 0.1, 0.85, -0.35, 0.4, 1.15, -0.05, 0.7, 0.35,
                0.25, 1.0, -1.0,
            ],
        ),
        (
            ResizeMode::Linear { align_corners: true, antialias: true },
            [
                -0.392_857, 0.375, 0.5, -0.192_857, 0.162_5, 0.425, 0.107_143, -0.156_25, 0.312_5, -0.3,
                -0.062_5, 0.612_5, -0.471_429, 0.031_25, 0.5, -0.171_428, 0.125, -0.437_5,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: false, antialias: false },
            [
                -0.686_921, -0.543_403, 0.707_048, -0.344_907, -0.296_875, 0.355_903, -0.183_213, 0.106_481,
                0.194_299, -0.622_342, 0.393_518, 0.682_918, -0.460_648, 0.796_875, -0.001_736, -0.118_634,
                1.043_403, -0.860_902,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: false, antialias: true },
            [
                -0.584_615, 0.189_611, 0.736_285, -0.228_28, 0.104_651, 0.311_991, -0.020_994, -0.038_682,
                0.002_662, -0.623_13, -0.193_408, 0.531_472, -0.466_516, 0.130_506, -0.005_882, -0.155_567,
                0.464_045, -0.634_413,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: true, antialias: false },
            [
                -1.25, -0.5, 0.25, -0.998, -0.248, 0.502, -0.626, 0.124, 0.94, -0.374, 0.376, 1.39, -0.002,
                0.748, 0.430_999, 0.25, 1.0, -1.0,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: true, antialias: true },
            [
                -0.504_756, 0.476_241, 0.532_724, -0.212_71, 0.200_054, 0.455_005, 0.144_351, -0.197_417,
                0.400_391, -0.350_134, -0.113_926, 0.882_406, -0.593_417, 0.055_278, 0.688_746, -0.186_373,
                0.187_727, -0.642_182,
            ],
        ),
    ] {
        check_against_torch(mode, [6, 3], [None; 2], &expected);
    }
}

/// torch 2.14's results for the picture with `scale_factor=(0.7, 1.55)`.
#[test]
fn scale_factors_as_torch() {
    for (mode, expected) in [
        (
            ResizeMode::Nearest,
            [-1.25, -1.25, 0.5, 0.5, -0.5, 1.25, 1.25, -0.75, -0.75, 1.0, 1.0, 0.0, -1.0, -1.0],
        ),
        (
            ResizeMode::NearestExact,
            [-1.25, -1.25, 0.5, -0.5, -0.5, 1.25, 0.25, -0.25, -0.25, -1.25, 0.5, 0.5, -0.5, 1.25],
        ),
        (
            ResizeMode::Linear { align_corners: false, antialias: false },
            [
                -1.142_857, -0.324_309, 0.494_24, -0.150_922, 0.075_173, 0.747_984, 0.483_007, -0.428_571,
                -0.436_924, -0.359_735, 0.135_657, -0.081_797, -0.593_894, 0.535_138,
            ],
        ),
        (
            ResizeMode::Linear { align_corners: false, antialias: true },
            [
                -1.076_923, -0.258_375, 0.560_174, -0.084_988, -0.005_118, 0.468_828, 0.437_81, -0.435_185,
                -0.378_883, -0.243_728, 0.162_485, -0.088_411, -0.605_436, 0.457_885,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: false, antialias: false },
            [
                -1.332_677, -0.228_55, 0.666_688, -0.251_114, -0.019_013, 0.830_648, 0.527_845, -0.439_302,
                -0.545_166, -0.426_18, 0.247_398, -0.227_031, -0.818_04, 0.666_66,
            ],
        ),
        (
            ResizeMode::Cubic { align_corners: false, antialias: true },
            [
                -1.253_328, -0.243_845, 0.765_053, -0.170_929, -0.104_059, 0.546_48, 0.444_538, -0.422_283,
                -0.421_275, -0.281_844, 0.279_928, -0.124_119, -0.740_824, 0.550_217,
            ],
        ),
    ] {
        check_against_torch(mode, [2, 7], [Some(0.7), Some(1.55)], &expected);
    }
}

/// Far along a row a position's rounding matters: torch rounds `scale * (o + 0.5) - 0.5` once.
#[test]
fn positions_are_rounded_as_torchs() {
    let (input, output) = (FeatureMap::nhwc(1, 1, 524, 1), FeatureMap::nhwc(1, 1, 647, 1));
    let mode = ResizeMode::Linear { align_corners: false, antialias: false };
    let desc = ResizeDesc { input, output, mode, scale_factors: [None; 2] };
    // torch's results for 0, 1, 0, 1, ...: the weight of the odd pixel.
    let memory = filled(input.view(), |i| (i % 2) as f32);
    for isa in Isa::available() {
        let found = run(&*prepare(&desc, isa, 1).unwrap(), &[&memory], output.view());
        for (o, expected) in [(316, 0.169_235_23), (632, 0.243_438_72)] {
            assert_eq!(found[o], expected, "{} at {o}", isa.name());
        }
    }
}

#[test]
fn nothing_to_resize() {
    for (input, output) in [
        (FeatureMap::nhwc(0, 3, 3, 2), FeatureMap::nhwc(0, 5, 5, 2)),
        (FeatureMap::nhwc(1, 3, 3, 0), FeatureMap::nhwc(1, 5, 5, 0)),
    ] {
        for mode in [ResizeMode::Nearest, ResizeMode::Cubic { align_corners: false, antialias: true }] {
            let desc = ResizeDesc { input, output, mode, scale_factors: [None; 2] };
            assert!(prepare(&desc, Isa::Portable, 2).unwrap().phases().is_empty());
        }
    }
}
