//! The three stages of Winograd's convolution over some tiles and output channels: the input
//! transform, the products, and the output transform with the epilogue.

use std::ops::Range;

use super::block::Needs;
use super::geometry::{Planes, Tile, Tiling};
use super::panels::TransformedWeights;
use super::transforms::{Algorithm, input_2d, output_columns, output_run};
use crate::kernels::conv::desc::ConvDesc;
use crate::kernels::gemm::tile::{LINE, Next, Runs, TileWork, max_rows, product, with_rows};
use crate::kernels::gemm::{Columns, Panels};
use crate::kernels::math::maximum;
use crate::kernels::{Epilogue, Io, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::AlignedBuf;
use crate::tensor::FeatureMap;

/// A prepared convolution.
#[derive(Debug)]
pub struct Convolution {
    /// The descriptor.
    pub desc: ConvDesc,
    /// Tiles of all pictures.
    pub tiling: Tiling,
    /// The transformed weights.
    pub weights: TransformedWeights,
    /// Applied before the store.
    pub epilogue: Epilogue,
    /// A pixel of the padding.
    pub zeros: AlignedBuf,
    /// Set if the maxima of 2x2 pixels are stored instead of the pixels.
    pub pool: Option<Pool>,
}

/// A maximum over windows of 2x2 pixels, two apart.
#[derive(Debug)]
pub struct Pool {
    /// The map of the maxima.
    pub output: FeatureMap,
    /// The part of the epilogue after the maximum: the activation, which preserves the order of
    /// values. Scales may not, so they come before.
    pub epilogue: Epilogue,
}

impl Convolution {
    /// Transforms the input of `tiles` into the first rows of the planes at `v`.
    ///
    /// # Safety
    /// `input` is the descriptor's, `v` has room for these rows.
    #[inline(always)]
    pub unsafe fn transform_input<
        S: Simd,
        V: Algorithm<AV, MV>,
        H: Algorithm<AH, MH>,
        const AV: usize,
        const MV: usize,
        const AH: usize,
        const MH: usize,
    >(
        &self,
        s: S,
        input: *const f32,
        tiles: &[Tile],
        v: *mut f32,
        planes: Planes,
    ) {
        let (map, padding, step) = (&self.desc.input, &self.desc.padding, self.desc.dilation);
        let whole = map.channels / S::LANES * S::LANES;
        // Distance to the tile on the right. Without prefetching its reads and, below, its writes,
        // 64-64@224 took 7 % longer, and 256-256@56 5 %: hardware prefetchers cannot predict
        // strides from pixel to pixel and then to the next row.
        let ahead = MH * H::STRIDE * step[1] * map.pixel_stride;
        for (row, tile) in tiles.iter().enumerate() {
            let short = tile.is_short([V::SHORT, H::SHORT]);
            let mut pixels = [[self.zeros.as_ptr(); AH]; AV];
            for (i, pixels) in pixels.iter_mut().enumerate() {
                let y = (tile.y * V::STRIDE + i * step[0]).wrapping_sub(padding.top);
                for (j, pixel) in pixels.iter_mut().enumerate() {
                    let x = (tile.x * H::STRIDE + j * step[1]).wrapping_sub(padding.left);
                    if y < map.height && x < map.width {
                        // SAFETY: a pixel of the map.
                        *pixel = unsafe { input.add(map.at(tile.n, y, x)) };
                    }
                }
            }
            // SAFETY: the pixels and the zeros are `channels` long; planes' rows are whole vectors.
            unsafe {
                let out = v.add(row * planes.row);
                for c in (0..whole).step_by(S::LANES) {
                    input_2d::<S, V, H, AV, MV, AH, MH>(
                        s,
                        &pixels,
                        short,
                        (c, S::LANES),
                        ahead,
                        (out.add(c), planes.plane),
                    );
                }
                if whole < map.channels {
                    let rest = (whole, map.channels - whole);
                    input_2d::<S, V, H, AV, MV, AH, MH>(
                        s,
                        &pixels,
                        short,
                        rest,
                        ahead,
                        (out.add(whole), planes.plane),
                    );
                }
            }
        }
    }

    /// Multiplies transformed tiles with `panels` of weights. `rows` lists the tiles' rows in the
    /// first plane; planes are `plane` floats apart. The products that a tile `needs` are stored to
    /// `m`. Meanwhile the parts `ahead` are prefetched.
    ///
    /// # Safety
    /// The rows hold the transformed tiles; `m` has room for these rows with the panels' width.
    pub unsafe fn multiply(
        &self,
        isa: Isa,
        rows: (&[*const f32], usize),
        needs: &Needs,
        panels: Range<usize>,
        products: (*mut f32, Planes),
        ahead: Ahead,
    ) {
        isa.dispatch(Multiply { convolution: self, rows, needs, panels, products, ahead });
    }

    /// Prefetches a part of the input: row `part % rows` of the tile `part / rows`, without the
    /// columns that it shares with the tile on its left.
    #[inline(always)]
    fn ask<S: Simd>(&self, s: S, ahead: &Ahead, part: usize) {
        let ConvDesc { input: map, padding, stride, dilation, .. } = &self.desc;
        let [rows, columns] = self.tiling.inputs(&self.desc);
        let tile = self.tiling.tile(part / rows);
        let y = (tile.y * stride[0] + part % rows * dilation[0]).wrapping_sub(padding.top);
        let shared = columns - self.tiling.size[1] * stride[1];
        for column in shared..columns {
            let x = (tile.x * stride[1] + column * dilation[1]).wrapping_sub(padding.left);
            if y < map.height && x < map.width {
                let pixel = ahead.input.wrapping_add(map.at(tile.n, y, x));
                for c in (0..map.channels).step_by(LINE / size_of::<f32>()) {
                    s.prefetch(pixel.wrapping_add(c));
                }
            }
        }
    }

    /// Applies the output transform to the products of `tiles` and `panels` at `m`, and stores the
    /// pixels. A tile's pixels outside the map are stored to `sink`.
    ///
    /// # Safety
    /// `m` holds the products; `io` is the descriptor's; `sink` is as large as a pixel.
    #[inline(always)]
    pub unsafe fn transform_output<
        S: Simd,
        V: Algorithm<AV, MV>,
        H: Algorithm<AH, MH>,
        const AV: usize,
        const MV: usize,
        const AH: usize,
        const MH: usize,
    >(
        &self,
        s: S,
        io: &Io<'_>,
        tiles: &[Tile],
        panels: Range<usize>,
        (m, planes): (*const f32, Planes),
        sink: *mut f32,
    ) {
        let (map, step) = (&self.desc.output, self.desc.dilation);
        let channels = self.channels(&panels);
        let ahead = MH * step[1] * map.pixel_stride;
        for (row, tile) in tiles.iter().enumerate() {
            let short = tile.is_short([V::SHORT, H::SHORT]);
            let mut pixels = [[sink; MH]; MV];
            let mut residuals = [[sink.cast_const(); MH]; MV];
            for y in 0..tile.rows {
                for x in 0..tile.columns {
                    let (py, px) = (tile.y + y * step[0], tile.x + x * step[1]);
                    // SAFETY: a pixel of the maps, which are of the same size.
                    unsafe {
                        pixels[y][x] = io.output.add(map.at(tile.n, py, px));
                        if let Some(residual) = &self.desc.residual {
                            residuals[y][x] = io.inputs[1].add(residual.at(tile.n, py, px));
                        }
                    }
                }
            }
            for channel in channels.clone().step_by(S::LANES) {
                // SAFETY: the products are the caller's; pixels and residuals have these channels.
                unsafe {
                    let products = m.add(row * planes.row + channel - channels.start);
                    let columns = Columns { channel, channels: S::LANES.min(channels.end - channel) };
                    let transformed =
                        output_columns::<S, V, AV, MV, AH>(s, (products, planes.plane), short[0]);
                    for pixel in pixels.as_flattened() {
                        s.prefetch_write(pixel.wrapping_add(channel + ahead));
                    }
                    for y in 0..tile.rows {
                        let sums = output_run::<S, H, AH, MH>(s, transformed[y], short[1]).map(|sum| [sum]);
                        let residual = self.desc.residual.map(|_| residuals[y]);
                        self.epilogue.store_tile(s, sums, columns, pixels[y], residual);
                    }
                }
            }
            if !self.epilogue.is_finished_by_store() {
                let columns = Columns { channel: channels.start, channels: channels.len() };
                for pixels in &pixels[..tile.rows] {
                    // SAFETY: as above.
                    unsafe { self.epilogue.activate_stored(S::ISA, columns, &pixels[..tile.columns]) };
                }
            }
        }
    }

    /// Applies the output transform to the products of `tiles` and `panels` at `m`, and stores the
    /// maxima of 2x2 pixels at `output`. Pixels outside the map or without a complete window are
    /// ignored.
    ///
    /// # Safety
    /// `m` holds the products; `output` is the pool's map.
    #[inline(always)]
    pub unsafe fn pool_output<
        S: Simd,
        V: Algorithm<AV, MV>,
        H: Algorithm<AH, MH>,
        const AV: usize,
        const MV: usize,
        const AH: usize,
        const MH: usize,
    >(
        &self,
        s: S,
        (pool, output): (&Pool, *mut f32),
        tiles: &[Tile],
        panels: Range<usize>,
        (m, planes): (*const f32, Planes),
    ) {
        let map = &pool.output;
        let channels = self.channels(&panels);
        for (row, tile) in tiles.iter().enumerate() {
            let short = tile.is_short([V::SHORT, H::SHORT]);
            for channel in channels.clone().step_by(S::LANES) {
                // SAFETY: the products are the caller's; a window inside the map is a pixel of the
                // pool's.
                unsafe {
                    let products = m.add(row * planes.row + channel - channels.start);
                    let columns = Columns { channel, channels: S::LANES.min(channels.end - channel) };
                    let transformed =
                        output_columns::<S, V, AV, MV, AH>(s, (products, planes.plane), short[0]);
                    for y in 0..tile.rows / 2 {
                        let rows = [
                            output_run::<S, H, AH, MH>(s, transformed[2 * y], short[1]),
                            output_run::<S, H, AH, MH>(s, transformed[2 * y + 1], short[1]),
                        ];
                        for x in 0..tile.columns / 2 {
                            let mut largest = self.epilogue.affine(s, rows[0][2 * x], channel);
                            for sum in [rows[0][2 * x + 1], rows[1][2 * x], rows[1][2 * x + 1]] {
                                largest = maximum(s, largest, self.epilogue.affine(s, sum, channel));
                            }
                            let to = output.add(map.at(tile.n, tile.y / 2 + y, tile.x / 2 + x));
                            pool.epilogue.store_tile(s, [[largest]], columns, [to], None);
                        }
                    }
                }
            }
        }
    }

    /// The output channels of some panels.
    fn channels(&self, panels: &Range<usize>) -> Range<usize> {
        let width = self.weights.panels.width();
        panels.start * width..(panels.end * width).min(self.desc.output.channels)
    }
}

/// The next parts of the input, numbered as in [`Convolution::ask`].
#[derive(Clone, Debug)]
pub struct Ahead {
    /// The whole input.
    pub input: *const f32,
    /// The parts.
    pub parts: Range<usize>,
}

/// The arguments of [`Convolution::multiply`]: a separate function object, so that the register
/// tiles are compiled once for all algorithms.
struct Multiply<'a> {
    convolution: &'a Convolution,
    rows: (&'a [*const f32], usize),
    needs: &'a Needs,
    panels: Range<usize>,
    products: (*mut f32, Planes),
    ahead: Ahead,
}

impl Vectorized for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { convolution, rows: (rows, plane), needs, panels, products: (m, m_planes), ahead } = self;
        let weights = &convolution.weights;
        // Each matrix with its successor. The last two parts of the tiles prefetch half of the
        // successor each: if weights come from memory, one part's time is too short for all of it.
        let order = (0..weights.products).flat_map(|index| panels.clone().map(move |panel| (panel, index)));
        let following = order.clone().skip(1).map(Some).chain([None]);
        let steps = weights.products * panels.len();
        for (step, ((number, index), following)) in order.zip(following).enumerate() {
            for part in even_range(ahead.parts.len(), steps, step) {
                convolution.ask(s, &ahead, ahead.parts.start + part);
            }
            let column = (number - panels.start) * weights.panels.width();
            let panel = weights.panels.panel(number);
            let matrix = weights.matrix(&panel, index);
            let following = following
                .map_or(matrix, |(panel, index)| weights.matrix(&weights.panels.panel(panel), index));
            let half = weights.panels.elements(panel) / 2;
            let tiles = needs.of(index);
            let parts = tiles.len().div_ceil(max_rows::<S>());
            for part in 0..parts {
                let range = even_range(tiles.len(), parts, part);
                let range = tiles.start + range.start..tiles.start + range.end;
                let next = match parts - part {
                    1 if parts == 1 => Next::whole::<S>(following, panel.vectors),
                    1 => Next::half::<S>(following.wrapping_add(half), panel.vectors),
                    2 => Next::half::<S>(following, panel.vectors),
                    _ => Next::whole::<S>(matrix, panel.vectors),
                };
                // SAFETY: the caller's contract.
                unsafe {
                    let factors = Factors {
                        runs: Runs {
                            table: rows[range.clone()].as_ptr(),
                            taps: 1,
                            run: weights.panels.depth,
                            skip: index * plane,
                        },
                        matrix,
                        next,
                        to: m.add(index * m_planes.plane + range.start * m_planes.row + column),
                        stride: m_planes.row,
                    };
                    if panel.vectors == Panels::VECTORS {
                        with_rows(s, range.len(), Product::<{ Panels::VECTORS }>(factors));
                    } else {
                        with_rows(s, range.len(), Product::<1>(factors));
                    }
                }
            }
        }
    }
}

/// Some rows of a plane, a panel's matrix, and the destination of their product.
#[derive(Clone, Copy)]
struct Factors {
    runs: Runs,
    matrix: *const f32,
    next: Next<f32>,
    to: *mut f32,
    stride: usize,
}

/// A register tile of `NV` vectors.
struct Product<const NV: usize>(Factors);

impl<const NV: usize> TileWork for Product<NV> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        s.call(ProductOf::<NV, ROWS>(self.0));
    }
}

/// A separate function for each tile shape, so that its sums stay in registers.
struct ProductOf<const NV: usize, const ROWS: usize>(Factors);

impl<const NV: usize, const ROWS: usize> Vectorized for ProductOf<NV, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Factors { runs, matrix, next, to, stride } = self.0;
        // SAFETY: the contract of the tile's work: rows, a matrix and room for the products.
        unsafe {
            let sums = product::<S, _, ROWS, NV>(s, runs, matrix, next);
            for (r, row) in sums.into_iter().enumerate() {
                for (v, sum) in row.into_iter().enumerate() {
                    s.store(to.add(r * stride + v * S::LANES), sum);
                }
            }
        }
    }
}
