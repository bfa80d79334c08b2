//! A 1x1 convolution that widens a map and the depthwise convolution behind it, as one kernel: the
//! front of an inverted residual (Sandler et al., "MobileNetV2", 2018).
//!
//! The widened map is several times as large as anything around it, and would be written to memory
//! only to be read once. Here a panel of its channels, over a band of rows, is computed into scratch
//! that the nearer caches hold, with zeros around it, and goes through the depthwise convolution at
//! once. Each value is the same sum as in the two kernels one after the other, to the bit.

use std::ops::Range;

use super::depthwise::{Bands, Depthwise, Halo, Way};
use super::{Candidate, ConvDesc, depthwise, igemm};
use crate::kernels::epilogue::Columns;
use crate::kernels::gemm::tile::{self, Next, TileWork, max_rows, with_rows};
use crate::kernels::gemm::weight::widen;
use crate::kernels::gemm::{Panel, Panels};
use crate::kernels::math::{StoredRows, activate_rows};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::Packed;

/// With float32 weights of the 1x1 convolution, and with float16 ones.
const NAMES: [[&str; 2]; 4] = [
    ["f32_expand_depthwise_portable", "f32_f16w_expand_depthwise_portable"],
    ["f32_expand_depthwise_portable16", "f32_f16w_expand_depthwise_portable16"],
    ["f32_expand_depthwise_avx2", "f32_f16w_expand_depthwise_avx2"],
    ["f32_expand_depthwise_avx512", "f32_f16w_expand_depthwise_avx512"],
];

/// Bytes of a band of a panel's channels.
const BAND: usize = 256 << 10;

/// The two convolutions; the first one's output is the second one's input, and lies nowhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpandDepthwiseDesc {
    /// The 1x1 convolution.
    pub expand: ConvDesc,
    /// The depthwise one.
    pub depthwise: ConvDesc,
}

impl ExpandDepthwiseDesc {
    /// The kernels whose packed weights this one reads, on `isa`, if it computes these convolutions
    /// there.
    pub fn parts(&self, isa: Isa) -> Option<[&'static Candidate; 2]> {
        let Self { expand, depthwise } = self;
        let fits = expand.is_pointwise()
            && expand.groups == 1
            && [expand.residual, depthwise.residual].iter().all(Option::is_none)
            && depthwise.dilation == [1, 1]
            && depthwise.output.pixels() > 0;
        let of = |list: &'static [Candidate], desc| list.iter().find(|c| c.isa == isa && (c.accepts)(desc));
        let parts = [of(igemm::CANDIDATES, expand)?, of(depthwise::CANDIDATES, depthwise)?];
        fits.then_some(parts)
    }

    /// The kernel, on an instruction set that has its [`Self::parts`], of their packed weights.
    pub fn prepare(
        &self,
        [expand, depthwise]: [Packed; 2],
        [inner, outer]: [Epilogue; 2],
        isa: Isa,
        threads: usize,
    ) -> Box<dyn Kernel> {
        let panels = Panels {
            groups: 1,
            group_outputs: self.expand.output.channels,
            depth: self.expand.depth(),
            lanes: isa.lanes(),
        };
        let bands = Bands::new(&self.depthwise, panels.width(), BAND);
        let items = self.depthwise.output.batch * bands.count * panels.count();
        Box::new(ExpandDepthwise {
            expand: self.expand,
            panels,
            packed: expand,
            epilogue: inner,
            depthwise: Depthwise::new(
                &self.depthwise,
                depthwise.into_f32(),
                &outer,
                Way::Bands(bands),
                isa,
                threads,
            ),
            bands,
            items,
            chunks: [chunks_for(items, threads)],
            isa,
        })
    }
}

/// The prepared pair. An item is a panel of a band; the bands' panels follow each other, so that a
/// band's input is read again while it is near.
struct ExpandDepthwise {
    expand: ConvDesc,
    panels: Panels,
    packed: Packed,
    /// Of the 1x1 convolution.
    epilogue: Epilogue,
    depthwise: Depthwise,
    bands: Bands,
    items: usize,
    chunks: [usize; 1],
    isa: Isa,
}

impl ExpandDepthwise {
    /// Floats of a band.
    fn band(&self) -> usize {
        self.bands.rows * self.bands.length * self.panels.width()
    }

    /// Floats of a panel that is widened for all tiles of a band; 0 if none is.
    fn widened(&self) -> usize {
        match self.packed {
            Packed::F32(_) => 0,
            Packed::F16(_) => self.panels.width() * self.panels.depth,
        }
    }
}

impl Kernel for ExpandDepthwise {
    fn name(&self) -> &'static str {
        NAMES[self.isa as usize][usize::from(matches!(self.packed, Packed::F16(_)))]
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize { shared: 0, local: self.band() + self.widened() }
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Items {
            kernel: self,
            range: even_range(self.items, self.chunks[0], chunk),
            input: io.inputs[0],
            output: io.output,
            halo: scratch.local,
        });
    }
}

/// One chunk.
struct Items<'a> {
    kernel: &'a ExpandDepthwise,
    range: Range<usize>,
    input: *const f32,
    output: *mut f32,
    halo: *mut f32,
}

impl Vectorized for Items<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ExpandDepthwise { panels, depthwise, bands, .. } = self.kernel;
        let (count, channels) = (panels.count(), depthwise.desc.groups);
        for item in self.range.clone() {
            let (band, panel) = (item / count, panels.panel(item % count));
            let (n, band) = (band / bands.count, band % bands.count);
            let rows = even_range(depthwise.desc.output.height, bands.count, band);
            let pixel = panel.vectors * S::LANES;
            // SAFETY: the contract of `Kernel::run`: the scratch has room for a band, which holds
            // what its rows see when they are computed.
            unsafe {
                self.expand(s, n, &rows, panel);
                for first in (0..pixel).step_by(S::LANES).take_while(|first| panel.channel + first < channels)
                {
                    let halo = Halo { first: self.halo.add(first), pixel, length: bands.length };
                    let v = (panel.channel + first) / S::LANES;
                    s.call(Band { kernel: self.kernel, n, rows: rows.clone(), v, halo, output: self.output });
                }
            }
        }
    }
}

/// The depthwise convolution of one vector of channels over a band: a function of its own, so that
/// its loops have the registers to themselves.
struct Band<'a> {
    kernel: &'a ExpandDepthwise,
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
        let Self { kernel, n, rows, v, halo, output } = self;
        // SAFETY: the band's input has been computed, the output is the descriptor's.
        unsafe { kernel.depthwise.band(s, n, rows, v, halo, output) };
    }
}

impl Items<'_> {
    /// The channels of a panel at the input rows that some output rows of picture `n` see, with zeros
    /// for what is outside the picture.
    ///
    /// # Safety
    /// The scratch has room for them.
    #[inline(always)]
    unsafe fn expand<S: Simd>(&self, s: S, n: usize, rows: &Range<usize>, panel: Panel) {
        let ExpandDepthwise { expand, panels, packed, epilogue, depthwise, bands, .. } = self.kernel;
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
                    unsafe { s.store(self.halo.add((r * length + x) * pixel + v * S::LANES), s.zero()) };
                }
            }
        }
        let Some((first, y)) = seen.enumerate().find(|&(_, y)| y < input.height) else { return };
        let inside = Bands::seen_rows(&depthwise.desc, rows).saturating_sub(first).min(input.height - y);
        let (weights, ahead) = match packed {
            // The last tile asks for the next panel.
            Packed::F32(packed) => (packed.as_ptr().wrapping_add(panel.offset), panels.elements(panel)),
            Packed::F16(packed) => {
                let to = self.halo.wrapping_add(self.kernel.band());
                // SAFETY: a panel of the packed weights, and room for it in the scratch.
                unsafe { widen(s, packed.as_ptr().add(panel.offset), panels.elements(panel), to) };
                (to.cast_const(), 0)
            }
        };
        let pixels = inside * columns;
        let tiles = pixels.div_ceil(max_rows::<S>());
        for tile in 0..tiles {
            // Tiles run on from a row to the next: few of them are short.
            let range = even_range(pixels, tiles, tile);
            let (row, x) = (range.start / columns, range.start % columns);
            // SAFETY: the pixels are inside the picture and the scratch.
            unsafe {
                let tile = Tile {
                    from: self.input.add(input.at(n, y + row, x)),
                    to: self.halo.add(((first + row) * length + left + x) * pixel),
                    steps: [input.pixel_stride, pixel],
                    // From behind a row's last pixel to the next row's first.
                    gaps: [
                        input.row_stride.wrapping_sub(columns * input.pixel_stride),
                        (length - columns) * pixel,
                    ],
                    left: columns - x,
                    columns,
                    depth: panels.depth,
                    weights,
                    ahead: if tile + 1 == tiles { ahead } else { 0 },
                    epilogue,
                    channels: Columns { channel: panel.channel, channels: pixel },
                };
                if panel.vectors == Panels::VECTORS {
                    with_rows(s, range.len(), Product::<{ Panels::VECTORS }>(tile));
                } else {
                    with_rows(s, range.len(), Product::<1>(tile));
                }
            }
        }
        if !epilogue.is_finished_by_store() {
            for row in first..first + inside {
                // SAFETY: the row's pixels were stored.
                unsafe {
                    let first = self.halo.add((row * length + left) * pixel);
                    let row = StoredRows::Every { first, stride: 0, count: 1 };
                    activate_rows(S::ISA, row, columns * pixel, epilogue.activation);
                }
            }
        }
    }
}

/// Some pixels that follow each other, a panel's weights, and where the panel's channels go.
struct Tile<'a> {
    from: *const f32,
    to: *mut f32,
    /// Floats from a pixel to the next: where it is read, and where it goes.
    steps: [usize; 2],
    /// Floats in between from a row's last pixel to the next row's first.
    gaps: [usize; 2],
    /// Pixels up to the end of the first row.
    left: usize,
    /// Pixels of a row.
    columns: usize,
    depth: usize,
    weights: *const f32,
    ahead: usize,
    epilogue: &'a Epilogue,
    channels: Columns,
}

struct Product<'a, const NV: usize>(Tile<'a>);

impl<const NV: usize> TileWork for Product<'_, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize>(self, s: S) {
        s.call(ProductOf::<NV, ROWS>(self.0));
    }
}

/// A function of its own for each shape of tile, so that its sums stay in registers.
struct ProductOf<'a, const NV: usize, const ROWS: usize>(Tile<'a>);

impl<const NV: usize, const ROWS: usize> Vectorized for ProductOf<'_, NV, ROWS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Tile { mut from, mut to, steps, gaps, mut left, columns, depth, weights, ahead, .. } = self.0;
        let Tile { epilogue, channels, .. } = self.0;
        let mut table = [std::ptr::null(); ROWS];
        let mut pixels = [std::ptr::null_mut(); ROWS];
        for r in 0..ROWS {
            table[r] = from;
            // Where a pixel of all channels would begin.
            pixels[r] = to.wrapping_sub(channels.channel);
            (from, to) = (from.wrapping_add(steps[0]), to.wrapping_add(steps[1]));
            left -= 1;
            if left == 0 {
                left = columns;
                (from, to) = (from.wrapping_add(gaps[0]), to.wrapping_add(gaps[1]));
            }
        }
        let runs = tile::Runs { table: table.as_ptr(), taps: 1, run: depth, skip: 0 };
        // SAFETY: the pixels are the input's, the panel is as deep as they, and there is room for a
        // panel's channels at each place.
        unsafe {
            let sums = tile::product::<S, f32, ROWS, NV>(
                s,
                runs,
                weights,
                Next::whole::<S>(weights.wrapping_add(ahead), NV),
            );
            epilogue.store_tile(s, sums, channels, pixels, None);
        }
    }
}

#[cfg(test)]
mod tests;
