//! How a depthwise convolution is split into items, and which rows and taps they see.

use std::ops::Range;

use crate::kernels::conv::desc::ConvDesc;
use crate::simd::Isa;

/// A band's copy should stay in the first-level cache while it is read.
const CACHED: usize = 48 << 10;

/// The input rows of an output row should stay in the inner caches for the next row; longer ones
/// are split by channels.
const CACHED_ROWS: usize = 48 << 10;

/// How a convolution is split into items.
pub enum Way {
    /// An item is one output row of a block of channels, with the input read in place.
    StoredRows {
        /// Parts into which the vectors of channels are split.
        blocks: usize,
        /// The output columns whose taps are all inside the picture.
        interior: Range<usize>,
        /// All output columns, split where the set of taps inside the picture changes, and those
        /// taps. With a dilation, many columns see outside the picture.
        segments: Vec<(Range<usize>, Range<usize>)>,
    },
    /// An item is some output rows of one vector of channels, computed from a copy of their input
    /// with zeros around it.
    Bands(Bands),
}

/// Bands of output rows whose input is first computed or copied, with zeros around it.
#[derive(Clone, Copy, Debug)]
pub struct Bands {
    /// Parts into which the output rows are split.
    pub count: usize,
    /// Pixels in a row of the input: those that the row's tiles read, including the padding of the
    /// last tile.
    pub length: usize,
    /// The largest number of rows of a band's input.
    pub rows: usize,
}

impl Bands {
    /// Bands whose input (of `pixel` floats per pixel) fits in `bytes`, or is not computed more
    /// than about twice, whichever gives longer bands.
    pub fn new(desc: &ConvDesc, pixel: usize, bytes: usize) -> Self {
        let row_bytes = Self::length(desc) * pixel * size_of::<f32>();
        let extra = (desc.kernel[0] - 1) * desc.dilation[0] + 1;
        let band = ((bytes / row_bytes).saturating_sub(extra) / desc.stride[0] + 1).max(extra);
        Self::split(desc, desc.output.height.div_ceil(band))
    }

    /// `count` bands of nearly equal height.
    pub fn split(desc: &ConvDesc, count: usize) -> Self {
        let extra = (desc.kernel[0] - 1) * desc.dilation[0] + 1;
        let most = desc.output.height.div_ceil(count.max(1));
        Self { count, length: Self::length(desc), rows: most.saturating_sub(1) * desc.stride[0] + extra }
    }

    /// Pixels in a row of a band's input.
    pub fn length(desc: &ConvDesc) -> usize {
        let columns = desc.output.width.next_multiple_of(MOST_PIXELS);
        (columns.max(1) - 1) * desc.stride[1] + (desc.kernel[1] - 1) * desc.dilation[1] + 1
    }

    /// The input rows that some output rows see; those above the picture wrap around to large
    /// values.
    pub fn seen(desc: &ConvDesc, rows: &Range<usize>) -> impl Iterator<Item = usize> + Clone + use<> {
        let first = (rows.start * desc.stride[0]).wrapping_sub(desc.padding.top);
        (0..Self::seen_rows(desc, rows)).map(move |r| first.wrapping_add(r))
    }

    /// The number of these rows.
    pub fn seen_rows(desc: &ConvDesc, rows: &Range<usize>) -> usize {
        (rows.len() - 1) * desc.stride[0] + (desc.kernel[0] - 1) * desc.dilation[0] + 1
    }
}

/// A band's input.
#[derive(Clone, Copy, Debug)]
pub struct Halo {
    /// The first pixel's channels.
    pub first: *const f32,
    /// Floats from one pixel to the next.
    pub pixel: usize,
    /// Pixels in a row.
    pub length: usize,
}

impl Way {
    /// The vectors of channels are split into at most `vectors` parts.
    pub fn rows(desc: &ConvDesc, vectors: usize) -> Self {
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

    pub(super) fn bands(desc: &ConvDesc, isa: Isa) -> Self {
        Self::Bands(Bands::new(desc, isa.lanes(), CACHED))
    }
}

/// The horizontal taps of an output column that are inside the picture.
fn inside_taps(desc: &ConvDesc, ox: usize) -> Range<usize> {
    let (start, step) = (ox * desc.stride[1], desc.dilation[1]);
    let first = desc.padding.left.saturating_sub(start).div_ceil(step).min(desc.kernel[1]);
    let inside = (desc.padding.left + desc.input.width).saturating_sub(start + first * step).div_ceil(step);
    first..desc.kernel[1].min(first + inside)
}

/// The largest number of pixels of a tile.
const MOST_PIXELS: usize = 8;

/// The tap rows of an output row that are inside the picture.
pub(super) struct TapRows {
    pub(super) first: usize,
    pub(super) count: usize,
    /// The input row that the first tap row sees.
    pub(super) top: usize,
}

impl TapRows {
    pub(super) fn of(desc: &ConvDesc, oy: usize) -> Self {
        let (start, step) = (oy * desc.stride[0], desc.dilation[0]);
        let first = desc.padding.top.saturating_sub(start).div_ceil(step).min(desc.kernel[0]);
        let below = (desc.padding.top + desc.input.height).saturating_sub(start + first * step);
        let count = below.div_ceil(step).min(desc.kernel[0] - first);
        // Without tap rows, the value does not matter, but it must be valid.
        let top = if count == 0 { 0 } else { start + first * step - desc.padding.top };
        Self { first, count, top }
    }
}
