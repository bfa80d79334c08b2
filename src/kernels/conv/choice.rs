//! The choice of a convolution's candidate: the ordered list, choosing from it, and forcing one.

use std::sync::OnceLock;

use super::desc::{Candidate, ConvDesc};
use super::{depthwise, gaxpy, gemv, grouped, igemm, im2col, planes, stem, winograd};
use crate::error::{Error, Result};
use crate::simd::Isa;

/// Forces the candidate of this name wherever it accepts.
const FORCE_VARIABLE: &str = "RVISION_CONV";

/// All candidates of all instruction sets in order of preference: the first of the requested
/// instruction set that accepts and prefers a convolution is chosen. The last accepts and prefers
/// every convolution on every processor. `cargo bench --bench choice` compares the choice with all
/// others.
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

/// The candidate that the user forces. It is read once, like the instruction set: plans are cached,
/// and cached plans must not differ from new ones.
fn forced() -> Option<&'static str> {
    static FORCED: OnceLock<Option<String>> = OnceLock::new();
    let read = || Some(std::env::var_os(FORCE_VARIABLE)?.to_string_lossy().into_owned());
    FORCED.get_or_init(read).as_deref()
}

/// Whether the user forces a candidate: then no convolutions are fused.
pub fn is_forced() -> bool {
    forced().is_some()
}

/// The candidate for a convolution on `isa`.
///
/// # Errors
/// [`Error::Environment`] if `RVISION_CONV` names no candidate.
///
/// # Panics
/// If no candidate accepts and prefers it, which cannot happen because of the last one.
pub fn choose(desc: &ConvDesc, isa: Isa) -> Result<&'static Candidate> {
    // Our own portable kernels come last: no order of the list compensates for the lack of vectors.
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
