//! A register tile of a 1x1 convolution whose pixels follow each other in rows.

use crate::kernels::Epilogue;
use crate::kernels::gemm::tile::{self, Next, TileWork, with_rows};
use crate::kernels::gemm::weight::widen;
use crate::kernels::gemm::{Columns, Panel, Panels};
use crate::simd::{Simd, Vectorized};
use crate::tensor::Packed;

/// Where pixels lie.
#[derive(Clone, Copy)]
pub(super) struct Pixels<P> {
    /// The first.
    pub(super) at: P,
    /// Floats from a pixel to the next.
    pub(super) step: usize,
    /// Floats in between from behind a row's last pixel to the next row's first, wrapping.
    pub(super) gap: usize,
}

impl<P> Pixels<P> {
    /// How far behind the first each of some pixels lies, if `left` of them are in front of the first end
    /// of a row of `columns`.
    #[inline(always)]
    fn offsets<const ROWS: usize>(&self, left: usize, columns: usize) -> [usize; ROWS] {
        let mut offsets = [0; ROWS];
        if columns >= ROWS {
            // One end at most: no offset waits for the one before.
            for (r, offset) in offsets.iter_mut().enumerate() {
                *offset = (r * self.step).wrapping_add(if r < left { 0 } else { self.gap });
            }
        } else {
            let mut left = left;
            for r in 1..ROWS {
                left -= 1;
                let end = left == 0;
                offsets[r] =
                    offsets[r - 1].wrapping_add(self.step.wrapping_add(if end { self.gap } else { 0 }));
                left = if end { columns } else { left };
            }
        }
        offsets
    }
}

/// Some pixels, a panel's weights, and where the panel's channels go.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) from: Pixels<*const f32>,
    /// Of a pixel of all channels.
    pub(super) to: Pixels<*mut f32>,
    /// What is added, as `to`.
    pub(super) residual: Option<Pixels<*const f32>>,
    /// Pixels up to the end of the first row.
    pub(super) left: usize,
    /// Pixels of a row.
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) weights: *const f32,
    /// What lies so many floats behind the weights is asked for on the way.
    pub(super) ahead: usize,
    pub(super) epilogue: &'a Epilogue,
    pub(super) channels: Columns,
}

/// The sums of `rows` pixels and a panel of `vectors`, without a residual.
///
/// # Safety
/// The pixels are valid for reading `depth` floats, the weights are a panel as deep, and there is
/// room for its channels at each place.
#[inline(always)]
pub(super) unsafe fn expand<S: Simd>(s: S, rows: usize, vectors: usize, tile: Tile<'_>) {
    // SAFETY: by contract.
    unsafe { multiply::<S, false>(s, rows, vectors, tile) }
}

/// The same, with a residual if there is one.
///
/// # Safety
/// As [`expand`]; the residual is valid for reading the panel's channels.
#[inline(always)]
pub(super) unsafe fn project<S: Simd>(s: S, rows: usize, vectors: usize, tile: Tile<'_>) {
    // SAFETY: by contract.
    unsafe {
        if tile.residual.is_some() {
            multiply::<S, true>(s, rows, vectors, tile);
        } else {
            multiply::<S, false>(s, rows, vectors, tile);
        }
    }
}

/// # Safety
/// As [`project`]; there is a residual only if `ADD`.
#[inline(always)]
unsafe fn multiply<S: Simd, const ADD: bool>(s: S, rows: usize, vectors: usize, tile: Tile<'_>) {
    // SAFETY: by contract.
    unsafe {
        if vectors == Panels::VECTORS {
            with_rows(s, rows, Product::<{ Panels::VECTORS }, ADD>(tile));
        } else {
            with_rows(s, rows, Product::<1, ADD>(tile));
        }
    }
}

struct Product<'a, const NV: usize, const ADD: bool>(Tile<'a>);

impl<const NV: usize, const ADD: bool> TileWork for Product<'_, NV, ADD> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        s.call(ProductOf::<NV, ROWS, ADD>(self.0));
    }
}

/// A function of its own for each shape of tile, so that its sums stay in registers.
struct ProductOf<'a, const NV: usize, const ROWS: usize, const ADD: bool>(Tile<'a>);

impl<const NV: usize, const ROWS: usize, const ADD: bool> Vectorized for ProductOf<'_, NV, ROWS, ADD> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Tile { from, to, residual, left, columns, depth, weights, ahead, epilogue, channels } = self.0;
        let mut table = [std::ptr::null(); ROWS];
        let mut pixels = [std::ptr::null_mut(); ROWS];
        let mut added = [std::ptr::null(); ROWS];
        let summand = residual.unwrap_or(Pixels { at: std::ptr::null(), step: 0, gap: 0 });
        let places = [
            from.offsets::<ROWS>(left, columns),
            to.offsets::<ROWS>(left, columns),
            summand.offsets::<ROWS>(left, columns),
        ];
        for r in 0..ROWS {
            table[r] = from.at.wrapping_add(places[0][r]);
            pixels[r] = to.at.wrapping_add(places[1][r]);
            added[r] = summand.at.wrapping_add(places[2][r]);
            // Or the stores would wait for the lines, and what follows for the stores.
            for v in 0..NV {
                s.prefetch_write(pixels[r].wrapping_add(channels.channel + v * S::LANES));
            }
        }
        let runs = tile::Runs { table: table.as_ptr(), taps: 1, run: depth, skip: 0 };
        // SAFETY: the pixels and the panel are as deep as they say, and there is room for the panel's
        // channels at each place.
        unsafe {
            let sums = tile::product::<S, f32, ROWS, NV>(
                s,
                runs,
                weights,
                Next::whole::<S>(weights.wrapping_add(ahead), NV),
            );
            epilogue.store_tile(s, sums, channels, pixels, if ADD { Some(added) } else { None });
        }
    }
}

/// A panel's weights in float32, and how far behind them the next panel's lie, which are asked for by
/// the last tile; 0 for weights that are widened.
///
/// # Safety
/// The panel is one of the packed ones; there is room for its elements in `widened` if they are float16.
#[inline(always)]
pub(super) unsafe fn weights<S: Simd>(
    s: S,
    packed: &Packed,
    panels: &Panels,
    panel: Panel,
    widened: *mut f32,
) -> (*const f32, usize) {
    let len = panels.elements(panel);
    match packed {
        Packed::F32(packed) => (packed.as_ptr().wrapping_add(panel.offset), len),
        Packed::F16(packed) => {
            // SAFETY: a panel of the packed weights, and room for it.
            unsafe { widen(s, packed.as_ptr().add(panel.offset), len, widened) };
            (widened.cast_const(), 0)
        }
    }
}

/// Floats of room that [`weights`] needs.
pub(super) fn widened(packed: &Packed, panels: &Panels) -> usize {
    match packed {
        Packed::F32(_) => 0,
        Packed::F16(_) => panels.width() * panels.depth,
    }
}
