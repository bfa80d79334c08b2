//! The register tile over planes: neighbouring output pixels by a panel one or two vectors wide.

use crate::kernels::Epilogue;
use crate::kernels::gemm::tile::{Tile, zeros};
use crate::kernels::gemm::{Columns, DEPTH_CHUNK};
use crate::simd::{Isa, Simd, Vectorized};

/// Pixels of the tiles for a panel of `vectors` vectors, the tallest first: a row is split into the
/// tallest tiles, and one of the others takes the rest. The tallest fill the registers, except for
/// the panel's vectors and one for an input.
pub(super) const fn heights(isa: Isa, vectors: usize) -> [usize; 3] {
    let heights = match isa {
        Isa::Avx512 => [14, 8, 4],
        Isa::Avx2 => [6, 4, 2],
        // Arrays stay in memory anyway.
        Isa::Portable | Isa::Portable4 | Isa::Portable16 => [2, 2, 2],
    };
    let [a, b, c] = heights;
    if vectors == 1 { [2 * a, 2 * b, 2 * c] } else { heights }
}

/// A row of the output, and a panel.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Offsets of a sum's inputs, relative to the pixel.
    pub(super) offsets: &'a [usize],
    /// One or two vectors for each of them.
    pub(super) weights: *const f32,
    pub(super) columns: Columns,
    /// The first pixel's address in the copy.
    pub(super) at: *const f32,
    pub(super) epilogue: &'a Epilogue,
    /// The first pixel's channel 0, and floats to the next.
    pub(super) to: *mut f32,
    pub(super) to_step: usize,
    /// The residual, likewise.
    pub(super) residual: Option<(*const f32, usize)>,
    /// Room for a panel's channels, where a tile stores values beyond the last pixel.
    pub(super) spare: *mut f32,
}

impl Line<'_> {
    /// Computes `width` pixels with `NV` vectors of channels.
    ///
    /// # Safety
    /// The fields are valid as documented; the pixels up to the next multiple of the tallest tile
    /// can be read.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, const NV: usize, const STEP: usize>(self, s: S, width: usize) {
        let heights = heights(S::ISA, NV);
        let rest = width % heights[0];
        // SAFETY: by contract.
        unsafe {
            if width > rest {
                self.tiles::<S, NV, STEP>(s, heights[0], 0..width - rest);
            }
            if rest > 0 {
                let fits = |&&height: &&usize| height >= rest;
                let height = *heights.iter().rev().find(fits).expect("the tallest");
                self.tiles::<S, NV, STEP>(s, height, width - rest..width);
            }
        }
    }

    /// Computes some pixels with tiles of `height` pixels, the last of which may extend beyond the
    /// end.
    ///
    /// # Safety
    /// As [`Self::run`].
    #[inline(always)]
    unsafe fn tiles<S: Simd, const NV: usize, const STEP: usize>(
        self,
        s: S,
        height: usize,
        pixels: std::ops::Range<usize>,
    ) {
        match height {
            // The guards are constants, so no code is generated for tiles that an instruction set
            // does not have.
            28 if heights(S::ISA, NV)[0] == 28 => s.call(Tiles::<NV, STEP, 28>(self, pixels)),
            16 if heights(S::ISA, NV)[1] == 16 => s.call(Tiles::<NV, STEP, 16>(self, pixels)),
            14 if heights(S::ISA, NV)[0] == 14 => s.call(Tiles::<NV, STEP, 14>(self, pixels)),
            12 if heights(S::ISA, NV)[0] == 12 => s.call(Tiles::<NV, STEP, 12>(self, pixels)),
            8 if heights(S::ISA, NV)[0] > 8 => s.call(Tiles::<NV, STEP, 8>(self, pixels)),
            6 if heights(S::ISA, NV)[0] == 6 => s.call(Tiles::<NV, STEP, 6>(self, pixels)),
            4 => s.call(Tiles::<NV, STEP, 4>(self, pixels)),
            _ => s.call(Tiles::<NV, STEP, 2>(self, pixels)),
        }
    }
}

/// Some pixels of a line, in tiles of `ROWS`. A separate function keeps the accumulators in
/// registers.
struct Tiles<'a, const NV: usize, const STEP: usize, const ROWS: usize>(Line<'a>, std::ops::Range<usize>);

impl<const NV: usize, const STEP: usize, const ROWS: usize> Vectorized for Tiles<'_, NV, STEP, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(line, pixels) = self;
        let Line { columns, epilogue, .. } = line;
        for first in pixels.clone().step_by(ROWS) {
            let count = pixels.end - first;
            // Nothing is stored beyond the last pixel.
            let spare = line.spare.wrapping_sub(columns.channel);
            let mut to = [spare; ROWS];
            let mut residual = line.residual.map(|_| [spare.cast_const(); ROWS]);
            for r in 0..ROWS.min(count) {
                to[r] = line.to.wrapping_add((first + r) * line.to_step);
                if let (Some(residual), Some((at, step))) = (&mut residual, line.residual) {
                    residual[r] = at.wrapping_add((first + r) * step);
                }
            }
            // Prefetch the next tile's output; otherwise its stores would wait for the cache lines.
            for r in 0..ROWS {
                let next = line.to.wrapping_add((first + ROWS + r) * line.to_step + columns.channel);
                for v in 0..NV {
                    s.prefetch_write(next.wrapping_add(v * S::LANES));
                }
            }
            // SAFETY: the contract of `Line::run`.
            unsafe {
                let sums = sums::<S, NV, STEP, ROWS>(s, &line, line.at.add(first * STEP));
                epilogue.store_tile(s, sums, columns, to, residual);
            }
        }
    }
}

/// Computes the sums of the pixels starting at `at`, in chains of [`DEPTH_CHUNK`].
///
/// # Safety
/// As [`Line::run`].
#[inline(always)]
unsafe fn sums<S: Simd, const NV: usize, const STEP: usize, const ROWS: usize>(
    s: S,
    line: &Line<'_>,
    at: *const f32,
) -> Tile<S, ROWS, NV> {
    let depth = line.offsets.len();
    // SAFETY: as above. The first chain, usually the only one, needs no total.
    let mut total: Tile<S, ROWS, NV> =
        unsafe { chain::<S, NV, STEP, ROWS>(s, line, at, 0..depth.min(DEPTH_CHUNK)) };
    for start in (DEPTH_CHUNK..depth).step_by(DEPTH_CHUNK) {
        let range = start..depth.min(start + DEPTH_CHUNK);
        // SAFETY: as above.
        let sums: Tile<S, ROWS, NV> = unsafe { chain::<S, NV, STEP, ROWS>(s, line, at, range) };
        for (total, sums) in total.iter_mut().zip(sums) {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = s.add(*total, sum);
            }
        }
    }
    total
}

/// Computes the sums of some of the products.
///
/// # Safety
/// As [`Line::run`]; the products exist.
#[inline(always)]
unsafe fn chain<S: Simd, const NV: usize, const STEP: usize, const ROWS: usize>(
    s: S,
    line: &Line<'_>,
    at: *const f32,
    products: std::ops::Range<usize>,
) -> Tile<S, ROWS, NV> {
    let mut sums: Tile<S, ROWS, NV> = zeros(s);
    for k in products {
        // SAFETY: the offset and the weights of the k-th product.
        unsafe {
            let x = at.add(*line.offsets.get_unchecked(k));
            let weights = line.weights.add(k * NV * S::LANES);
            let mut w = [s.zero(); NV];
            for (v, w) in w.iter_mut().enumerate() {
                *w = s.load(weights.add(v * S::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = s.broadcast(x.add(r * STEP));
                for v in 0..NV {
                    sums[v] = s.fma(x, w[v], sums[v]);
                }
            }
        }
    }
    sums
}
