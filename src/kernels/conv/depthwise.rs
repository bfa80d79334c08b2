//! Depthwise convolutions: vectors of channels, with a few output pixels of one row in registers.
//!
//! If rows are long, the input is read in place: tap rows outside the picture are skipped, and the
//! pixels at a row's ends, some of whose taps are outside, are computed one by one, so that the
//! tiles between them need no checks. Small maps are first copied, one vector of channels at a
//! time, with zeros around them. Sums run over the taps in order, in a tile or for a single pixel.

mod row;
mod way;

use std::ops::Range;
use std::sync::Arc;

use super::desc::{BlockPart, Candidate, ConvDesc, FLOATS, Pack, on_all, pack_f32};
use super::finish::Finish;
use crate::error::Result;
use crate::kernels::names::{Names, names};
use crate::kernels::{Epilogue, Io, Kernel, Scratch, ScratchSize, chunks_for, even_range, phase_order};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{AlignedBuf, Form, Packed};
use row::Row;
use way::TapRows;

pub(super) use way::{Bands, Halo, Way};

/// This kernel on every instruction set.
pub(super) const CANDIDATES: &[Candidate] = &on_all!(candidate);

const NAMES: Names<1> = names!("depthwise");

const fn candidate<S: Simd>() -> Candidate {
    Candidate {
        name: NAMES.on(S::ISA),
        isa: S::ISA,
        weights: FLOATS,
        accepts,
        prefers: |_| true,
        form: form::<S>,
        pack: Pack::Transform(|desc, weights| pack_f32(desc, weights, pack::<S>)),
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

/// Whether a convolution reads its input in place.
pub(super) fn reads_in_place(desc: &ConvDesc) -> bool {
    desc.output.width > widest_copied(desc) || desc.dilation != [1, 1]
}

/// The width up to which output maps are computed from a copy with a halo, because the pixels at a
/// row's ends cost more than the copy; with a larger stride, a copy is reused too little to pay
/// off. Measured (benches/pointwise.rs, against reading in place): 3x3 is 1.05 times as fast at 7
/// and 0.9 at 14, 5x5 is 1.4 at 14 and 0.95 at 28, 7x7 is 1.5 at 14 and 1.2 at 56.
fn widest_copied(desc: &ConvDesc) -> usize {
    match (desc.stride[1], desc.kernel[1]) {
        (1, ..=3) => 7,
        (1, ..=5) => 14,
        (1, _) => 56,
        _ => 0,
    }
}

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
    /// A kernel whose work is split in this way.
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

    /// Computes the output rows of a band of picture `n`, vector `v`, from its input at `halo`.
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

    /// Computes some output rows of picture `n`, all channels, for a kernel that reads whole rows
    /// in place.
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

/// A picture index and a vector of channels.
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
                ScratchSize::floats(0, rows * length * self.isa.lanes())
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
            halo: scratch.local(),
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
    /// For a kernel of width `KW` without dilation (any kernel if `KW` is 0), with stride `STRIDE`
    /// (any stride if it is 0).
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
                        // SAFETY: the row is inside the output; the taps of a segment or of the
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

    /// An output row whose input is read in place.
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

    /// An output row whose input is the band's, starting at its row `at * stride`.
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

    /// The fields that do not depend on the input's location. `first` is the first tap row.
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

    /// Copies the input of output rows `rows`, vector `v`, with zeros outside the picture and after
    /// the last channel.
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

#[cfg(test)]
mod tests;
