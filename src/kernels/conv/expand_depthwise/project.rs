//! A depthwise convolution fused with the 1x1 convolution that projects its result, and with the
//! 1x1 convolution that expands its input if there is one: a whole inverted residual.

use std::ops::Range;

use super::ExpandDepthwiseDesc;
use super::pair::{Pair, Pointers, panels};
use super::tile::{self, Pixels, Tile};
use crate::error::Result;
use crate::kernels::activation::{StoredRows, activate_rows};
use crate::kernels::conv::choice::choose;
use crate::kernels::conv::depthwise::{Bands, Depthwise, Way, reads_in_place};
use crate::kernels::conv::desc::{BlockPart, Candidate, ConvDesc};
use crate::kernels::gemm::Panels;
use crate::kernels::gemm::tile::max_rows;
use crate::kernels::names::{WeightNames, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{FeatureMap, Packed};

/// With an expansion, by the type of the projection's weights.
const NAMES: WeightNames = names!(weights: "expand_depthwise_project");
/// Without an expansion.
const NAMES_IN_PLACE: WeightNames = names!(weights: "depthwise_project");

/// Bytes of a band: the depthwise convolution's result, and a panel of its input. It is the part of
/// a second-level cache of 1 MiB that the weights and the input's rows leave. Bands of 512 KiB took
/// up to 5 % longer, since shorter bands recompute more rows of the expansion; bands of 1 MiB were
/// no faster.
const BAND: usize = 768 << 10;

/// The largest size in bytes of the 1x1 convolutions' weights: they are reread for every band, and
/// should stay in the second-level cache with it. Blocks of 14x14 in two bands (of `MobileNetV2`,
/// V3, `MNASNet` and `ShuffleNetV2`) took 0.8 to 0.96 of the time with up to 245 KB, 0.96 to 1.06
/// with 300 to 450 KB, and blocks of 7x7 with more 1.05 to 1.2.
const WEIGHTS: usize = 256 << 10;

/// The largest number of the expansion's products that bands recompute per value of the depthwise
/// convolution, which in return stays in the cache. Blocks took 0.8 to 0.96 of the time up to 17,
/// 1.06 to 1.12 from 17 to 34.
const MOST_PRODUCTS: usize = 17;

/// The largest number of the expansion's rows that two neighbouring bands share: 5x5 kernels
/// without a stride took 1.00 to 1.05 of the time at all sizes.
const MOST_OVERLAP: usize = 3;

/// Pixels from which a block pays off with a single thread: 0.93 to 1.00 of the time from this
/// size, but 0.97 to 1.04 at 14x14, where the intermediate maps stay in its cache anyway.
const PIXELS_ALONE: usize = 28 * 28;

/// Pixels from which a block without an expansion pays off: 0.75 to 0.98 of the time at 112x112, up
/// to 1.15 at 28x28.
const PIXELS_IN_PLACE: usize = 56 * 56;

/// Floats in a cache line.
const LINE: usize = 16;

/// The convolutions; only the last one's output has memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProjectDesc {
    /// The first 1x1 convolution, whose output the depthwise one reads.
    pub expand: Option<ConvDesc>,
    /// The depthwise convolution.
    pub depthwise: ConvDesc,
    /// The 1x1 convolution that reads its output. It may have a residual, which may be the block's
    /// input.
    pub project: ConvDesc,
}

impl ProjectDesc {
    /// The convolutions, in order.
    pub fn convolutions(&self) -> impl Iterator<Item = &ConvDesc> {
        self.expand.iter().chain([&self.depthwise, &self.project])
    }

    /// The first two of three.
    fn front(&self) -> Option<ExpandDepthwiseDesc> {
        self.expand.map(|expand| ExpandDepthwiseDesc { expand, depthwise: self.depthwise })
    }

    /// The kernels whose packed weights this one reads on `isa`, if it supports these convolutions
    /// there with the same bits.
    pub fn parts(&self, isa: Isa) -> Option<Vec<&'static Candidate>> {
        let Self { depthwise, project, .. } = self;
        let fits = project.is_pointwise() && project.groups == 1 && depthwise.output.pixels() > 0;
        let front = match self.front() {
            Some(front) => front.parts(isa)?.to_vec(),
            None if depthwise.residual.is_some() || depthwise.dilation != [1, 1] => return None,
            None => vec![super::find(BlockPart::Depthwise, isa, depthwise)?],
        };
        // Its sums are those of this kernel.
        let chosen = choose(project, isa, None);
        let last =
            (chosen.isa == isa && chosen.block_part == Some(BlockPart::Pointwise)).then_some(chosen)?;
        fits.then(|| front.into_iter().chain([last]).collect())
    }

    /// Makes the kernel from the packed weights and epilogues of its [`Self::parts`], which must
    /// exist on the instruction set.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If their number is not that of the convolutions.
    pub fn prepare(
        &self,
        packed: Vec<Packed>,
        epilogues: Vec<Epilogue>,
        isa: Isa,
        threads: usize,
    ) -> Result<Box<dyn Kernel>> {
        let between = between(&self.depthwise);
        let depthwise = ConvDesc { output: between, ..self.depthwise };
        let bands = self.bands(&between, isa, threads);
        let mut parts = packed.into_iter().zip(epilogues);
        let mut next = || parts.next().expect("weights and an epilogue for each convolution");
        let front = if let Some(expand) = self.expand {
            let ((inner_packed, inner), (outer_packed, outer)) = (next(), next());
            let (descs, packed) = ([&expand, &depthwise], [inner_packed, outer_packed]);
            Front::Pair(Box::new(Pair::new(descs, packed, [inner, outer], bands, isa, threads)?))
        } else {
            let (packed, epilogue) = next();
            let way = Way::rows(&depthwise, 1);
            let packed = packed.into_f32();
            Front::InPlace(Box::new(Depthwise::new(&depthwise, packed, &epilogue, way, isa, threads)?))
        };
        let (packed, epilogue) = next();
        let items = self.project.output.batch * bands.count;
        Ok(Box::new(Block {
            front,
            between,
            project: self.project,
            panels: panels(&self.project, isa),
            packed,
            epilogue,
            bands: bands.count,
            rows: self.project.output.height.div_ceil(bands.count),
            items,
            chunks: [chunks_for(items, threads)],
            isa,
        }))
    }

    /// Whether this is faster than separate convolutions. [`Self::parts`] give the same bits, so
    /// this may depend on the number of threads.
    pub fn pays(&self, isa: Isa, threads: usize) -> bool {
        let (desc, output) = (&self.depthwise, &self.depthwise.output);
        let (pixels, channels) = (output.height * output.width, output.channels);
        let weights = self.expand.map_or(0, |expand| expand.depth()) + self.project.output.channels;
        if weights * channels * size_of::<f32>() > WEIGHTS || (threads == 1 && pixels < PIXELS_ALONE) {
            return false;
        }
        let Some(expand) = &self.expand else {
            return pixels >= PIXELS_IN_PLACE && reads_in_place(desc);
        };
        // With one thread, bands have fewer neighbours, but the gain is smaller, too.
        let bands = self.bands(&between(desc), isa, threads.max(2)).count;
        let overlap = desc.kernel[0].saturating_sub(desc.stride[0]);
        let again = (bands - 1) * overlap * expand.output.width * expand.depth();
        overlap <= MOST_OVERLAP && again <= MOST_PRODUCTS * pixels
    }

    /// Bands that fit in [`BAND`], the same number for each thread.
    fn bands(&self, between: &FeatureMap, isa: Isa, threads: usize) -> Bands {
        let (desc, output) = (&self.depthwise, &self.depthwise.output);
        let (mut row, mut fixed) = (between.row_stride, 0);
        if let Some(expand) = &self.expand {
            let seen = Bands::length(desc) * panels(expand, isa).width();
            row += desc.stride[0] * seen;
            fixed = desc.kernel[0].saturating_sub(desc.stride[0]) * seen;
        }
        let rows = ((BAND / size_of::<f32>()).saturating_sub(fixed) / row).clamp(1, output.height);
        let mut count = output.height.div_ceil(rows);
        while !(output.batch * count).is_multiple_of(threads)
            && output.batch * count < chunks_for(usize::MAX, threads)
            && count < output.height
        {
            count += 1;
        }
        Bands::split(desc, count)
    }
}

/// The map of a depthwise convolution's result as if the first band's memory continued: a band's
/// pixels are contiguous, and those of all pictures share the same memory.
fn between(depthwise: &ConvDesc) -> FeatureMap {
    /// Pixels at a multiple of this distance (1 KiB) fall on few cache sets.
    const ALIASED: usize = 256;
    let FeatureMap { width, channels, .. } = depthwise.output;
    let pixel = channels.next_multiple_of(LINE);
    let pixel_stride = if pixel.is_multiple_of(ALIASED) { pixel + LINE } else { pixel };
    let row_stride = width * pixel_stride;
    FeatureMap { pixel_stride, row_stride, channel_stride: 1, image_stride: 0, ..depthwise.output }
}

/// The part that computes the depthwise convolution's result.
enum Front {
    /// After an expansion.
    Pair(Box<Pair>),
    /// From the input, read in place.
    InPlace(Box<Depthwise>),
}

/// The prepared block. An item is a band.
struct Block {
    front: Front,
    between: FeatureMap,
    project: ConvDesc,
    panels: Panels,
    packed: Packed,
    /// Epilogue of the projection.
    epilogue: Epilogue,
    /// Bands of a picture.
    bands: usize,
    /// The largest number of rows of a band.
    rows: usize,
    items: usize,
    chunks: [usize; 1],
    isa: Isa,
}

impl Block {
    /// Where the parts of a thread's scratch begin, and its end: the front's scratch, the depthwise
    /// convolution's result, a panel of widened weights.
    fn areas(&self) -> [usize; 3] {
        let front = match &self.front {
            Front::Pair(pair) => pair.scratch().next_multiple_of(LINE),
            Front::InPlace(_) => 0,
        };
        let weights = front + self.rows * self.between.row_stride;
        [front, weights, weights + tile::widened(&self.packed, &self.panels)]
    }
}

impl Kernel for Block {
    fn name(&self) -> &'static str {
        match self.front {
            Front::Pair(_) => NAMES.with(self.isa, &self.packed),
            Front::InPlace(_) => NAMES_IN_PLACE.with(self.isa, &self.packed),
        }
    }

    fn phases(&self) -> &[usize] {
        &self.chunks
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.areas()[2])
    }

    unsafe fn run(&self, _phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Items {
            kernel: self,
            range: even_range(self.items, self.chunks[0], chunk),
            input: io.inputs[0],
            residual: self.project.residual.map(|_| io.inputs[1]),
            output: io.output,
            scratch: scratch.local(),
        });
    }
}

/// One chunk.
struct Items<'a> {
    kernel: &'a Block,
    range: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    scratch: *mut f32,
}

impl Vectorized for Items<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Block { front, between, project, bands, .. } = self.kernel;
        let [first, ..] = self.kernel.areas();
        for item in self.range.clone() {
            let (n, band) = (item / bands, item % bands);
            let rows = even_range(project.output.height, *bands, band);
            // SAFETY: the contract of `Kernel::run`; the band's rows fit in the scratch, in which
            // they begin.
            unsafe {
                let result = self.scratch.add(first);
                let output = result.wrapping_sub(between.at(n, rows.start, 0));
                match front {
                    Front::Pair(pair) => {
                        let at = Pointers { input: self.input, output, halo: self.scratch };
                        for panel in 0..pair.count() {
                            pair.panel(s, n, band, panel, at);
                        }
                    }
                    Front::InPlace(depthwise) => {
                        depthwise.rows_in_place(s, n, rows.clone(), self.input, output);
                    }
                }
                self.project(s, n, rows, result);
            }
        }
    }
}

impl Items<'_> {
    /// Computes the projection of some rows of picture `n`, whose input begins at `from`.
    ///
    /// # Safety
    /// The input has been computed.
    #[inline(always)]
    unsafe fn project<S: Simd>(&self, s: S, n: usize, rows: Range<usize>, from: *const f32) {
        let Block { between, project, panels, packed, epilogue, .. } = self.kernel;
        let (output, columns) = (&project.output, project.output.width);
        let gap = |map: &FeatureMap| map.row_stride.wrapping_sub(columns * map.pixel_stride);
        let pixels = rows.len() * columns;
        let tiles = pixels.div_ceil(max_rows::<S>());
        for panel in (0..panels.count()).map(|index| panels.panel(index)) {
            // SAFETY: room after the depthwise convolution's result.
            let (weights, ahead) = unsafe {
                let widened = self.scratch.wrapping_add(self.kernel.areas()[1]);
                tile::weights(s, packed, panels, panel, widened)
            };
            for index in 0..tiles {
                let range = even_range(pixels, tiles, index);
                let (y, x) = (rows.start + range.start / columns, range.start % columns);
                // SAFETY: the pixels are inside the scratch and the maps.
                unsafe {
                    let residual = match (self.residual, &project.residual) {
                        (Some(first), Some(map)) => Some(Pixels {
                            at: first.add(map.at(n, y, x)),
                            step: map.pixel_stride,
                            gap: gap(map),
                        }),
                        _ => None,
                    };
                    let tile = Tile {
                        from: Pixels {
                            at: from.add(range.start * between.pixel_stride),
                            step: between.pixel_stride,
                            gap: 0,
                        },
                        to: Pixels {
                            at: self.output.add(output.at(n, y, x)),
                            step: output.pixel_stride,
                            gap: gap(output),
                        },
                        residual,
                        left: columns - x,
                        columns,
                        depth: panels.depth,
                        weights,
                        ahead: if index + 1 == tiles { ahead } else { 0 },
                        epilogue,
                        channels: panel.columns(),
                    };
                    tile::project(s, range.len(), panel.vectors, tile);
                }
            }
            if !epilogue.is_finished_by_store() {
                for y in rows.clone() {
                    // SAFETY: the row's pixels were stored.
                    unsafe {
                        let first = self.output.add(output.at(n, y, 0) + panel.channel);
                        let row = StoredRows::Every { first, stride: output.pixel_stride, count: columns };
                        activate_rows(S::ISA, row, panel.channels, epilogue.activation);
                    }
                }
            }
        }
    }
}
