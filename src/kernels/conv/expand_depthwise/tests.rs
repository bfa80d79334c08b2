use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::ExpandDepthwiseDesc;
use crate::kernels::conv::{ConvDesc, Padding};
use crate::kernels::testing::{ConvProblem, ConvRanges, Guarded, filled, for_problems, offsets};
use crate::simd::Isa;
use crate::tensor::{Activation, FeatureMap};

/// The depthwise problem behind a 1x1 convolution of `inputs` channels.
fn pair(outer: &ConvProblem, inputs: usize) -> (ConvProblem, ExpandDepthwiseDesc) {
    let wide = outer.desc.input;
    let narrow = FeatureMap::nhwc(wide.batch, wide.height, wide.width, inputs);
    let inner = ConvProblem {
        desc: ConvDesc {
            input: FeatureMap {
                pixel_stride: inputs + 3,
                row_stride: wide.width * (inputs + 3) + 1,
                image_stride: wide.height * (wide.width * (inputs + 3) + 1),
                ..narrow
            },
            output: wide,
            residual: None,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::default(),
            groups: 1,
            activation: outer.desc.activation,
        },
        seed: outer.seed + 100,
        ..outer.clone()
    };
    let desc = ExpandDepthwiseDesc { expand: inner.desc, depthwise: outer.desc };
    (inner, desc)
}

/// The pair has the bits of its two convolutions one after the other, with any number of threads.
fn check(outer: &ConvProblem, inputs: usize) -> TestCaseResult {
    let (inner, desc) = pair(outer, inputs);
    for isa in Isa::available() {
        let Some([expand, depthwise]) = desc.parts(isa) else { continue };
        let wide = inner.run(expand, 1);
        let mut between = Guarded::poisoned(outer.desc.input.view().end());
        offsets(outer.desc.input).zip(&wide).for_each(|(at, &x)| between[at] = x);
        let packed = [inner.pack(expand), outer.pack(depthwise)];
        let alone = (depthwise.prepare)(&outer.desc, packed[1].clone(), outer.epilogue(), 1);
        let expected = outer.run_kernel(&*alone, between);
        for threads in [1, 3] {
            let kernel = desc.prepare(packed.clone(), [inner.epilogue(), outer.epilogue()], isa, threads);
            let found = outer.run_kernel(&*kernel, filled(inner.desc.input, inner.seed));
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                // A sum of zeros may have either sign.
                prop_assert!(
                    a.to_bits() == b.to_bits() || (*a == 0.0 && *b == 0.0),
                    "{}: value {i}: {a}, expected {b}",
                    kernel.name()
                );
            }
        }
    }
    Ok(())
}

fn ranges() -> ConvRanges {
    ConvRanges {
        groups: 2..=75,
        inputs: 1..=1,
        outputs: 1..=1,
        kernel: 1..=7,
        dilation: 1..=1,
        size: 1..=20,
        planar: false,
        ..ConvRanges::default()
    }
}

#[test]
fn pairs_have_the_bits_of_their_parts() {
    for_problems(ranges(), 200, |problem| {
        let mut problem = problem;
        problem.desc.residual = None;
        check(&problem, 1 + problem.seed as usize % 40)
    });
}

/// Maps of more than one band, and the shapes of networks.
#[test]
fn pairs_of_networks() {
    for (size, inputs, channels, kernel, stride) in [
        (112, 16, 40, 3, 2),
        (56, 24, 33, 3, 1),
        (57, 9, 48, 5, 2),
        (28, 40, 100, 5, 1),
        (14, 700, 48, 3, 1),
        (7, 40, 96, 5, 1),
        (40, 3, 20, 7, 1),
    ] {
        let padding = kernel / 2;
        let out = (size + 2 * padding - kernel) / stride + 1;
        let desc = ConvDesc {
            input: FeatureMap::nhwc(2, size, size, channels),
            output: FeatureMap::nhwc(2, out, out, channels),
            residual: None,
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1, 1],
            padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
            groups: channels,
            activation: Activation::Silu,
        };
        check(&ConvProblem::of(&desc), inputs).unwrap();
    }
}
