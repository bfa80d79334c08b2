use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{ExpandDepthwiseDesc, ProjectDesc};
use crate::kernels::conv::{ConvDesc, Padding};
use crate::kernels::testing::{
    ConvProblem, ConvRanges, Guarded, ResidualAt, filled, for_problems, gapped, offsets,
};
use crate::simd::Isa;
use crate::tensor::{Activation, ElementType, FeatureMap};

/// The depthwise problem after a 1x1 convolution of `inputs` channels.
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
            weights: ElementType::F32,
            activation: outer.desc.activation,
        },
        seed: outer.seed + 100,
        ..outer.clone()
    };
    let desc = ExpandDepthwiseDesc { expand: inner.desc, depthwise: outer.desc };
    (inner, desc)
}

/// The pair gives the bits of its two separate convolutions, with any number of threads.
fn check(outer: &ConvProblem, inputs: usize) -> TestCaseResult {
    let (inner, desc) = pair(outer, inputs);
    for isa in Isa::available() {
        let Some([expand, depthwise]) = desc.parts(isa) else { continue };
        let between = spread(outer.desc.input, &inner.run(expand, 1));
        let packed = [inner.pack(expand), outer.pack(depthwise)];
        let alone = (depthwise.prepare)(&outer.desc, packed[1].clone(), outer.epilogue(), 1).unwrap();
        let expected = outer.run_kernel(&*alone, between);
        for threads in [1, 3] {
            let kernel =
                desc.prepare(packed.clone(), [inner.epilogue(), outer.epilogue()], isa, threads).unwrap();
            let found = outer.run_kernel(&*kernel, filled(inner.desc.input, inner.seed));
            same_bits(kernel.name(), &found, &expected)?;
        }
    }
    Ok(())
}

/// A map's memory with these values, in the order picture, row, column, channel, and NaN in its
/// gaps.
fn spread(map: FeatureMap, values: &[f32]) -> Guarded {
    let mut memory = Guarded::poisoned(map.view().end());
    offsets(map).zip(values).for_each(|(at, &x)| memory[at] = x);
    memory
}

fn same_bits(name: &str, found: &[f32], expected: &[f32]) -> TestCaseResult {
    prop_assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        // A sum of zeros may have either sign.
        let same = a.to_bits() == b.to_bits() || (*a == 0.0 && *b == 0.0);
        prop_assert!(same, "{name}: value {i}: {a}, expected {b}");
    }
    Ok(())
}

/// The projection to `outputs` channels after a depthwise problem, with its seed's residual.
fn projection(outer: &ConvProblem, outputs: usize) -> ConvProblem {
    let wide = outer.desc.output;
    let map = FeatureMap { channels: outputs, ..wide };
    let output = gapped(map, [outer.seed as usize % 2 * 5, 0, 2]);
    let desc = ConvDesc {
        input: wide,
        output,
        residual: match outer.residual {
            ResidualAt::Nowhere => None,
            ResidualAt::Elsewhere => Some(gapped(map, [1, 2, 3])),
            ResidualAt::Output => Some(output),
        },
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::default(),
        groups: 1,
        weights: ElementType::F32,
        activation: outer.desc.activation,
    };
    ConvProblem { desc, seed: outer.seed + 200, ..outer.clone() }
}

/// A depthwise convolution and its projection, after an expansion of `inputs` channels if there is
/// one, give the bits of the separate convolutions, with any number of threads.
fn check_projected(outer: &ConvProblem, inputs: Option<usize>, outputs: usize) -> TestCaseResult {
    let last = projection(outer, outputs);
    let mut outer = outer.clone();
    outer.desc.residual = None;
    let inner = inputs.map(|inputs| pair(&outer, inputs).0);
    let desc = ProjectDesc {
        expand: inner.as_ref().map(|inner| inner.desc),
        depthwise: outer.desc,
        project: last.desc,
    };
    let problems: Vec<&ConvProblem> = inner.iter().chain([&outer, &last]).collect();
    let input = || filled(problems[0].desc.input, problems[0].seed);
    for isa in Isa::available() {
        let Some(parts) = desc.parts(isa) else { continue };
        let packed: Vec<_> = problems.iter().zip(&parts).map(|(problem, part)| problem.pack(part)).collect();
        let epilogues: Vec<_> = problems.iter().map(|problem| problem.epilogue()).collect();
        let mut expected = Vec::new();
        for (i, (problem, part)) in problems.iter().zip(&parts).enumerate() {
            let from = if i == 0 { input() } else { spread(problem.desc.input, &expected) };
            let alone = (part.prepare)(&problem.desc, packed[i].clone(), epilogues[i].clone(), 1).unwrap();
            expected = problem.run_kernel(&*alone, from);
        }
        for threads in [1, 3] {
            let kernel = desc.prepare(packed.clone(), epilogues.clone(), isa, threads).unwrap();
            same_bits(kernel.name(), &last.run_kernel(&*kernel, input()), &expected)?;
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

#[test]
fn projections_have_the_bits_of_their_parts() {
    for_problems(ranges(), 200, |problem| {
        let seed = problem.seed as usize;
        let inputs = (!seed.is_multiple_of(3)).then_some(1 + seed % 40);
        check_projected(&problem, inputs, 1 + seed / 7 % 70)
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
        check(&depthwise(size, channels, kernel, stride), inputs).unwrap();
    }
}

#[test]
fn projections_of_networks() {
    for (size, inputs, channels, outputs, kernel, stride) in [
        (112, None, 32, 16, 3, 1),
        (112, Some(16), 96, 24, 3, 2),
        (56, Some(24), 144, 24, 3, 1),
        (57, Some(24), 72, 40, 5, 2),
        (57, None, 24, 58, 3, 2),
        (28, Some(40), 240, 40, 5, 1),
        (14, Some(64), 384, 96, 3, 1),
        // Sums of more than one chain, and pixels that would map to few cache sets.
        (15, Some(33), 1024, 33, 3, 2),
    ] {
        for residual in [ResidualAt::Nowhere, ResidualAt::Output] {
            let problem = ConvProblem { residual, ..depthwise(size, channels, kernel, stride) };
            check_projected(&problem, inputs, outputs).unwrap();
            check_projected(&problem.with_weights(ElementType::F16), inputs, outputs).unwrap();
        }
    }
}

/// Two square pictures, padded to keep their size at stride 1.
fn depthwise(size: usize, channels: usize, kernel: usize, stride: usize) -> ConvProblem {
    let padding = kernel / 2;
    let out = (size + 2 * padding - kernel) / stride + 1;
    ConvProblem::of(&ConvDesc {
        input: FeatureMap::nhwc(2, size, size, channels),
        output: FeatureMap::nhwc(2, out, out, channels),
        residual: None,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
        groups: channels,
        weights: ElementType::F32,
        activation: Activation::Silu,
    })
}
