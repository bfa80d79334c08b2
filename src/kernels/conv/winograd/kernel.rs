//! The prepared kernel: how tiles and output channels are split into chunks of work.

use std::marker::PhantomData;
use std::ops::Range;

use super::block::{Block, MAX_TILES, Needs};
use super::geometry::{Planes, Tile};
use super::stages::{Ahead, Convolution};
use super::transforms::Algorithm;
use crate::kernels::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};

/// How the work is split. Every output is the same sum in both ways.
#[derive(Clone, Debug)]
pub enum Organisation {
    /// One phase. Each chunk takes a block of tiles through all stages in its own scratch: for
    /// weights that stay in the second-level cache, or that only few tiles read.
    Blocks {
        /// Blocks of tiles, one per chunk.
        blocks: usize,
    },
    /// Two phases for each block of tiles: the input transform, split by tiles, into shared
    /// scratch; then the products and the output transform, split by panels of output channels, so
    /// that all threads together read the weights once.
    Phased {
        /// Blocks of tiles, two phases each.
        blocks: usize,
        /// Parts of the tiles and of the panels: the chunks of the product phase are their pairs.
        parts: [usize; 2],
    },
}

impl Organisation {
    /// Blocks of tiles.
    pub fn blocks(&self) -> usize {
        match *self {
            Self::Blocks { blocks } | Self::Phased { blocks, .. } => blocks,
        }
    }
}

/// A Winograd convolution, ready to run.
pub struct Winograd<V, H, const AV: usize, const MV: usize, const AH: usize, const MH: usize> {
    name: &'static str,
    isa: Isa,
    pub(super) convolution: Convolution,
    pub(super) organisation: Organisation,
    /// Panels that are multiplied in one pass over the tiles.
    pub(super) group: usize,
    phases: Vec<usize>,
    /// Layout of the transformed input.
    pub(super) v_planes: Planes,
    /// Layout of the products.
    pub(super) m_planes: Planes,
    algorithms: PhantomData<(V, H)>,
}

/// Transformed weights up to this size are reread for each block of tiles: they (nearly) fit in the
/// second-level cache. With 128 channels at 28x28 (2.25 MiB) and two threads, blocks took 11 % less
/// time than phases, whose transformed tiles the threads must fetch from each other.
const SMALL_WEIGHTS: usize = 3 << 20;
/// The same if phases would also read the weights more than once, and they fit in the last-level
/// cache: 256-256@56 (9 MiB) took 4 % less time in blocks.
const LARGER_WEIGHTS: usize = 10 << 20;
/// Tiles of a block that goes through all stages in one chunk.
const BLOCK_TILES: usize = 24;
/// Tiles whose transforms are stored between the two phases.
const PHASE_TILES: usize = 96;
/// Channels that are multiplied before their output transform: it reads whole cache lines, and the
/// next panel is multiplied with tiles that are still in the first-level cache. 32 took up to 1 %
/// longer than 64, 128 the same time.
const GROUP_CHANNELS: usize = 64;
/// The largest number of floats of a group's products: a quarter of a second-level cache of 1 MiB.
const GROUP_PRODUCTS: usize = 64 << 10;

impl<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
> Winograd<V, H, AV, MV, AH, MH>
{
    /// Pixels up to which a tile is short.
    const SHORT: [usize; 2] = [V::SHORT, H::SHORT];

    /// A kernel for `threads` threads.
    pub fn new(name: &'static str, isa: Isa, convolution: Convolution, threads: usize) -> Self {
        let organisation = organisation(&convolution, threads);
        let (blocks, panels) = (organisation.blocks(), convolution.weights.panels);
        let rows = convolution.tiling.total.div_ceil(blocks).max(1);
        let channels = GROUP_CHANNELS.min(GROUP_PRODUCTS / (AV * AH * rows));
        let group = (channels / panels.width()).max(1);
        Self::organised(name, isa, convolution, threads, organisation, group)
    }

    /// A kernel that splits its work in this way.
    pub fn organised(
        name: &'static str,
        isa: Isa,
        convolution: Convolution,
        threads: usize,
        organisation: Organisation,
        group: usize,
    ) -> Self {
        let panels = convolution.weights.panels;
        let total = convolution.tiling.total;
        let rows = total.div_ceil(organisation.blocks());
        let phases = match organisation {
            Organisation::Blocks { blocks } => vec![blocks],
            Organisation::Phased { blocks, parts } => {
                let phases = |block| {
                    let tiles = even_range(total, blocks, block).len();
                    [chunks_for(tiles, threads), parts[0] * parts[1]]
                };
                (0..blocks).flat_map(phases).collect()
            }
        };
        let v_planes = Planes::new(rows, panels.depth);
        let m_planes = Planes::new(rows, group.min(panels.count()) * panels.width());
        let algorithms = PhantomData;
        Self { name, isa, convolution, organisation, group, phases, v_planes, m_planes, algorithms }
    }

    /// Some tiles.
    fn block(&self, range: Range<usize>) -> Block {
        Block::new(&self.convolution.tiling, range, Self::SHORT)
    }

    /// Multiplies some tiles with some panels and applies the output transform, one group of panels
    /// after the other. Meanwhile it prefetches the input of the `next` tiles, if any.
    ///
    /// # Safety
    /// `v` holds the transformed tiles, `m` is this thread's, `io` is the descriptor's.
    #[inline(always)]
    unsafe fn outputs<S: Simd>(
        &self,
        s: S,
        io: &Io<'_>,
        tiles: &[Tile],
        panels: Range<usize>,
        next: Range<usize>,
        (v, m): (*const f32, *mut f32),
    ) {
        // A Vec per chunk would cost as much as some tiles.
        let mut rows = [std::ptr::null(); MAX_TILES];
        let rows = &mut rows[..tiles.len()];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = v.wrapping_add(i * self.v_planes.row);
        }
        let needs = Needs::new(tiles, Self::SHORT, [V::UNUSED, H::UNUSED], AH);
        let sink = m.wrapping_add(self.m_planes.len(AV * AH));
        let mut start = panels.start;
        while start < panels.end {
            let group = start..panels.end.min(start + self.group);
            start = group.end;
            let convolution = &self.convolution;
            let products = (m, self.m_planes);
            let before =
                |panel: usize| next.start * AV + next.len() * AV * (panel - panels.start) / panels.len();
            let ahead = Ahead { input: io.inputs[0], parts: before(group.start)..before(group.end) };
            // SAFETY: the caller's contract.
            unsafe {
                convolution.multiply(
                    S::ISA,
                    (rows, self.v_planes.plane),
                    &needs,
                    group.clone(),
                    products,
                    ahead,
                );
                let products = (m.cast_const(), self.m_planes);
                if let Some(pool) = &convolution.pool {
                    convolution.pool_output::<S, V, H, AV, MV, AH, MH>(
                        s,
                        (pool, io.output),
                        tiles,
                        group,
                        products,
                    );
                } else {
                    convolution
                        .transform_output::<S, V, H, AV, MV, AH, MH>(s, io, tiles, group, products, sink);
                }
            }
        }
    }
}

fn organisation(convolution: &Convolution, threads: usize) -> Organisation {
    let total = convolution.tiling.total;
    let few = if total > PHASE_TILES { LARGER_WEIGHTS } else { SMALL_WEIGHTS };
    if convolution.weights.bytes() <= few {
        let blocks = total.div_ceil(BLOCK_TILES).next_multiple_of(threads).min(total);
        Organisation::Blocks { blocks: blocks.max(1) }
    } else {
        let blocks = total.div_ceil(PHASE_TILES).max(1);
        let panels = chunks_for(convolution.weights.panels.count(), threads);
        // Too few panels for all threads: split the tiles too, although their parts reread the
        // weights.
        let tiles = threads.div_ceil(panels).min(total.div_ceil(blocks).max(1));
        Organisation::Phased { blocks, parts: [tiles, panels] }
    }
}

impl<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
> Kernel for Winograd<V, H, AV, MV, AH, MH>
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        let v = self.v_planes.len(AV * AH);
        let m = self.m_planes.len(AV * AH) + self.convolution.desc.output.channels;
        match self.organisation {
            Organisation::Blocks { .. } => ScratchSize::floats(0, v + m),
            Organisation::Phased { .. } => ScratchSize::floats(v, m),
        }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Work { kernel: self, phase, chunk, io, scratch });
    }
}

/// The arguments of [`Kernel::run`].
struct Work<'a, V, H, const AV: usize, const MV: usize, const AH: usize, const MH: usize> {
    kernel: &'a Winograd<V, H, AV, MV, AH, MH>,
    phase: usize,
    chunk: usize,
    io: &'a Io<'a>,
    scratch: Scratch,
}

impl<
    V: Algorithm<AV, MV>,
    H: Algorithm<AH, MH>,
    const AV: usize,
    const MV: usize,
    const AH: usize,
    const MH: usize,
> Vectorized for Work<'_, V, H, AV, MV, AH, MH>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { kernel, phase, chunk, io, scratch } = self;
        let convolution = &kernel.convolution;
        let (total, input) = (convolution.tiling.total, io.inputs[0]);
        let count = convolution.weights.panels.count();
        let planes = kernel.v_planes;
        // SAFETY: the contract of `Kernel::run`; rows and planes are those of `scratch`.
        unsafe {
            match kernel.organisation {
                Organisation::Blocks { blocks } => {
                    let block = kernel.block(even_range(total, blocks, chunk));
                    let tiles = block.tiles();
                    let v = scratch.local::<f32>();
                    let m = v.add(planes.len(AV * AH));
                    convolution.transform_input::<S, V, H, AV, MV, AH, MH>(s, input, tiles, v, planes);
                    // Workers process neighbouring chunks consecutively.
                    let next = if chunk + 1 < blocks { even_range(total, blocks, chunk + 1) } else { 0..0 };
                    kernel.outputs(s, io, tiles, 0..count, next, (v, m));
                }
                Organisation::Phased { blocks, parts } => {
                    let block = kernel.block(even_range(total, blocks, phase / 2));
                    let tiles = block.tiles();
                    if phase.is_multiple_of(2) {
                        let part = even_range(tiles.len(), kernel.phases[phase], chunk);
                        let v = scratch.shared::<f32>().add(part.start * planes.row);
                        let tiles = &tiles[part];
                        convolution.transform_input::<S, V, H, AV, MV, AH, MH>(s, input, tiles, v, planes);
                    } else {
                        let part = even_range(tiles.len(), parts[0], chunk / parts[1]);
                        let panels = even_range(count, parts[1], chunk % parts[1]);
                        let v = scratch.shared::<f32>().add(part.start * planes.row);
                        kernel.outputs(s, io, &tiles[part], panels, 0..0, (v, scratch.local()));
                    }
                }
            }
        }
    }
}
