//! Depthwise convolutions: every channel by itself, vectors of channels, a few output pixels of one
//! row at a time in registers.
//!
//! Where rows are long, the input is read where it lies: tap rows outside the picture are left out,
//! and the pixels at a row's ends, some of whose taps are outside, are computed one by one, so that
//! the tiles between them ask nothing. Small maps are copied first, one vector of channels with
//! zeros around it. Sums run over the taps in order, in a tile or alone.

use std::ops::Range;
use std::sync::Arc;

use super::desc::{BlockPart, Candidate, ConvDesc, on_all, pack_f32};
use super::finish::Finish;
use crate::error::Result;
use crate::kernels::activation::StoredRows;
use crate::kernels::names::{Names, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range, phase_order};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_all!(candidate);

const NAMES: Names<1> = names!("depthwise");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        accepts,
        prefers: |_| true,
        form: form::<S>,
        pack: |desc, weights| pack_f32(desc, weights, pack::<S>),
        prepare: prepare::<S>,
        with_pool: None,
        with_prologue: None,
        block_part: Some(BlockPart::Depthwise),
    }
}

fn accepts(desc: &ConvDesc) -> bool {
    desc.groups == desc.input.channels
        && desc.groups == desc.output.channels
        && desc.groups > 1
        && desc.input.channels_last()
        && desc.output.channels_last()
        && desc.residual.is_none_or(|map| map.channels_last())
}

fn form<S: Simd>(_: &ConvDesc) -> Form {
    Form { name: "depthwise", params: [S::LANES, 0, 0, 0] }
}

/// `[channels / LANES][kh * kw][LANES]`, the last block padded with zeros.
fn pack<S: Simd>(desc: &ConvDesc, weights: &[f32]) -> Result<AlignedBuf> {
    let (lanes, taps) = (S::LANES, desc.depth());
    let mut packed = AlignedBuf::resident(desc.groups.next_multiple_of(lanes) * taps, "depthwise weights")?;
    for (c, kernel) in weights.chunks_exact(taps).enumerate() {
        for (tap, &weight) in kernel.iter().enumerate() {
            packed[(c / lanes * taps + tap) * lanes + c % lanes] = weight;
        }
    }
    Ok(packed)
}

fn prepare<S: Simd>(
    desc: &ConvDesc,
    weights: Packed,
    epilogue: Epilogue,
    threads: usize,
) -> Result<Box<dyn Kernel>> {
    let isa = S::ISA;
    let way = if reads_in_place(desc) {
        Way::rows(desc, desc.groups.div_ceil(isa.lanes()))
    } else {
        Way::bands(desc, isa)
    };
    Ok(Box::new(Depthwise::new(desc, weights.into_f32(), &epilogue, way, isa, threads)?))
}

/// Whether a convolution reads its input where it lies.
pub(super) fn reads_in_place(desc: &ConvDesc) -> bool {
    desc.output.width > widest_copied(desc) || desc.dilation != [1, 1]
}

/// The width up to which output maps go by way of a copy with a halo, because the pixels at a row's
/// ends cost more than the copy; a copy for a larger stride is read too seldom to pay. Measured
/// (benches/pointwise.rs, against reading in place): 3x3 is 1.05 times as fast at 7 and 0.9 at 14,
/// 5x5 is 1.4 at 14 and 0.95 at 28, 7x7 is 1.5 at 14 and 1.2 at 56.
fn widest_copied(desc: &ConvDesc) -> usize {
    match (desc.stride[1], desc.kernel[1]) {
        (1, ..=3) => 7,
        (1, ..=5) => 14,
        (1, _) => 56,
        _ => 0,
    }
}

/// A band's copy should stay in the nearest cache while it is read.
const CACHED: usize = 48 << 10;

/// The input rows of an output row should stay in the nearer caches for the next one; longer ones
/// are cut by channels.
const CACHED_ROWS: usize = 48 << 10;

/// How a convolution is cut into items.
pub(super) enum Way {
    /// An item is one output row of a block of channels, read from where the input lies.
    StoredRows {
        /// Parts that the vectors of channels are cut into.
        blocks: usize,
        /// The output columns whose taps are all inside the picture.
        interior: Range<usize>,
        /// All output columns, cut where other taps are inside the picture, and those taps. With a
        /// dilation, the columns that see a side are many.
        segments: Vec<(Range<usize>, Range<usize>)>,
    },
    /// An item is some output rows of one vector of channels, read from a copy of their input with
    /// zeros around it.
    Bands(Bands),
}

/// Bands of output rows whose input is made first, with zeros around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands {
    /// Parts that the output rows are cut into.
    pub(super) count: usize,
    /// Pixels in a row of the input: what the row's tiles read, the last one filled up.
    pub(super) length: usize,
    /// Most rows of a band's input.
    pub(super) rows: usize,
}

impl Bands {
    /// Bands whose input of so many floats a pixel stays within some bytes, or is not read more than
    /// about twice, whichever makes the longer ones.
    pub(super) fn new(desc: &ConvDesc, pixel: usize, bytes: usize) -> Self {
        let row_bytes = Self::length(desc) * pixel * size_of::<f32>();
        let extra = (desc.kernel[0] - 1) * desc.dilation[0] + 1;
        let band = ((bytes / row_bytes).saturating_sub(extra) / desc.stride[0] + 1).max(extra);
        Self::split(desc, desc.output.height.div_ceil(band))
    }

    /// So many bands of nearly equal heights.
    pub(super) fn split(desc: &ConvDesc, count: usize) -> Self {
        let extra = (desc.kernel[0] - 1) * desc.dilation[0] + 1;
        let most = desc.output.height.div_ceil(count.max(1));
        Self { count, length: Self::length(desc), rows: most.saturating_sub(1) * desc.stride[0] + extra }
    }

    /// Pixels in a row of a band's input.
    pub(super) fn length(desc: &ConvDesc) -> usize {
        let columns = desc.output.width.next_multiple_of(MOST_PIXELS);
        (columns.max(1) - 1) * desc.stride[1] + (desc.kernel[1] - 1) * desc.dilation[1] + 1
    }

    /// The input rows that some output rows see; those above the picture wrap around to something large.
    pub(super) fn seen(desc: &ConvDesc, rows: &Range<usize>) -> impl Iterator<Item = usize> + Clone + use<> {
        let first = (rows.start * desc.stride[0]).wrapping_sub(desc.padding.top);
        (0..Self::seen_rows(desc, rows)).map(move |r| first.wrapping_add(r))
    }

    /// How many these are.
    pub(super) fn seen_rows(desc: &ConvDesc, rows: &Range<usize>) -> usize {
        (rows.len() - 1) * desc.stride[0] + (desc.kernel[0] - 1) * desc.dilation[0] + 1
    }
}

/// A band's input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halo {
    /// The first pixel's channels.
    pub(super) first: *const f32,
    /// Floats from a pixel to the next.
    pub(super) pixel: usize,
    /// Pixels in a row.
    pub(super) length: usize,
}

impl Way {
    /// With the vectors of channels cut into `vectors` parts at most.
    pub(super) fn rows(desc: &ConvDesc, vectors: usize) -> Self {
        let row_bytes = desc.kernel[0] * desc.input.width * desc.groups * size_of::<f32>();
        let (stride, extent) = (desc.stride[1], (desc.kernel[1] - 1) * desc.dilation[1]);
        let first = desc.padding.left.div_ceil(stride).min(desc.output.width);
        let inside = (desc.input.width + desc.padding.left).saturating_sub(extent).div_ceil(stride);
        let mut segments: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for ox in 0..desc.output.width {
            let taps = inside_taps(desc, ox);
            match segments.last_mut() {
                Some((columns, same)) if *same == taps => columns.end = ox + 1,
                _ => segments.push((ox..ox + 1, taps)),
            }
        }
        Self::StoredRows {
            blocks: row_bytes.div_ceil(CACHED_ROWS).clamp(1, vectors),
            interior: first..inside.clamp(first, desc.output.width),
            segments,
        }
    }

    fn bands(desc: &ConvDesc, isa: Isa) -> Self {
        Self::Bands(Bands::new(desc, isa.lanes(), CACHED))
    }
}

/// The taps across of an output column that are inside the picture.
fn inside_taps(desc: &ConvDesc, ox: usize) -> Range<usize> {
    let (start, step) = (ox * desc.stride[1], desc.dilation[1]);
    let first = desc.padding.left.saturating_sub(start).div_ceil(step).min(desc.kernel[1]);
    let inside = (desc.padding.left + desc.input.width).saturating_sub(start + first * step).div_ceil(step);
    first..desc.kernel[1].min(first + inside)
}

/// Of any tile.
const MOST_PIXELS: usize = 8;

pub(super) struct Depthwise {
    pub(super) desc: ConvDesc,
    weights: Arc<AlignedBuf>,
    finish: Finish,
    way: Way,
    items: usize,
    phases: Vec<usize>,
    isa: Isa,
}

impl Depthwise {
    /// A kernel whose work is cut like this.
    pub(super) fn new(
        desc: &ConvDesc,
        weights: Arc<AlignedBuf>,
        epilogue: &Epilogue,
        way: Way,
        isa: Isa,
        threads: usize,
    ) -> Result<Self> {
        let items = desc.output.batch
            * match &way {
                Way::StoredRows { blocks, .. } => desc.output.height * blocks,
                Way::Bands(bands) => desc.groups.div_ceil(isa.lanes()) * bands.count,
            };
        let phases = if desc.output.pixels() == 0 { vec![] } else { vec![chunks_for(items, threads)] };
        let finish = Finish::new(epilogue, desc.groups)?;
        Ok(Self { desc: *desc, weights, finish, way, items, phases, isa })
    }

    /// The output rows of a band of picture `n`, vector `v`, from its input at `halo`.
    ///
    /// # Safety
    /// The input has the rows that these see; the output is the descriptor's, without a residual.
    #[inline(always)]
    pub(super) unsafe fn band<S: Simd>(
        &self,
        s: S,
        n: usize,
        rows: Range<usize>,
        v: usize,
        halo: Halo,
        output: *mut f32,
    ) {
        let place = Place { n, v };
        let items = Items {
            conv: self,
            range: 0..0,
            input: halo.first,
            residual: None,
            output,
            halo: std::ptr::null_mut(),
        };
        // SAFETY: by contract.
        unsafe {
            match (self.desc.kernel[1], self.desc.stride[1]) {
                (3, 1) => items.band::<S, 3, 1, 8>(s, place, rows, halo),
                (3, 2) => items.band::<S, 3, 2, 2>(s, place, rows, halo),
                (5, 1) => items.band::<S, 5, 1, 8>(s, place, rows, halo),
                (5, 2) => items.band::<S, 5, 2, 2>(s, place, rows, halo),
                (7, 1) => items.band::<S, 7, 1, 8>(s, place, rows, halo),
                _ => items.band::<S, 0, 0, 4>(s, place, rows, halo),
            }
        }
    }

    /// Some output rows of picture `n`, all channels, of a kernel that reads whole rows where they lie.
    ///
    /// # Safety
    /// The input is the descriptor's, and so is the output, without a residual.
    #[inline(always)]
    pub(super) unsafe fn rows_in_place<S: Simd>(
        &self,
        s: S,
        n: usize,
        rows: Range<usize>,
        input: *const f32,
        output: *mut f32,
    ) {
        debug_assert!(matches!(self.way, Way::StoredRows { blocks: 1, .. }) && self.desc.dilation == [1, 1]);
        let first = n * self.desc.output.height;
        s.call(Items {
            conv: self,
            range: first + rows.start..first + rows.end,
            input,
            residual: None,
            output,
            halo: std::ptr::null_mut(),
        });
    }
}

/// A picture and a vector of channels.
#[derive(Clone, Copy)]
struct Place {
    n: usize,
    v: usize,
}

impl Kernel for Depthwise {
    fn name(&self) -> &'static str {
        NAMES.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        match self.way {
            Way::StoredRows { .. } => ScratchSize::default(),
            Way::Bands(Bands { length, rows, .. }) => {
                ScratchSize { shared: 0, local: rows * length * self.isa.lanes() }
            }
        }
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        self.isa.dispatch(Items {
            conv: self,
            range: even_range(self.items, self.phases[phase], chunk),
            input: io.inputs[0],
            residual: io.inputs.get(1).copied(),
            output: io.output,
            halo: scratch.local,
        });
    }
}

/// One chunk.
struct Items<'a> {
    conv: &'a Depthwise,
    range: Range<usize>,
    input: *const f32,
    residual: Option<*const f32>,
    output: *mut f32,
    halo: *mut f32,
}

impl Vectorized for Items<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if const { matches!(S::ISA, Isa::Portable) } {
            // Not worth the time to compile.
            return self.items::<S, 0, 0, 4>(s);
        }
        let desc = &self.conv.desc;
        match (desc.kernel[1], desc.stride[1], desc.dilation[1]) {
            (3, 1, 1) => self.items::<S, 3, 1, 8>(s),
            (3, 2, 1) => self.items::<S, 3, 2, 2>(s),
            (5, 1, 1) => self.items::<S, 5, 1, 8>(s),
            (5, 2, 1) => self.items::<S, 5, 2, 2>(s),
            (7, 1, 1) => self.items::<S, 7, 1, 8>(s),
            (_, 1, _) => self.items::<S, 0, 1, 8>(s),
            _ => self.items::<S, 0, 0, 4>(s),
        }
    }
}

impl Items<'_> {
    /// For a kernel `KW` wide with no dilation or, if that is 0, for any; with stride `STRIDE` or, if
    /// that is 0, with any.
    #[inline(always)]
    fn items<S: Simd, const KW: usize, const STRIDE: usize, const P: usize>(self, s: S) {
        let output = &self.conv.desc.output;
        let width = self.conv.desc.input.width;
        let vectors = output.channels.div_ceil(S::LANES);
        let step = if STRIDE == 1 { self.conv.desc.dilation[0] } else { 1 };
        match &self.conv.way {
            Way::StoredRows { blocks, interior, segments } => {
                for item in self.range.clone() {
                    let (n, rest) = (item / (blocks * output.height), item % (blocks * output.height));
                    let (block, oy) = (rest / output.height, rest % output.height);
                    let oy = phase_order(oy, output.height, step);
                    let inside = TapRows::of(&self.conv.desc, oy);
                    for v in even_range(vectors, *blocks, block) {
                        let row = self.row_in_place(s, n, oy, v, &inside);
                        let whole = if row.channels == S::LANES { interior.clone() } else { 0..0 };
                        // SAFETY: the row is inside the output, and the taps of a segment or of the
                        // interior are inside the input.
                        unsafe {
                            if KW == 0 && row.channels == S::LANES {
                                for (columns, taps) in segments {
                                    row.columns::<KW, STRIDE, P>(s, width, columns.clone(), taps);
                                }
                            } else {
                                for ox in 0..whole.start {
                                    row.pixel::<KW, STRIDE>(s, width, ox);
                                }
                                row.columns::<KW, STRIDE, P>(s, width, whole.clone(), &(0..KW));
                                for ox in whole.end..output.width {
                                    row.pixel::<KW, STRIDE>(s, width, ox);
                                }
                            }
                            row.rest(output.width);
                        }
                    }
                }
            }
            Way::Bands(bands) => {
                let halo = Halo { first: self.halo, pixel: S::LANES, length: bands.length };
                for item in self.range.clone() {
                    let (n, rest) = (item / (vectors * bands.count), item % (vectors * bands.count));
                    let (v, band) = (rest / bands.count, rest % bands.count);
                    let rows = even_range(output.height, bands.count, band);
                    // SAFETY: the scratch has room for the longest band's rows.
                    unsafe {
                        self.copy_with_halo(s, n, rows.clone(), v, bands.length);
                        self.band::<S, KW, STRIDE, P>(s, Place { n, v }, rows, halo);
                    }
                }
            }
        }
    }

    /// A band's output rows.
    ///
    /// # Safety
    /// The halo holds the rows that they see.
    #[inline(always)]
    unsafe fn band<S: Simd, const KW: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        place: Place,
        rows: Range<usize>,
        halo: Halo,
    ) {
        let Depthwise { desc, .. } = self.conv;
        for oy in rows.clone() {
            let row = self.row_in_halo(s, place, oy, oy - rows.start, halo);
            // SAFETY: the row is inside the output, and the halo as long as its tiles.
            unsafe {
                for ox in (0..desc.output.width).step_by(P) {
                    let count = P.min(desc.output.width - ox);
                    row.tile::<KW, STRIDE, P>(s, ox, count, &(0..desc.kernel[1]));
                }
                row.rest(desc.output.width);
            }
        }
    }

    /// An output row whose input is read where it lies.
    #[inline(always)]
    fn row_in_place<S: Simd>(&self, s: S, n: usize, oy: usize, v: usize, inside: &TapRows) -> Row<'_, S> {
        let desc = &self.conv.desc;
        Row {
            input: self.input.wrapping_add(desc.input.at(n, inside.top, 0) + v * S::LANES),
            line_step: desc.dilation[0] * desc.input.row_stride,
            pixel_stride: desc.input.pixel_stride,
            before: desc.padding.left,
            tap_rows: inside.count,
            ..self.row(s, n, oy, v, inside.first)
        }
    }

    /// An output row whose input is the band's from its row `at * stride` on.
    #[inline(always)]
    fn row_in_halo<S: Simd>(&self, s: S, place: Place, oy: usize, at: usize, halo: Halo) -> Row<'_, S> {
        let desc = &self.conv.desc;
        let line = halo.length * halo.pixel;
        Row {
            input: halo.first.wrapping_add(at * desc.stride[0] * line),
            line_step: desc.dilation[0] * line,
            pixel_stride: halo.pixel,
            before: 0,
            tap_rows: desc.kernel[0],
            ..self.row(s, place.n, oy, place.v, 0)
        }
    }

    /// What does not depend on where the input is read. `first` is the first tap row.
    #[inline(always)]
    fn row<S: Simd>(&self, s: S, n: usize, oy: usize, v: usize, first: usize) -> Row<'_, S> {
        let Depthwise { desc, weights, finish, .. } = self.conv;
        let c = v * S::LANES;
        Row {
            finish,
            input: self.input,
            line_step: 0,
            pixel_stride: 0,
            before: 0,
            tap_rows: 0,
            kernel_width: desc.kernel[1],
            stride: desc.stride[1],
            dilation: desc.dilation[1],
            weights: weights[(v * desc.kernel[0] + first) * desc.kernel[1] * S::LANES..].as_ptr(),
            channels: S::LANES.min(desc.groups - c),
            affine: finish.vectors(s, c),
            residual: match (self.residual, desc.residual) {
                (Some(ptr), Some(map)) => Some((ptr.wrapping_add(map.at(n, oy, 0) + c), map.pixel_stride)),
                _ => None,
            },
            output: self.output.wrapping_add(desc.output.at(n, oy, 0) + c),
            output_stride: desc.output.pixel_stride,
        }
    }

    /// Copy the input of output rows `rows`, vector `v`, with zeros for what is outside the picture
    /// or behind the last channel.
    ///
    /// # Safety
    /// The scratch must have room for the rows that they see, each of `length` pixels.
    #[inline(always)]
    unsafe fn copy_with_halo<S: Simd>(&self, s: S, n: usize, rows: Range<usize>, v: usize, length: usize) {
        let desc = &self.conv.desc;
        let x = &desc.input;
        let channels = S::LANES.min(x.channels - v * S::LANES);
        let left = desc.padding.left.min(length);
        let columns = x.width.min(length - left);
        for (r, iy) in Bands::seen(desc, &rows).enumerate() {
            let (left, columns) = if iy < x.height { (left, columns) } else { (length, 0) };
            // SAFETY: the row is inside the scratch, its columns inside the picture.
            unsafe {
                let to = self.halo.add(r * length * S::LANES);
                for i in (0..left).chain(left + columns..length) {
                    s.store(to.add(i * S::LANES), s.zero());
                }
                if columns == 0 {
                    continue;
                }
                let from = self.input.add(x.at(n, iy, 0) + v * S::LANES);
                for i in 0..columns {
                    let at = from.add(i * x.pixel_stride);
                    let pixel = if channels == S::LANES { s.load(at) } else { s.load_partial(at, channels) };
                    s.store(to.add((left + i) * S::LANES), pixel);
                }
            }
        }
    }
}

/// The tap rows of an output row that are inside the picture.
struct TapRows {
    first: usize,
    count: usize,
    /// The input row that the first one sees.
    top: usize,
}

impl TapRows {
    fn of(desc: &ConvDesc, oy: usize) -> Self {
        let (start, step) = (oy * desc.stride[0], desc.dilation[0]);
        let first = desc.padding.top.saturating_sub(start).div_ceil(step).min(desc.kernel[0]);
        let below = (desc.padding.top + desc.input.height).saturating_sub(start + first * step);
        let count = below.div_ceil(step).min(desc.kernel[0] - first);
        // Without any, the place does not matter, but it must be one.
        let top = if count == 0 { 0 } else { start + first * step - desc.padding.top };
        Self { first, count, top }
    }
}

/// One output row of one vector of channels.
struct Row<'a, S: Simd> {
    finish: &'a Finish,
    /// The first pixel of the first input row that a tap row sees.
    input: *const f32,
    /// From the input row of a tap row to that of the next.
    line_step: usize,
    /// From an input pixel to the next.
    pixel_stride: usize,
    /// Input pixels that the first output pixel's first tap is in front of `input`.
    before: usize,
    /// Tap rows to sum over.
    tap_rows: usize,
    kernel_width: usize,
    stride: usize,
    dilation: usize,
    /// The first tap row's weights.
    weights: *const f32,
    /// Channels, at most `LANES`.
    channels: usize,
    affine: [S::F32; 2],
    /// The first pixel and the distance to the next.
    residual: Option<(*const f32, usize)>,
    /// The first pixel.
    output: *mut f32,
    output_stride: usize,
}

impl<S: Simd> Row<'_, S> {
    /// Output pixels of whole vectors that see these taps across, all of a kernel `KW` wide.
    ///
    /// # Safety
    /// The columns must be inside the output, their taps inside the input, which is `width` wide and
    /// read where it lies.
    #[inline(always)]
    unsafe fn columns<const KW: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        width: usize,
        columns: Range<usize>,
        taps: &Range<usize>,
    ) {
        let mut ox = columns.start;
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let behind = self.input.wrapping_add(self.tap_rows * self.line_step);
        // SAFETY: the caller's contract.
        unsafe {
            while ox + P <= columns.end {
                self.tile::<KW, STRIDE, P>(s, ox, P, taps);
                // The row behind the taps, which the next output row sees first: a vector of it at a time is
                // too little of each pixel for the processor to foresee.
                for p in 0..P {
                    let column = ((ox + p) * stride).wrapping_sub(self.before);
                    s.prefetch_near(behind.wrapping_add(column.wrapping_mul(self.pixel_stride)));
                }
                ox += P;
            }
            while P > 4 && ox + 4 <= columns.end {
                self.tile::<KW, STRIDE, 4>(s, ox, 4, taps);
                ox += 4;
            }
            for ox in ox..columns.end {
                self.pixel::<KW, STRIDE>(s, width, ox);
            }
        }
    }

    /// `count <= P` output pixels from column `ox` on that see these taps across, all of a kernel
    /// `KW` wide.
    ///
    /// # Safety
    /// These taps of `P` pixels must be valid for reading vectors.
    #[inline(always)]
    unsafe fn tile<const KW: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        ox: usize,
        count: usize,
        taps: &Range<usize>,
    ) {
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let (kw, dilation, taps) =
            if KW == 0 { (self.kernel_width, self.dilation, taps.clone()) } else { (KW, 1, 0..KW) };
        // In front of the picture with the first taps outside.
        let first = (ox * stride).wrapping_sub(self.before).wrapping_mul(self.pixel_stride);
        let mut row = self.input.wrapping_add(first);
        let mut weights = self.weights;
        let mut sums = [s.zero(); P];
        for _ in 0..self.tap_rows {
            for kx in taps.clone() {
                // SAFETY: inside the packed weights and, by contract, the input.
                unsafe {
                    let weight = s.load(weights.add(kx * S::LANES));
                    for (p, sum) in sums.iter_mut().enumerate() {
                        let at = row.wrapping_add((p * stride + kx * dilation) * self.pixel_stride);
                        let x = s.load(at);
                        *sum = s.fma(x, weight, *sum);
                    }
                }
            }
            row = row.wrapping_add(self.line_step);
            weights = weights.wrapping_add(kw * S::LANES);
        }
        for (p, &sum) in sums.iter().enumerate() {
            if p >= count {
                break;
            }
            // SAFETY: the pixel is inside the output and the residual.
            unsafe { self.store(s, ox + p, sum) };
        }
    }

    /// The output pixel of column `ox`, of whose taps some may be outside the picture, which is
    /// `width` wide.
    ///
    /// # Safety
    /// The column must be inside the output, the input read where it lies.
    #[inline(always)]
    unsafe fn pixel<const KW: usize, const STRIDE: usize>(&self, s: S, width: usize, ox: usize) {
        let stride = if STRIDE == 0 { self.stride } else { STRIDE };
        let (kw, step) = if KW == 0 { (self.kernel_width, self.dilation) } else { (KW, 1) };
        let start = ox * stride;
        let first = self.before.saturating_sub(start).div_ceil(step).min(kw);
        let inside = (self.before + width).saturating_sub(start + first * step).div_ceil(step);
        let taps = first..kw.min(first + inside);
        let column = if taps.is_empty() { 0 } else { start + first * step - self.before };
        let n = self.channels;
        let mut sum = s.zero();
        for ky in 0..self.tap_rows {
            let mut at = self.input.wrapping_add(ky * self.line_step + column * self.pixel_stride);
            for kx in taps.clone() {
                // SAFETY: inside the packed weights and the picture.
                unsafe {
                    let weight = s.load(self.weights.add((ky * kw + kx) * S::LANES));
                    let x = if n == S::LANES { s.load(at) } else { s.load_partial(at, n) };
                    sum = s.fma(x, weight, sum);
                }
                at = at.wrapping_add(step * self.pixel_stride);
            }
        }
        // SAFETY: the pixel is inside the output and the residual.
        unsafe { self.store(s, ox, sum) };
    }

    /// Finish the pixel of column `ox`.
    ///
    /// # Safety
    /// The column must be inside the output.
    #[inline(always)]
    unsafe fn store(&self, s: S, ox: usize, sum: S::F32) {
        let n = self.channels;
        // SAFETY: the pixel is inside the output and the residual.
        unsafe {
            let mut value = s.fma(sum, self.affine[0], self.affine[1]);
            if let Some((residual, stride)) = self.residual {
                value = s.add(value, s.load_partial(residual.add(ox * stride), n));
            }
            let value = self.finish.bounded(s, value);
            let at = self.output.add(ox * self.output_stride);
            if n == S::LANES { s.store(at, value) } else { s.store_partial(at, value, n) }
        }
    }

    /// What is left of the activation to do over the row's pixels.
    ///
    /// # Safety
    /// They must have been stored.
    #[inline(always)]
    unsafe fn rest(&self, width: usize) {
        if self.finish.has_rest() {
            let rows = StoredRows::Every { first: self.output, stride: self.output_stride, count: width };
            // SAFETY: the pixels' channels were written.
            unsafe { self.finish.rest(S::ISA, rows, self.channels) };
        }
    }
}

#[cfg(test)]
mod tests;
