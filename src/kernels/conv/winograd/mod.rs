//! Winograd's minimal filtering for 3x3 convolutions: fewer products for more additions.
//!
//! The output is cut into tiles of 4x4 (F4) or 2x2 (F2) pixels. A tile's 6x6 (4x4) input pixels
//! and each 3x3 filter are transformed to 36 (16) values; multiplied value by value and summed
//! over the input channels they are 36 (16) matrix products [tiles x ic] [ic x oc]; and the result
//! is transformed back to the output pixels. That is 4 (2.25) times fewer multiplications than the
//! direct way, at the price of 4 (1.8) times the weights and of a relative error of up to 2e-5
//! (1e-6) of the largest output.
//!
//! See Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015.

mod geometry;
mod kernel;
mod panels;
mod stages;
#[cfg(test)]
mod tests;
mod transforms;

use super::{Candidate, ConvDesc};
use crate::kernels::{Epilogue, Kernel};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Isa, Simd};
use crate::tensor::{Form, Packed};

use geometry::Tiling;
use kernel::Winograd;
use panels::TransformedWeights;
use stages::Convolution;
use transforms::{Algorithm, F2, F4};

/// Fewer input channels than these make the products so short that transforms outweigh them.
const MIN_INPUTS: usize = 16;
/// Shorter sides of the output from which on F4 is chosen. Below, its tiles waste pixels and, at
/// batch 1, reading its weights costs more than multiplying F2's.
const MIN_SIDE_F4: usize = 13;
/// Shorter sides of the output from which on F2 is chosen.
const MIN_SIDE_F2: usize = 3;

/// Tiles of a dilated convolution from which on F4 is chosen: as many as there are at [`MIN_SIDE_F4`].
const MIN_TILES_F4: usize = 16;

/// Whether Winograd's algorithm applies at all.
fn accepts(desc: &ConvDesc) -> bool {
    desc.kernel == [3, 3] && desc.stride == [1, 1] && desc.groups == 1 && desc.input.channels_last()
}

/// Shorter side of the output.
fn shorter_side(desc: &ConvDesc) -> usize {
    desc.output.height.min(desc.output.width)
}

/// Products per picture and pair of channels with tiles of `size` pixels.
fn products(desc: &ConvDesc, size: usize) -> usize {
    Tiling::new(desc, size).per_picture * (size + 2).pow(2)
}

/// Whether so many products are worth the transforms, which take a third of the products' time, or
/// less.
fn saves(desc: &ConvDesc, products: usize) -> bool {
    4 * products < 3 * 9 * desc.output.height * desc.output.width
}

fn prefers_f4(desc: &ConvDesc) -> bool {
    let well = || {
        if desc.dilation == [1, 1] {
            return shorter_side(desc) >= MIN_SIDE_F4;
        }
        // The plain convolutions of a dilated one may be small, yet together they are many.
        let [f4, f2] = [4, 2].map(|size| products(desc, size));
        Tiling::new(desc, 4).per_picture >= MIN_TILES_F4 && f4 <= f2 && saves(desc, f4)
    };
    desc.input.channels >= MIN_INPUTS && well()
}

fn prefers_f2(desc: &ConvDesc) -> bool {
    let well = || {
        if desc.dilation == [1, 1] {
            return shorter_side(desc) >= MIN_SIDE_F2;
        }
        saves(desc, products(desc, 2))
    };
    desc.input.channels >= MIN_INPUTS && well()
}

/// The names of F4's and F2's kernels.
const fn names(isa: Isa) -> [&'static str; 2] {
    match isa {
        Isa::Portable => ["f32_winograd_f4_3x3_portable", "f32_winograd_f2_3x3_portable"],
        Isa::Portable16 => ["f32_winograd_f4_3x3_portable16", "f32_winograd_f2_3x3_portable16"],
        Isa::Avx2 => ["f32_winograd_f4_3x3_avx2", "f32_winograd_f2_3x3_avx2"],
        Isa::Avx512 => ["f32_winograd_f4_3x3_avx512", "f32_winograd_f2_3x3_avx512"],
    }
}

/// The algorithm with `S`'s vectors, `LANES` floats each.
const fn candidate<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize, const LANES: usize>(
    prefers: fn(&ConvDesc) -> bool,
) -> Candidate {
    assert!(S::LANES == LANES);
    Candidate {
        name: names(S::ISA)[(M == 2) as usize],
        isa: S::ISA,
        accepts,
        prefers,
        form: |_| Form { name: if M == 4 { "winograd_f4" } else { "winograd_f2" }, params: [LANES, 0, 0, 0] },
        // float16 matrices took 7 % less time for 512-512@14, whose weights come from memory, and 5 % more for
        // 512-512@28 and 256-256@56, whose tiles widen them again and again: 1 % of VGG-19 at batch 1.
        pack: |desc, weights| super::pack_f32(desc, weights, panels::pack::<T, A, M, LANES>),
        prepare: prepare::<S, T, A, M>,
    }
}

const fn f4<S: Simd, const LANES: usize>() -> Candidate {
    candidate::<S, F4, 6, 4, LANES>(prefers_f4)
}

const fn f2<S: Simd, const LANES: usize>() -> Candidate {
    candidate::<S, F2, 4, 2, LANES>(prefers_f2)
}

/// F4 before F2, on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &[
    #[cfg(target_arch = "x86_64")]
    f4::<Avx512, 16>(),
    #[cfg(target_arch = "x86_64")]
    f2::<Avx512, 16>(),
    #[cfg(target_arch = "x86_64")]
    f4::<Avx2, 8>(),
    #[cfg(target_arch = "x86_64")]
    f2::<Avx2, 8>(),
    #[cfg(test)]
    f4::<crate::simd::Portable<16>, 16>(),
    #[cfg(test)]
    f2::<crate::simd::Portable<16>, 16>(),
];

fn prepare<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Box<dyn Kernel> {
    let convolution = convolution::<A, M>(desc, weights, epilogue, S::LANES);
    Box::new(Winograd::<T, A, M>::new(names(S::ISA)[usize::from(M == 2)], S::ISA, convolution, threads))
}

fn convolution<const A: usize, const M: usize>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    lanes: usize,
) -> Convolution {
    Convolution {
        desc: *desc,
        tiling: Tiling::new(desc, M),
        weights: TransformedWeights::new(weights, desc, A * A, lanes),
        epilogue,
        zeros: vec![0.0; desc.input.channels].into(),
    }
}
