//! Every candidate, on every instruction set the machine has, against the f64 oracle.

use super::{Candidate, candidates};
use crate::kernels::testing::{ConvProblem, ConvRanges, for_problems};

/// Relative to the largest sum of magnitudes; Winograd's transforms cost more than a direct sum.
fn tolerance(candidate: &Candidate) -> f64 {
    if candidate.name.contains("winograd") { 4e-5 } else { 1e-6 }
}

fn check_all(ranges: ConvRanges, cases: u32) {
    for_problems(ranges, cases, |problem: ConvProblem| {
        for candidate in candidates().filter(|c| c.isa.is_available() && (c.accepts)(&problem.desc)) {
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
