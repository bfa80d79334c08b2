//! A register tile of a 1x1 convolution over consecutive pixels of rows.

use crate::kernels::Epilogue;
use crate::kernels::gemm::tile::{self, Next, TileWork, with_rows};
use crate::kernels::gemm::weight::widen;
use crate::kernels::gemm::{Columns, Panel, Panels};
use crate::simd::{Simd, Vectorized};
use crate::tensor::{ElementType, Packed};

/// The locations of pixels.
#[derive(Clone, Copy)]
pub(super) struct Pixels<P> {
    /// The first pixel.
    pub(super) at: P,
    /// Floats from one pixel to the next.
    pub(super) step: usize,
    /// Floats from the end of a row's last pixel to the next row's first pixel, wrapping.
    pub(super) gap: usize,
}

impl<P> Pixels<P> {
    /// The offset of each of some pixels from the first, if the first row ends after `left` of them
    /// and rows have `columns` pixels.
    #[inline(always)]
    fn offsets<const ROWS: usize>(&self, left: usize, columns: usize) -> [usize; ROWS] {
        let mut offsets = [0; ROWS];
        if columns >= ROWS {
            // At most one row end, so no offset depends on the previous one.
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

/// Some pixels, a panel's weights, and the destination of the panel's channels.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) from: Pixels<*const f32>,
    /// The output pixels, with all their channels.
    pub(super) to: Pixels<*mut f32>,
    /// The residual, located like `to`.
    pub(super) residual: Option<Pixels<*const f32>>,
    /// Pixels before the end of the first row.
    pub(super) left: usize,
    /// Pixels of a row.
    pub(super) columns: usize,
    pub(super) depth: usize,
    pub(super) weights: *const f32,
    /// The distance in floats at which weights are prefetched.
    pub(super) ahead: usize,
    pub(super) epilogue: &'a Epilogue,
    pub(super) channels: Columns,
}

/// Computes the sums of `rows` pixels and a panel of `vectors`, without a residual.
///
/// # Safety
/// The pixels are valid for reading `depth` floats, the weights are a panel of this depth, and
/// there is room for its channels at each destination.
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

/// A separate function for each tile shape, so that its sums stay in registers.
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
            // Otherwise the stores would wait for their cache lines, and later work for the stores.
            for v in 0..NV {
                s.prefetch_write(pixels[r].wrapping_add(channels.channel + v * S::LANES));
            }
        }
        let runs = tile::Runs { table: table.as_ptr(), taps: 1, run: depth, skip: 0 };
        // SAFETY: the pixels and the panel have this depth, and there is room for the panel's
        // channels at each destination.
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

/// A panel's weights in float32, and the distance to the next panel's, which the last tile
/// prefetches; 0 for widened weights.
///
/// # Safety
/// The panel is one of the packed panels; `widened` has room for its elements if they are float16.
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

/// Floats of room that [`weights`] needs for widening.
pub(super) fn widened(packed: &Packed, panels: &Panels) -> usize {
    match packed.element_type() {
        ElementType::F32 => 0,
        ElementType::F16 => panels.width() * panels.depth,
    }
}
