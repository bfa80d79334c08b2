//! Winograd's minimal filtering for 3x3 and 5x5 convolutions, and for those of one row or column of
//! 3 or 7 taps: fewer products for more additions.
//!
//! The output is split into tiles of 4x4 (F4) or 2x2 (F2) pixels. A tile's 6x6 (4x4) input pixels
//! and each 3x3 filter are transformed to 36 (16) values; multiplied elementwise and summed over
//! the input channels, they are 36 (16) matrix products [tiles x ic] [ic x oc]; the output
//! transform turns the result into output pixels. That is 4 (2.25) times fewer multiplications than
//! a direct convolution, at the price of 4 (1.8) times the weights and of errors of up to 2e-5
//! (1e-6) relative to the largest output. For 5x5 filters F4's tiles have 8x8 input pixels: 6.25
//! times fewer multiplications, 2.6 times the weights, and errors like those of 3x3. At stride 2,
//! F2 has 25 products instead of 36.
//!
//! Tiles at the right and lower edges that have 2 (1) pixels or fewer inside the map omit a third
//! (a quarter) of the products in that direction: for a map of 14x14, F4 has 484 products for each
//! pair of channels instead of 576.
//!
//! Filters of one row or column have tiles of one row or column: of 3 taps 4 pixels by 6 products
//! (2 times fewer multiplications, 2 times the weights, errors of up to 5e-6, as transforms are
//! applied in one direction only); of 7 taps 2 pixels by 8 products (1.75 times fewer, 1.14 times
//! the weights, errors of up to 5e-6). F(4, 7) with 3/4 and -3/4 as additional points takes 0.72 of
//! F(2, 7)'s time, but has 3.5 times its error.
//!
//! Larger tiles for 3x3 filters, F(6x6, 3x3) with 64 products for 36 pixels, were tried: with 5.1
//! times fewer multiplications in theory, they took 4 % less time than F4 at 112x112 and 56x56, 2 %
//! less at 28x28 with 512 channels, and 3 to 4 % more elsewhere, for 7.1 times the weights.
//!
//! See Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015.

mod block;
mod geometry;
mod kernel;
mod panels;
mod stages;
#[cfg(test)]
mod tests;
mod transforms;

use super::desc::{Candidate, ConvDesc, ConvPoolDesc, FLOATS, Pack, on_vectors, pack_f32};
use crate::error::Result;
use crate::kernels::names::{Names, names};
use crate::kernels::{Epilogue, Kernel};
use crate::simd::Simd;
use crate::tensor::{AlignedBuf, Form, Packed};

use geometry::Tiling;
use kernel::Winograd;
use panels::TransformedWeights;
use stages::{Convolution, Pool};
use transforms::{Algorithm, F2, F2Of7, F2Stride2, F4, F4Of5, Identity, taps};

/// With fewer input channels the products are so short that the transforms dominate.
const MIN_INPUTS: usize = 16;
/// The least shorter side of the output for F4. Below it, its tiles waste pixels and, at batch 1,
/// reading its weights costs more than F2's multiplications.
const MIN_SIDE_F4: usize = 13;
/// The least shorter side of the output for F2.
const MIN_SIDE_F2: usize = 3;

/// The least number of tiles of a dilated convolution for F4: the number at [`MIN_SIDE_F4`].
const MIN_TILES_F4: usize = 16;

/// Whether the algorithm `V` over columns and `H` over rows is applicable.
fn accepts<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
>(
    desc: &ConvDesc,
) -> bool {
    desc.kernel == [taps::<V, AV, MV>(), taps::<H, AH, MH>()]
        && desc.stride == [V::STRIDE, H::STRIDE]
        && (desc.stride == [1, 1] || desc.dilation == [1, 1])
        && desc.groups == 1
        && desc.input.channels_last()
}

/// The shorter side of the output.
fn shorter_side(desc: &ConvDesc) -> usize {
    desc.output.height.min(desc.output.width)
}

/// Products per picture and pair of channels with tiles of `size` pixels.
fn products(desc: &ConvDesc, size: [usize; 2]) -> usize {
    let tiling = Tiling::new(desc, size);
    let [rows, columns] = tiling.inputs(desc);
    tiling.per_picture * rows * columns
}

/// Whether saving this many products is worth the transforms, which take at most a third of the
/// products' time.
fn saves(desc: &ConvDesc, products: usize) -> bool {
    4 * products < 3 * desc.kernel[0] * desc.kernel[1] * desc.output.height * desc.output.width
}

fn prefers_f4(desc: &ConvDesc) -> bool {
    let well = || {
        if desc.dilation == [1, 1] {
            return shorter_side(desc) >= MIN_SIDE_F4;
        }
        // The plain convolutions of a dilated one may be small, but there are many of them.
        let [f4, f2] = [[4, 4], [2, 2]].map(|size| products(desc, size));
        Tiling::new(desc, [4, 4]).per_picture >= MIN_TILES_F4 && f4 <= f2 && saves(desc, f4)
    };
    desc.input.channels >= MIN_INPUTS && well()
}

fn prefers_f2(desc: &ConvDesc) -> bool {
    let well = || {
        if desc.dilation == [1, 1] {
            return shorter_side(desc) >= MIN_SIDE_F2;
        }
        saves(desc, products(desc, [2, 2]))
    };
    desc.input.channels >= MIN_INPUTS && well()
}

/// 64-192@27 (AlexNet) takes a third of the direct kernel's time.
fn prefers_f4_of_5(desc: &ConvDesc) -> bool {
    desc.input.channels >= MIN_INPUTS && saves(desc, products(desc, [4, 4]))
}

/// Its transforms consist of additions only: 128-128@28 took 0.88 of the direct kernel's time for
/// 0.69 of its products, 512-512@14 0.7, and 288-384@17 0.9 for 0.78.
fn prefers_f2_stride_2(desc: &ConvDesc) -> bool {
    let direct = 9 * desc.output.height * desc.output.width;
    desc.input.channels >= MIN_INPUTS && 5 * products(desc, [2, 2]) < 4 * direct
}

/// Pixels of a tile of one row or column for `taps` taps.
fn row_of(taps: usize) -> usize {
    if taps == 7 { 2 } else { 4 }
}

/// Inception's 1x7 and 7x1 at 17x17 take 0.65 of the direct kernel's time, its 1x3 and 3x1 at 8x8,
/// whose weights come from memory, 0.6.
fn prefers_row(desc: &ConvDesc) -> bool {
    desc.input.channels >= MIN_INPUTS && saves(desc, products(desc, [1, row_of(desc.kernel[1])]))
}

/// As [`prefers_row`].
fn prefers_column(desc: &ConvDesc) -> bool {
    desc.input.channels >= MIN_INPUTS && saves(desc, products(desc, [row_of(desc.kernel[0]), 1]))
}

const F4_NAMES: Names<1> = names!("winograd", "f4_3x3");
const F2_NAMES: Names<1> = names!("winograd", "f2_3x3");
const F2_STRIDE_2_NAMES: Names<1> = names!("winograd", "f2_3x3s2");
const F4_OF_5_NAMES: Names<1> = names!("winograd", "f4_5x5");
const F4_ROW_NAMES: Names<1> = names!("winograd", "f4_1x3");
const F4_COLUMN_NAMES: Names<1> = names!("winograd", "f4_3x1");
const F2_OF_7_ROW_NAMES: Names<1> = names!("winograd", "f2_1x7");
const F2_OF_7_COLUMN_NAMES: Names<1> = names!("winograd", "f2_7x1");

/// The names of the algorithm with tiles of `AV` x `AH` inputs and `MV` x `MH` outputs.
const fn names<const AV: usize, const MV: usize, const AH: usize, const MH: usize>() -> &'static Names<1> {
    match [(AV, MV), (AH, MH)] {
        [(6, 4), (6, 4)] => &F4_NAMES,
        [(4, 2), (4, 2)] => &F2_NAMES,
        [(5, 2), (5, 2)] => &F2_STRIDE_2_NAMES,
        [(8, 4), (8, 4)] => &F4_OF_5_NAMES,
        [(1, 1), (6, 4)] => &F4_ROW_NAMES,
        [(6, 4), (1, 1)] => &F4_COLUMN_NAMES,
        [(1, 1), (8, 2)] => &F2_OF_7_ROW_NAMES,
        [(8, 2), (1, 1)] => &F2_OF_7_COLUMN_NAMES,
        _ => panic!("no algorithm has such tiles"),
    }
}

const F4_POOL_NAMES: Names<1> = names!("winograd", "f4_3x3_max_pool");
const F2_POOL_NAMES: Names<1> = names!("winograd", "f2_3x3_max_pool");
const F2_STRIDE_2_POOL_NAMES: Names<1> = names!("winograd", "f2_3x3s2_max_pool");
const F4_OF_5_POOL_NAMES: Names<1> = names!("winograd", "f4_5x5_max_pool");

/// The names of the same algorithm with a fused pool.
const fn pool_names<const A: usize, const M: usize>() -> &'static Names<1> {
    match (A, M) {
        (6, 4) => &F4_POOL_NAMES,
        (4, 2) => &F2_POOL_NAMES,
        (5, 2) => &F2_STRIDE_2_POOL_NAMES,
        (8, 4) => &F4_OF_5_POOL_NAMES,
        _ => panic!("no algorithm with a pool has such tiles"),
    }
}

/// The algorithm `V` over columns and `H` over rows with `S`'s vectors.
const fn candidate<
    S: Simd,
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
>(
    prefers: fn(&ConvDesc) -> bool,
) -> Candidate {
    Candidate {
        name: names::<AV, MV, AH, MH>().on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts: accepts::<V, H, AV, MV, AH, MH>,
        prefers,
        form: |_| Form { name: "winograd", params: [S::LANES, AV, AH, MV * MH] },
        // float16 matrices took 7 % less time for 512-512@14, whose weights come from memory, and 5
        // % more for 512-512@28 and 256-256@56, whose tiles widen them repeatedly: 1 % of VGG-19 at
        // batch 1.
        pack: packing::<S, V, H, AV, MV, AH, MH>(),
        prepare: prepare::<S, V, H, AV, MV, AH, MH>,
        with_pool: None,
        with_prologue: None,
        block_part: None,
    }
}

/// The function that packs the weights for `S`'s vectors.
const fn packing<
    S: Simd,
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
>() -> Pack {
    Pack::Transform(match S::LANES {
        4 => |desc, weights| pack_f32(desc, weights, panels::pack::<V, H, AV, MV, AH, MH, 4>),
        8 => |desc, weights| pack_f32(desc, weights, panels::pack::<V, H, AV, MV, AH, MH, 8>),
        16 => |desc, weights| pack_f32(desc, weights, panels::pack::<V, H, AV, MV, AH, MH, 16>),
        _ => panic!("no weights are packed for vectors of so many lanes"),
    })
}

/// The algorithm `T` in both directions; its tiles have windows of 2x2 pixels for a pool.
const fn square<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    prefers: fn(&ConvDesc) -> bool,
) -> Candidate {
    Candidate {
        with_pool: Some(prepare_with_pool::<S, T, A, M>),
        ..candidate::<S, T, T, A, M, A, M>(prefers)
    }
}

/// All algorithms with `S`'s vectors; F4 before F2.
const fn algorithms<S: Simd>() -> [Candidate; 8] {
    [
        square::<S, F4, 6, 4>(prefers_f4),
        square::<S, F2, 4, 2>(prefers_f2),
        square::<S, F2Stride2, 5, 2>(prefers_f2_stride_2),
        square::<S, F4Of5, 8, 4>(prefers_f4_of_5),
        candidate::<S, Identity, F4, 1, 1, 6, 4>(prefers_row),
        candidate::<S, F4, Identity, 6, 4, 1, 1>(prefers_column),
        candidate::<S, Identity, F2Of7, 1, 1, 8, 2>(prefers_row),
        candidate::<S, F2Of7, Identity, 8, 2, 1, 1>(prefers_column),
    ]
}

const OF_TOKENS: &[[Candidate; 8]] = &on_vectors!(algorithms);

/// On every instruction set.
pub(super) const CANDIDATES: &[Candidate] = OF_TOKENS.as_flattened();

fn prepare<
    S: Simd,
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let convolution = convolution::<AV, MV, AH, MH>(desc, weights, epilogue, S::LANES)?;
    let name = names::<AV, MV, AH, MH>().on(S::ISA);
    Ok(Box::new(Winograd::<V, H, AV, MV, AH, MH>::new(name, S::ISA, convolution, threads)))
}

fn convolution<const AV: usize, const MV: usize, const AH: usize, const MH: usize>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    lanes: usize,
) -> Result<Convolution> {
    Ok(Convolution {
        desc: *desc,
        tiling: Tiling::new(desc, [MV, MH]),
        weights: TransformedWeights::new(weights, desc, AV * AH, lanes),
        epilogue,
        zeros: AlignedBuf::zeroed(desc.input.channels, "the zeros that a convolution's padding reads")?,
        pool: None,
    })
}

fn prepare_with_pool<S: Simd, T: Algorithm<A, M>, const A: usize, const M: usize>(
    desc: &ConvPoolDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let activation = Epilogue { activation: epilogue.activation, ..Epilogue::default() };
    let pool = Some(Pool { output: desc.output, epilogue: activation });
    let convolution = convolution::<A, M, A, M>(&desc.conv, weights, epilogue, S::LANES)?;
    let convolution = Convolution { pool, ..convolution };
    let name = pool_names::<A, M>().on(S::ISA);
    Ok(Box::new(Winograd::<T, T, A, M, A, M>::new(name, S::ISA, convolution, threads)))
}
