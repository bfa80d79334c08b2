//! The register tile: some rows, read by pointer, times a panel one or two vectors wide.
//!
//! Plain loops and no closures around vectors, `std::array::from_fn`'s included: where the compiler
//! decides against inlining one, it is compiled without the instruction set, at a tenth of the
//! speed. For a look at what it decided: `call` must not occur in a tile's machine code.

use std::hint::black_box;
use std::mem::MaybeUninit;

use super::{DEPTH_CHUNK, Weight};
use crate::simd::{Isa, Simd};

/// Accumulators of `ROWS` rows and `NV` vectors.
pub type Tile<S, const ROWS: usize, const NV: usize> = [[<S as Simd>::F32; NV]; ROWS];

/// The most rows a tile may have so that its accumulators, the panel's vectors and one broadcast
/// value stay in registers: 6 of 16 registers, 12 of 32.
pub const fn max_rows<S: Simd>() -> usize {
    most_rows(S::ISA)
}

/// [`max_rows`] of an instruction set.
pub const fn most_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 12,
        Isa::Avx2 => 6,
        // Plain arrays stay in memory anyway, and taller tiles of them take minutes to compile.
        Isa::Portable | Isa::Portable16 => 2,
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// A tile of zeros.
#[inline(always)]
pub fn zeros<S: Simd, const ROWS: usize, const NV: usize>(s: S) -> Tile<S, ROWS, NV> {
    [[s.zero(); NV]; ROWS]
}

/// What comes after a tile, a part of which it asks for with each of its panel's rows.
#[derive(Clone, Copy, Debug)]
pub struct Next<W> {
    /// Where it begins; any address.
    at: *const W,
    /// Elements for each row.
    step: usize,
}

impl<W: Weight> Next<W> {
    /// As much as the tile's own panel of `vectors` vectors, from `at` on.
    #[inline(always)]
    pub fn whole<S: Simd>(at: *const W, vectors: usize) -> Self {
        Self { at, step: vectors * S::LANES }
    }

    /// Half of that: for two tiles that share it.
    #[inline(always)]
    pub fn half<S: Simd>(at: *const W, vectors: usize) -> Self {
        Self { at, step: vectors * S::LANES / 2 }
    }
}

/// `acc[r][v] += rows[r][k] * panel[k][v]` for `k` in `0..len`, in that order. What comes `next` is asked
/// for on the way.
///
/// # Safety
/// Each row is valid for reading `len` floats, the panel for `len * NV * LANES` elements.
#[inline(always)]
pub unsafe fn accumulate<S: Simd, W: Weight, const ROWS: usize, const NV: usize>(
    s: S,
    mut acc: Tile<S, ROWS, NV>,
    rows: [*const f32; ROWS],
    panel: *const W,
    len: usize,
    next: Next<W>,
) -> Tile<S, ROWS, NV> {
    // Unrolling by four gains nothing: the loop's own instructions are free beside these.
    for k in 0..len {
        // SAFETY: k < len, within the contract.
        unsafe {
            let row = panel.add(k * NV * S::LANES);
            // Every line of the row: without the second of a row of two wide vectors, ResNet-50's 1x1
            // convolutions took 5 % longer, and Winograd's products of ResNet-18 10 %.
            for line in (0..NV * S::LANES).step_by(LINE / size_of::<W>()) {
                s.prefetch(next.at.wrapping_add(k * next.step + line).cast());
            }
            let mut weights = [s.zero(); NV];
            for (v, weights) in weights.iter_mut().enumerate() {
                *weights = W::load(s, row.add(v * S::LANES));
            }
            for r in 0..ROWS {
                let x = s.broadcast(rows[r].add(k));
                for v in 0..NV {
                    acc[r][v] = s.fma(x, weights[v], acc[r][v]);
                }
            }
        }
    }
    acc
}

/// Where the rows of a tile come from: `taps` runs of `run` floats each, whose addresses for each
/// row stand in a table `[taps][ROWS]`.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Addresses of the runs.
    pub table: *const *const f32,
    /// Runs per row.
    pub taps: usize,
    /// Floats of a run that are summed.
    pub run: usize,
    /// Floats to skip at the start of each run (the channels of earlier groups).
    pub skip: usize,
}

/// The sums of a tile over all runs, in chains of [`DEPTH_CHUNK`]. What comes `next` is asked for on the
/// way: the next panel or, where nothing comes, this one.
///
/// # Safety
/// The table holds `taps * ROWS` pointers, each valid for reading `run` floats from `skip` on; the
/// panel is valid for `taps * run * NV * LANES` elements.
#[inline(always)]
pub unsafe fn product<S: Simd, W: Weight, const ROWS: usize, const NV: usize>(
    s: S,
    runs: Runs,
    mut panel: *const W,
    mut next: Next<W>,
) -> Tile<S, ROWS, NV> {
    // Left uninitialised, and in memory, until a chain ends: most sums are one chain, and a dozen stores
    // and loads would be felt in the short ones.
    let mut total = MaybeUninit::<Tile<S, ROWS, NV>>::uninit();
    let total = black_box(&mut total);
    let mut ended = false;
    // The run that is summed, and how much of it has been.
    let (mut tap, mut done) = (0, 0);
    loop {
        let mut acc = zeros(s);
        let mut room = DEPTH_CHUNK;
        while room > 0 && tap < runs.taps {
            let len = room.min(runs.run - done);
            // SAFETY: tap < taps, len floats remain of its runs and as many rows of the panel.
            unsafe {
                let mut rows = [std::ptr::null(); ROWS];
                for (r, row) in rows.iter_mut().enumerate() {
                    *row = (*runs.table.add(tap * ROWS + r)).add(runs.skip + done);
                }
                acc = accumulate(s, acc, rows, panel, len, next);
                panel = panel.add(len * NV * S::LANES);
                next.at = next.at.wrapping_add(len * next.step);
            }
            room -= len;
            done += len;
            if done == runs.run {
                (tap, done) = (tap + 1, 0);
            }
        }
        if ended {
            // SAFETY: written when the first chain ended.
            let total = unsafe { total.assume_init_ref() };
            for (acc, total) in acc.iter_mut().zip(total) {
                for (acc, total) in acc.iter_mut().zip(total) {
                    *acc = s.add(*total, *acc);
                }
            }
        }
        if tap == runs.taps {
            return acc;
        }
        total.write(acc);
        ended = true;
    }
}

/// Work on one tile, compiled once for each number of rows.
pub trait TileWork {
    /// Do the work on a tile of `ROWS` rows.
    ///
    /// # Safety
    /// What the implementor asks for.
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S);
}

/// Run `work` for `rows` rows, at least one and at most [`max_rows`].
///
/// # Safety
/// That of the work's `run`.
#[inline(always)]
pub unsafe fn with_rows<S: Simd>(s: S, rows: usize, work: impl TileWork) {
    debug_assert!((1..=max_rows::<S>()).contains(&rows));
    // SAFETY: passed on to the caller.
    unsafe {
        match rows {
            1 => work.run::<S, 1>(s),
            // The guards are constants: there is no code for tiles that a register file cannot hold.
            3 if max_rows::<S>() > 2 => work.run::<S, 3>(s),
            4 if max_rows::<S>() > 2 => work.run::<S, 4>(s),
            5 if max_rows::<S>() > 2 => work.run::<S, 5>(s),
            6 if max_rows::<S>() > 2 => work.run::<S, 6>(s),
            7 if max_rows::<S>() > 6 => work.run::<S, 7>(s),
            8 if max_rows::<S>() > 6 => work.run::<S, 8>(s),
            9 if max_rows::<S>() > 6 => work.run::<S, 9>(s),
            10 if max_rows::<S>() > 6 => work.run::<S, 10>(s),
            11 if max_rows::<S>() > 6 => work.run::<S, 11>(s),
            12 if max_rows::<S>() > 6 => work.run::<S, 12>(s),
            _ => work.run::<S, 2>(s),
        }
    }
}
