use super::CANDIDATES;
use crate::kernels::conv::{ConvDesc, Padding};
use crate::kernels::testing::{ConvProblem, ConvRanges, for_problems};
use crate::tensor::{Activation, ElementType, FeatureMap};

fn ranges() -> ConvRanges {
    ConvRanges {
        size: 1..=20,
        groups: 2..=75,
        inputs: 1..=1,
        outputs: 1..=1,
        kernel: 1..=7,
        planar: false,
        ..Default::default()
    }
}

#[test]
fn depthwise_convolutions() {
    for_problems(ranges(), 300, |problem: ConvProblem| {
        for candidate in CANDIDATES.iter().filter(|c| c.isa.is_available()) {
            assert!((candidate.accepts)(&problem.desc));
            for threads in [1, 3] {
                problem.check(candidate, threads, 1e-6)?;
            }
        }
        Ok(())
    });
}

/// Rows in which all taps are inside the picture only in the middle, or nowhere.
#[test]
fn wide_dilations() {
    let dense = ConvRanges {
        size: 1..=50,
        groups: 2..=40,
        stride: 1..=1,
        dilation: 2..=32,
        padding: 0..=40,
        ..ranges()
    };
    for_problems(dense, 100, |problem: ConvProblem| {
        for candidate in CANDIDATES.iter().filter(|c| c.isa.is_available()) {
            for threads in [1, 3] {
                problem.check(candidate, threads, 1e-6)?;
            }
        }
        Ok(())
    });
}

/// The shapes of networks, for which there are specialised loops.
#[test]
fn depthwise_convolutions_of_networks() {
    for (kernel, stride, size, channels) in [
        (3, 1, 14, 40),
        (3, 2, 15, 24),
        (3, 1, 7, 96),
        (5, 1, 13, 17),
        (5, 2, 14, 72),
        (7, 1, 16, 33),
        (7, 2, 9, 8),
        (3, 1, 70, 19),
        (7, 1, 67, 9),
    ] {
        let pad = kernel / 2;
        let out = (size + 2 * pad - kernel) / stride + 1;
        let mut problem = ConvProblem::of(&ConvDesc {
            input: FeatureMap::nhwc(2, size, size, channels),
            output: FeatureMap::nhwc(2, out, out, channels),
            residual: None,
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            padding: Padding { top: pad, left: pad, bottom: pad, right: pad },
            groups: channels,
            weights: ElementType::F32,
            activation: Activation::Silu,
        });
        for candidate in CANDIDATES.iter().filter(|c| c.isa.is_available()) {
            problem.check(candidate, 2, 1e-6).unwrap();
            let together = problem.run(candidate, 2);
            // The first picture alone, with other threads, has the same bits.
            let batch = problem.desc;
            problem.desc.input.batch = 1;
            problem.desc.output.batch = 1;
            assert_eq!(problem.run(candidate, 1), together[..together.len() / 2], "{}", candidate.name);
            problem.desc = batch;
        }
    }
}
