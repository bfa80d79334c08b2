//! Products of two values, neither of which is a weight: the right one is packed into panels during
//! the run, and blocks of the left one's rows are multiplied with them.

use super::tile::{self, Next, Runs, Tile, TileWork, max_rows, with_rows};
use super::{Panel, Panels};
use crate::kernels::even_range;
use crate::simd::{Simd, Vectorized};

/// The strides of a matrix in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

/// Packs a matrix of `panels.depth` rows and `panels.group_outputs` columns. Meanwhile it
/// prefetches the next matrix, `ahead` floats after it (0 for none), since hardware prefetchers do
/// not fetch rows that are far apart.
///
/// # Safety
/// `from` is valid for reading such a matrix with these steps, `to` for writing
/// [`Panels::len`] floats.
#[inline(always)]
pub unsafe fn pack<S: Simd>(
    s: S,
    panels: &Panels,
    from: *const f32,
    steps: Steps,
    ahead: usize,
    to: *mut f32,
) {
    for panel in 0..panels.count() {
        let panel = panels.panel(panel);
        // SAFETY: the panel's columns are the matrix's, and its offset is in the packed floats.
        unsafe {
            let from = from.add(panel.channel * steps.column);
            let to = to.add(panel.offset);
            if steps.column == 1 {
                pack_rows(s, panels.depth, panel, from, steps.row, ahead, to);
            } else {
                pack_columns(s, panels.depth, panel, from, steps, ahead, to);
            }
        }
    }
}

/// Packs one panel of a matrix with dense rows.
///
/// # Safety
/// As [`pack`].
#[inline(always)]
unsafe fn pack_rows<S: Simd>(
    s: S,
    depth: usize,
    panel: Panel,
    from: *const f32,
    step: usize,
    ahead: usize,
    to: *mut f32,
) {
    let width = panel.vectors * S::LANES;
    for k in 0..depth {
        for v in 0..panel.vectors {
            let count = panel.channels - v * S::LANES;
            // SAFETY: every vector of a panel has a column.
            unsafe {
                let from = from.add(k * step + v * S::LANES);
                s.prefetch(from.wrapping_add(ahead));
                let x = if count >= S::LANES { s.load(from) } else { s.load_partial(from, count) };
                s.store(to.add(k * width + v * S::LANES), x);
            }
        }
    }
}

/// Packs one panel of any matrix, in square blocks, which are transposed if columns are dense.
///
/// # Safety
/// As [`pack`].
#[inline(always)]
unsafe fn pack_columns<S: Simd>(
    s: S,
    depth: usize,
    panel: Panel,
    from: *const f32,
    steps: Steps,
    ahead: usize,
    to: *mut f32,
) {
    let width = panel.vectors * S::LANES;
    let full = if steps.row == 1 { depth / S::BLOCK * S::BLOCK } else { 0 };
    for first in (0..width).step_by(S::BLOCK) {
        let columns = panel.channels.saturating_sub(first).min(S::BLOCK);
        let whole = if columns == S::BLOCK { full } else { 0 };
        // SAFETY: rows are below the depth, and columns below the panel's, with zeros after them.
        unsafe {
            let from = from.add(first.min(panel.channels) * steps.column);
            let to = to.add(first);
            for k in (0..whole).step_by(S::BLOCK) {
                let from = from.add(k);
                for c in 0..S::BLOCK {
                    s.prefetch(from.add(c * steps.column).wrapping_add(ahead));
                }
                s.transpose(from, to.add(k * width), [steps.column, width]);
            }
            for k in whole..depth {
                for c in 0..S::BLOCK {
                    let x = if c < columns { *from.add(c * steps.column + k * steps.row) } else { 0.0 };
                    *to.add(k * width + c) = x;
                }
            }
        }
    }
}

/// A block of rows, and the operations on its products.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The first row; its `panels.depth` floats are dense.
    pub rows: *const f32,
    /// From one row to the next.
    pub row_step: usize,
    /// Number of rows.
    pub count: usize,
    /// Packed by [`pack`].
    pub panels: Panels,
    /// The packed panels.
    pub packed: *const f32,
    /// The destination of the first row's sums, which are dense.
    pub to: *mut f32,
    /// From one row of sums to the next.
    pub to_step: usize,
    /// Whether a row of sums has room for the padding columns of the last panel: they become zero,
    /// or the padding of the summands' last vector, which is also zero.
    pub padded: bool,
    /// Factors, one per row.
    pub factors: Option<*const f32>,
    /// Values added after the factor.
    pub summands: Option<Summands>,
}

/// A matrix that is added to a block's sums.
#[derive(Clone, Copy, Debug)]
pub struct Summands {
    /// The block's first element.
    pub at: *const f32,
    /// Column steps are 0 or 1.
    pub steps: Steps,
}

impl Block {
    /// Computes the whole block.
    ///
    /// # Safety
    /// The fields must be valid as documented.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd>(&self, s: S) {
        let tiles = self.count.div_ceil(max_rows::<S>());
        for index in 0..self.panels.count() {
            let panel = self.panels.panel(index);
            for tile in 0..tiles {
                let rows = even_range(self.count, tiles, tile);
                let (first, count) = (rows.start, rows.len());
                // SAFETY: the tile's rows are the block's.
                unsafe {
                    if panel.vectors == Panels::VECTORS {
                        with_rows(s, count, Piece::<{ Panels::VECTORS }> { block: self, panel, first });
                    } else {
                        with_rows(s, count, Piece::<1> { block: self, panel, first });
                    }
                }
            }
        }
    }
}

/// Some rows times one panel.
struct Piece<'a, const NV: usize> {
    block: &'a Block,
    panel: Panel,
    first: usize,
}

impl<const NV: usize> TileWork for Piece<'_, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        s.call(PieceOf::<NV, ROWS>(self));
    }
}

struct PieceOf<'a, const NV: usize, const ROWS: usize>(Piece<'a, NV>);

impl<const NV: usize, const ROWS: usize> Vectorized for PieceOf<'_, NV, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Piece { block, panel, first } = self.0;
        // SAFETY: the rows, panels and sums are the block's.
        unsafe {
            let mut table = [std::ptr::null(); ROWS];
            for (r, row) in table.iter_mut().enumerate() {
                *row = block.rows.add((first + r) * block.row_step);
            }
            let runs = Runs { table: table.as_ptr(), taps: 1, run: block.panels.depth, skip: 0 };
            let packed = block.packed.add(panel.offset);
            let sums: Tile<S, ROWS, NV> = tile::product(s, runs, packed, Next::whole::<S>(packed, NV));
            for (r, row) in sums.into_iter().enumerate() {
                let factor = match block.factors {
                    Some(factors) => s.broadcast(factors.add(first + r)),
                    None => s.splat(1.0),
                };
                for (v, sum) in row.into_iter().enumerate() {
                    let column = panel.channel + v * S::LANES;
                    let count = (panel.channels - v * S::LANES).min(S::LANES);
                    let mut x = s.mul(sum, factor);
                    if let Some(Summands { at, steps }) = block.summands {
                        let at = at.add((first + r) * steps.row + column * steps.column);
                        let summand =
                            if steps.column == 0 { s.broadcast(at) } else { s.load_partial(at, count) };
                        x = s.add(x, summand);
                    }
                    let to = block.to.add((first + r) * block.to_step + column);
                    if block.padded || count == S::LANES {
                        s.store(to, x);
                    } else {
                        s.store_partial(to, x, count);
                    }
                }
            }
        }
    }
}
