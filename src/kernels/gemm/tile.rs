//! The register tile: some rows, read through pointers, times a panel one or two vectors wide.
//!
//! Use plain loops and no closures around vectors, including `std::array::from_fn`'s: a closure
//! that the compiler does not inline is compiled without the instruction set, at a tenth of the
//! speed. To check: `call` must not occur in a tile's machine code.

use super::{DEPTH_CHUNK, Weight};
use crate::simd::{Isa, Simd};

/// Accumulators of `ROWS` rows and `NV` vectors.
pub type Tile<S, const ROWS: usize, const NV: usize> = [[<S as Simd>::F32; NV]; ROWS];

/// The largest number of rows of a tile for which its accumulators, the panel's vectors and one
/// broadcast value stay in registers: 6 of 16 registers, 12 of 32.
pub const fn max_rows<S: Simd>() -> usize {
    most_rows(S::ISA)
}

/// [`max_rows`] of an instruction set.
pub const fn most_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 12,
        Isa::Avx2 => 6,
        // Arrays stay in memory anyway, and taller tiles of them take minutes to compile.
        Isa::Portable | Isa::Portable4 | Isa::Portable16 => 2,
    }
}

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// A tile of zeros.
#[inline(always)]
pub fn zeros<S: Simd, const ROWS: usize, const NV: usize>(s: S) -> Tile<S, ROWS, NV> {
    [[s.zero(); NV]; ROWS]
}

/// The data after a tile's, part of which it prefetches with each row of its panel.
#[derive(Clone, Copy, Debug)]
pub struct Next<W> {
    /// Its address; any value is allowed.
    at: *const W,
    /// Elements prefetched per row.
    step: usize,
}

impl<W: Weight> Next<W> {
    /// As much as the tile's own panel of `vectors` vectors, starting at `at`.
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

/// `acc[r][v] += rows[r][k] * panel[k][v]` for `k` in `0..len`, in that order. Meanwhile `next` is
/// prefetched.
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
    // Unrolling by four gains nothing: the loop's own instructions are free next to these.
    for k in 0..len {
        // SAFETY: k < len, within the contract.
        unsafe {
            let row = panel.add(k * NV * S::LANES);
            // Every cache line of the row: without the second line of a row of two wide vectors,
            // ResNet-50's 1x1 convolutions took 5 % longer, and Winograd's products of ResNet-18 10
            // %.
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

/// The inputs of a tile's rows: `taps` runs of `run` floats each, whose addresses for each row are
/// in a table `[taps][ROWS]`.
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

/// The sums of a tile over all runs, in chains of [`DEPTH_CHUNK`]. Meanwhile `next` is prefetched:
/// the next panel, or this one if there is none.
///
/// # Safety
/// The table holds `taps * ROWS` pointers, each valid for reading `run` floats from `skip`; the
/// panel is valid for `taps * run * NV * LANES` elements.
#[inline(always)]
pub unsafe fn product<S: Simd, W: Weight, const ROWS: usize, const NV: usize>(
    s: S,
    runs: Runs,
    panel: *const W,
    next: Next<W>,
) -> Tile<S, ROWS, NV> {
    let mut rest = Rest { runs, tap: 0, done: 0, panel, next };
    // SAFETY: the caller's contract. Most sums are a single chain, and the stack space of a total
    // would slow down short ones, so the first chain is separate.
    let mut total: Tile<S, ROWS, NV> = unsafe { rest.chain(s) };
    while rest.tap < runs.taps {
        // SAFETY: as above.
        let acc: Tile<S, ROWS, NV> = unsafe { rest.chain(s) };
        for (total, acc) in total.iter_mut().zip(acc) {
            for (total, acc) in total.iter_mut().zip(acc) {
                *total = s.add(*total, acc);
            }
        }
    }
    total
}

/// The rest of a sum.
struct Rest<W> {
    runs: Runs,
    /// The next run, and the part of it that has been summed.
    tap: usize,
    done: usize,
    /// The weights of the next value.
    panel: *const W,
    /// What is prefetched with it.
    next: Next<W>,
}

impl<W: Weight> Rest<W> {
    /// The sums of [`DEPTH_CHUNK`] more values, or of all remaining ones.
    ///
    /// # Safety
    /// That of [`product`].
    #[inline(always)]
    unsafe fn chain<S: Simd, const ROWS: usize, const NV: usize>(&mut self, s: S) -> Tile<S, ROWS, NV> {
        let runs = self.runs;
        let mut acc = zeros(s);
        let mut room = DEPTH_CHUNK;
        while room > 0 && self.tap < runs.taps {
            let len = room.min(runs.run - self.done);
            // SAFETY: tap < taps, len floats remain of its runs and as many rows of the panel.
            unsafe {
                let mut rows = [std::ptr::null(); ROWS];
                for (r, row) in rows.iter_mut().enumerate() {
                    *row = (*runs.table.add(self.tap * ROWS + r)).add(runs.skip + self.done);
                }
                acc = accumulate(s, acc, rows, self.panel, len, self.next);
                self.panel = self.panel.add(len * NV * S::LANES);
                self.next.at = self.next.at.wrapping_add(len * self.next.step);
            }
            room -= len;
            self.done += len;
            if self.done == runs.run {
                (self.tap, self.done) = (self.tap + 1, 0);
            }
        }
        acc
    }
}

/// Work on one tile, compiled once for each number of rows.
pub trait TileWork {
    /// Does the work on a tile of `ROWS` rows.
    ///
    /// # Safety
    /// As the implementor requires.
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S);
}

/// Runs `work` for `rows` rows, at least one and at most [`max_rows`].
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
            // The guards are constants, so no code is generated for tiles that do not fit in the
            // registers.
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
