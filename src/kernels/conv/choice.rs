//! The choice of a convolution's candidate: the ordered list, choosing from it, and forcing one.

use super::desc::{Candidate, ConvDesc};
use super::{depthwise, gaxpy, gemv, grouped, igemm, im2col, planes, stem, winograd};
use crate::simd::Isa;

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

/// The candidate for a convolution on `isa`: the one named `forced` if it accepts the convolution
/// there, else the first that accepts and prefers it.
///
/// # Panics
/// If no candidate accepts and prefers it, which cannot happen because of the last one.
pub fn choose(desc: &ConvDesc, isa: Isa, forced: Option<&str>) -> &'static Candidate {
    // Our own portable kernels come last: no order of the list compensates for the lack of vectors.
    let usable = |isa: Isa| candidates().filter(move |c| c.takes(desc, isa));
    let all = || usable(isa).chain(usable(Isa::Portable));
    let wanted = forced.and_then(|name| all().find(|c| c.name == name));
    let preferred = || all().find(|c| (c.prefers)(desc)).expect("the last candidate takes every convolution");
    wanted.unwrap_or_else(preferred)
}
