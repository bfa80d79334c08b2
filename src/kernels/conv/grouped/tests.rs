use super::CANDIDATES;
use crate::kernels::testing::{ConvProblem, ConvRanges, for_problems};

/// Checks every accepting candidate on generated convolutions of this width.
fn check(width: usize, groups: std::ops::RangeInclusive<usize>, cases: u32) {
    let ranges = ConvRanges {
        groups,
        inputs: width..=width,
        outputs: width..=width,
        kernel: 1..=4,
        planar: false,
        ..Default::default()
    };
    for_problems(ranges, cases, |problem: ConvProblem| {
        for candidate in CANDIDATES.iter().filter(|c| c.isa.is_available() && (c.accepts)(&problem.desc)) {
            for threads in [1, 3] {
                problem.check(candidate, threads, 1e-6)?;
            }
            // The first picture alone has the same bits.
            let mut alone = problem.clone();
            alone.desc.input.batch = 1;
            alone.desc.output.batch = 1;
            alone.desc.residual =
                alone.desc.residual.map(|map| crate::tensor::FeatureMap { batch: 1, ..map });
            let (alone, all) = (alone.run(candidate, 2), problem.run(candidate, 1));
            assert!(alone.iter().zip(&all).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", candidate.name);
        }
        Ok(())
    });
}

#[test]
fn groups_of_4() {
    check(4, 2..=12, 200);
}

#[test]
fn groups_of_8() {
    check(8, 2..=5, 100);
}

#[test]
fn groups_of_16_24_32_and_more() {
    for width in [16, 24, 32, 40, 64] {
        check(width, 2..=3, 40);
    }
}

#[test]
fn long_sums_are_cut() {
    check(136, 2..=2, 10);
}

#[test]
fn declines_what_it_cannot_do() {
    for (inputs, outputs) in [(3, 3), (4, 8), (12, 12)] {
        let ranges = ConvRanges {
            groups: 2..=3,
            inputs: inputs..=inputs,
            outputs: outputs..=outputs,
            ..Default::default()
        };
        for_problems(ranges, 5, |problem: ConvProblem| {
            assert!(CANDIDATES.iter().all(|c| !(c.accepts)(&problem.desc)));
            Ok(())
        });
    }
}
