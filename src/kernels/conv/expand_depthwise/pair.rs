//! The two convolutions over a band, shared by the kernels with and without a projection.

use std::ops::Range;

use super::tile::{self, Pixels, Tile};
use crate::error::Result;
use crate::kernels::activation::{StoredRows, activate_rows};
use crate::kernels::conv::depthwise::{Bands, Depthwise, Halo, Way};
use crate::kernels::conv::desc::ConvDesc;
use crate::kernels::gemm::tile::max_rows;
use crate::kernels::gemm::{Columns, Panel, Panels};
use crate::kernels::{Epilogue, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::Packed;

/// An expansion and the depthwise convolution after it, prepared.
pub(super) struct Pair {
    expand: ConvDesc,
    panels: Panels,
    packed: Packed,
    /// Epilogue of the 1x1 convolution.
    epilogue: Epilogue,
    depthwise: Depthwise,
    bands: Bands,
}

/// The pointers of a pair.
#[derive(Clone, Copy)]
pub(super) struct Pointers {
    pub(super) input: *const f32,
    /// The depthwise convolution's output.
    pub(super) output: *mut f32,
    /// Room for [`Pair::scratch`] floats.
    pub(super) halo: *mut f32,
}

/// The panels of a 1x1 convolution.
pub(super) fn panels(desc: &ConvDesc, isa: Isa) -> Panels {
    Panels {
        groups: 1,
        group_outputs: desc.output.channels,
        depth: desc.depth(),
        lanes: isa.lanes(),
        vectors: Panels::VECTORS,
    }
}

impl Pair {
    pub(super) fn new(
        [expand, depthwise]: [&ConvDesc; 2],
        [expand_packed, depthwise_packed]: [Packed; 2],
        [inner, outer]: [Epilogue; 2],
        bands: Bands,
        isa: Isa,
        threads: usize,
    ) -> Result<Self> {
        let way = Way::Bands(bands);
        Ok(Self {
            expand: *expand,
            panels: panels(expand, isa),
            packed: expand_packed,
            epilogue: inner,
            depthwise: Depthwise::new(depthwise, depthwise_packed.into_f32(), &outer, way, isa, threads)?,
            bands,
        })
    }

    /// Number of panels of expanded channels.
    pub(super) fn count(&self) -> usize {
        self.panels.count()
    }

    /// Number of bands of a picture.
    pub(super) fn bands(&self) -> usize {
        self.bands.count
    }

    /// The expansion's weights.
    pub(super) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// Floats of a band.
    fn band(&self) -> usize {
        self.bands.rows * self.bands.length * self.panels.width()
    }

    /// Floats of scratch for a panel of a band, and for its weights if they must be widened.
    pub(super) fn scratch(&self) -> usize {
        self.band() + tile::widened(&self.packed, &self.panels)
    }

    /// Computes the output rows of a band of picture `n` for the channels of one panel.
    ///
    /// # Safety
    /// The pointers are valid as documented, and the output is the depthwise descriptor's.
    #[inline(always)]
    pub(super) unsafe fn panel<S: Simd>(&self, s: S, n: usize, band: usize, index: usize, at: Pointers) {
        let (panel, channels) = (self.panels.panel(index), self.depthwise.desc.groups);
        let rows = even_range(self.depthwise.desc.output.height, self.bands.count, band);
        let pixel = panel.vectors * S::LANES;
        // SAFETY: by contract the scratch has room for a band, which holds the input of its rows
        // when they are computed.
        unsafe {
            self.expand(s, n, &rows, panel, at);
            for first in (0..pixel).step_by(S::LANES).take_while(|first| panel.channel + first < channels) {
                let halo = Halo { first: at.halo.add(first), pixel, length: self.bands.length };
                let v = (panel.channel + first) / S::LANES;
                let rows = rows.clone();
                s.call(Band { depthwise: &self.depthwise, n, rows, v, halo, output: at.output });
            }
        }
    }

    /// Computes the channels of a panel at the input rows that some output rows of picture `n` see,
    /// with zeros outside the picture.
    ///
    /// # Safety
    /// The scratch has room for them.
    #[inline(always)]
    unsafe fn expand<S: Simd>(&self, s: S, n: usize, rows: &Range<usize>, panel: Panel, at: Pointers) {
        let Self { expand, panels, packed, epilogue, depthwise, bands } = self;
        let (input, padding) = (&expand.input, &depthwise.desc.padding);
        let (length, pixel) = (bands.length, panel.vectors * S::LANES);
        let left = padding.left.min(length);
        let columns = input.width.min(length - left);
        let seen = Bands::seen(&depthwise.desc, rows);
        for (r, y) in seen.clone().enumerate() {
            let (left, columns) = if y < input.height { (left, columns) } else { (length, 0) };
            for x in (0..left).chain(left + columns..length) {
                for v in 0..panel.vectors {
                    // SAFETY: the row is inside the scratch.
                    unsafe { s.store(at.halo.add((r * length + x) * pixel + v * S::LANES), s.zero()) };
                }
            }
        }
        let Some((first, y)) = seen.enumerate().find(|&(_, y)| y < input.height) else { return };
        let inside = Bands::seen_rows(&depthwise.desc, rows).saturating_sub(first).min(input.height - y);
        let pixels = inside * columns;
        let tiles = pixels.div_ceil(max_rows::<S>());
        // The rest of the activation is applied to complete rows, while they are in the cache.
        let mut done = if epilogue.is_finished_by_store() { inside } else { 0 };
        // SAFETY: room after the band.
        let (weights, ahead) =
            unsafe { tile::weights(s, packed, panels, panel, at.halo.wrapping_add(self.band())) };
        for index in 0..tiles {
            // Tiles continue from one row to the next, so few of them are short.
            let range = even_range(pixels, tiles, index);
            let (row, x) = (range.start / columns, range.start % columns);
            // SAFETY: the pixels are inside the picture and the scratch.
            unsafe {
                let tile = Tile {
                    from: Pixels {
                        at: at.input.add(input.at(n, y + row, x)),
                        step: input.pixel_stride,
                        gap: input.row_stride.wrapping_sub(columns * input.pixel_stride),
                    },
                    to: Pixels {
                        // Where a pixel with all channels would begin.
                        at: at
                            .halo
                            .add(((first + row) * length + left + x) * pixel)
                            .wrapping_sub(panel.channel),
                        step: pixel,
                        gap: (length - columns) * pixel,
                    },
                    residual: None,
                    left: columns - x,
                    columns,
                    depth: panels.depth,
                    weights,
                    ahead: if index + 1 == tiles { ahead } else { 0 },
                    epilogue,
                    channels: Columns { channel: panel.channel, channels: pixel },
                };
                tile::expand(s, range.len(), panel.vectors, tile);
            }
            while done < range.end / columns && done < inside {
                // SAFETY: the row's pixels were stored.
                unsafe {
                    let first = at.halo.add(((first + done) * length + left) * pixel);
                    let row = StoredRows::Every { first, stride: 0, count: 1 };
                    activate_rows(S::ISA, row, columns * pixel, epilogue.activation);
                }
                done += 1;
            }
        }
    }
}

/// The depthwise convolution of one vector of channels over a band: a function of its own, so that
/// its loops have the registers to themselves.
struct Band<'a> {
    depthwise: &'a Depthwise,
    n: usize,
    rows: Range<usize>,
    v: usize,
    halo: Halo,
    output: *mut f32,
}

impl Vectorized for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { depthwise, n, rows, v, halo, output } = self;
        // SAFETY: the band's input has been computed, the output is the descriptor's.
        unsafe { depthwise.band(s, n, rows, v, halo, output) };
    }
}
