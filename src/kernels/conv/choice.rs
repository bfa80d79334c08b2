//! Which candidate computes a convolution: the ordered list, choosing from it, and forcing one.

use std::sync::OnceLock;

use super::desc::{Candidate, ConvDesc};
use super::{depthwise, gaxpy, gemv, grouped, igemm, im2col, planes, stem, winograd};
use crate::error::{Error, Result};
use crate::simd::Isa;

/// Forces the candidate of that name wherever it accepts.
const FORCE_VARIABLE: &str = "RVISION_CONV";

/// All candidates of all instruction sets in the order of preference: the first of the wanted
/// instruction set that accepts and prefers a convolution wins. The last does so with everything on every
/// processor. `cargo bench --bench choice` compares what wins with all others.
pub fn candidates() -> impl Iterator<Item = &'static Candidate> {
    let lists = [
        depthwise::CANDIDATES,
        grouped::CANDIDATES,
        planes::CANDIDATES,
        stem::CANDIDATES,
        gaxpy::CANDIDATES,
        gemv::CANDIDATES,
        winograd::CANDIDATES,
        igemm::CANDIDATES,
        im2col::CANDIDATES,
    ];
    lists.into_iter().flatten()
}

/// The candidate that the user forces. It is read once, as the instruction set is: plans are kept, and those
/// that are must not differ from new ones.
fn forced() -> Option<&'static str> {
    static FORCED: OnceLock<Option<String>> = OnceLock::new();
    let read = || Some(std::env::var_os(FORCE_VARIABLE)?.to_string_lossy().into_owned());
    FORCED.get_or_init(read).as_deref()
}

/// Whether the user forces a candidate: then no two convolutions become one kernel.
pub fn is_forced() -> bool {
    forced().is_some()
}

/// The candidate for a convolution on `isa`.
///
/// # Errors
/// [`Error::Environment`] if `RVISION_CONV` names no candidate.
///
/// # Panics
/// If no candidate accepts and prefers it, which the last one rules out.
pub fn choose(desc: &ConvDesc, isa: Isa) -> Result<&'static Candidate> {
    // Our own portable kernels come last: no order of the list makes up for the lack of vectors.
    let usable = |isa: Isa| candidates().filter(move |c| c.isa == isa && (c.accepts)(desc));
    let all = || usable(isa).chain(usable(Isa::Portable));
    if let Some(forced) = forced() {
        if candidates().all(|c| c.name != forced) {
            let names: Vec<_> = candidates().map(|c| c.name).collect();
            return Err(Error::Environment {
                variable: FORCE_VARIABLE,
                value: forced.to_owned(),
                expected: format!("one of {}", names.join(", ")),
            });
        }
        if let Some(candidate) = all().find(|c| c.name == forced) {
            return Ok(candidate);
        }
    }
    let preferred = all().find(|c| (c.prefers)(desc));
    Ok(preferred.expect("the last candidate takes every convolution"))
}
