//! Copies: between orders (NCHW arrays at a network's inputs and outputs, channels-last inside),
//! slices, the parts of a concatenation, permutations, constant padding, and padding with
//! [`edges`].

pub mod edges;

use super::names::names;
use super::nest::{Dim, Nest};
use super::{Io, Kernel, Scratch, chunks_for, even_range};
use crate::tensor::{MAX_RANK, View};

/// A copy between two views of one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyDesc {
    /// What is read.
    pub input: View,
    /// What is written; it has the input's shape and does not overlap it.
    pub output: View,
}

/// The copy kernel. It copies bits, so it is the same on every instruction set.
///
/// # Panics
/// If the shapes differ.
pub fn prepare(desc: &CopyDesc, threads: usize) -> Box<dyn Kernel> {
    Box::new(Copy::new(desc, threads))
}

struct Copy {
    nest: Nest<2>,
    /// The loop that was taken out of the nest, if rows of the output are not rows of the input.
    tile: Option<Dim<2>>,
    /// Parts into which it is split.
    parts: usize,
    phases: Vec<usize>,
}

impl Copy {
    /// Approximate number of elements of a tile: its source and target lines fit in the first-level
    /// cache.
    const TILE: usize = 4096;

    /// The largest number of rows of a tile.
    const ROWS: usize = 1024;

    fn new(desc: &CopyDesc, threads: usize) -> Self {
        assert_eq!(desc.input.shape, desc.output.shape, "a copy keeps the shape");
        let nest = Nest::new(desc.output.shape, [desc.output.strides(), desc.input.strides()]);
        if nest.inner().strides == [1, 1] {
            return Self { phases: nest.phases(1, threads), nest, tile: None, parts: 1 };
        }
        let parts = nest.inner().size.div_ceil(Self::ROWS).max(1);
        let columns = (Self::TILE / nest.inner().size.clamp(1, Self::ROWS)).max(32);
        let (tile, nest) = nest.split_inner(1, columns);
        let elements = nest.pieces() * columns * tile.size;
        let chunks = chunks_for((nest.pieces() * parts).min(elements.div_ceil(Self::TILE)), threads);
        let phases = if desc.output.shape.numel() == 0 { vec![] } else { vec![chunks] };
        Self { phases, nest, tile: Some(tile), parts }
    }
}

impl Kernel for Copy {
    fn name(&self) -> &'static str {
        names!(any: "copy")
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let range = even_range(self.nest.pieces() * self.parts, self.phases[phase], chunk);
        let Some(tile) = self.tile else {
            for ([to, from], len) in self.nest.walk(range) {
                // SAFETY: the nest stays inside the views, which are valid by contract.
                unsafe { std::ptr::copy_nonoverlapping(io.inputs[0].add(from), io.output.add(to), len) };
            }
            return;
        };
        for item in range {
            let (piece, part) = (item / self.parts, item % self.parts);
            let rows = even_range(tile.size, self.parts, part);
            for ([to, from], len) in self.nest.walk(piece..piece + 1) {
                let [to_step, from_step] = tile.strides;
                let columns = Dim { size: len, ..self.nest.inner() };
                // SAFETY: the nest and the rows stay inside the views, which are valid by contract.
                unsafe {
                    let to = io.output.add(to + rows.start * to_step);
                    let from = io.inputs[0].add(from + rows.start * from_step);
                    copy_tile(to, from, Dim { size: rows.len(), ..tile }, columns);
                }
            }
        }
    }
}

/// Copies `rows.size` by `columns.size` elements.
///
/// # Safety
/// `to` and `from` must be valid at all multiples of their strides (the first and second) below
/// the sizes, for writing and reading, and must not overlap.
unsafe fn copy_tile(to: *mut f32, from: *const f32, rows: Dim<2>, columns: Dim<2>) {
    // SAFETY: the caller's contract, with the unit strides known.
    unsafe {
        if rows.strides[0] == 1 && columns.strides[1] == 1 {
            match rows.size {
                2 => return interleave::<2>(to, from, rows.strides[1], columns),
                3 => return interleave::<3>(to, from, rows.strides[1], columns),
                4 => return interleave::<4>(to, from, rows.strides[1], columns),
                _ => return transpose(to, from, rows, columns),
            }
        }
        for c in 0..columns.size {
            for r in 0..rows.size {
                *to.add(r * rows.strides[0] + c * columns.strides[0]) =
                    *from.add(r * rows.strides[1] + c * columns.strides[1]);
            }
        }
    }
}

/// Copies a tile of a picture with `N` planes in one pass over all of them.
///
/// # Safety
/// As [`copy_tile`], with unit strides for the rows of `to` and the columns of `from`.
#[inline(always)]
unsafe fn interleave<const N: usize>(to: *mut f32, from: *const f32, plane: usize, columns: Dim<2>) {
    for c in 0..columns.size {
        for r in 0..N {
            // SAFETY: the caller's contract.
            unsafe { *to.add(r + c * columns.strides[0]) = *from.add(r * plane + c) };
        }
    }
}

/// Copies a tile whose rows are dense in `to` and whose columns are dense in `from`.
///
/// # Safety
/// As [`copy_tile`], with unit strides for the rows of `to` and the columns of `from`.
unsafe fn transpose(to: *mut f32, from: *const f32, rows: Dim<2>, columns: Dim<2>) {
    /// Square blocks: a cache line of both sides stays in registers and the first-level cache.
    const BLOCK: usize = 8;
    let (full_rows, full_columns) = (rows.size / BLOCK * BLOCK, columns.size / BLOCK * BLOCK);
    let (to_step, from_step) = (columns.strides[0], rows.strides[1]);
    // SAFETY: all indices are below the sizes.
    let element = |r: usize, c: usize| unsafe { *to.add(r + c * to_step) = *from.add(r * from_step + c) };
    for r in (0..full_rows).step_by(BLOCK) {
        for c in (0..full_columns).step_by(BLOCK) {
            let mut block = [[0.0_f32; BLOCK]; BLOCK];
            for (i, line) in block.iter_mut().enumerate() {
                // SAFETY: BLOCK columns from c are below the size.
                *line = unsafe { from.add((r + i) * from_step + c).cast::<[f32; BLOCK]>().read_unaligned() };
            }
            let turned: [[f32; BLOCK]; BLOCK] = std::array::from_fn(|j| std::array::from_fn(|i| block[i][j]));
            for (j, line) in turned.into_iter().enumerate() {
                // SAFETY: BLOCK rows from r are below the size.
                unsafe { to.add(r + (c + j) * to_step).cast::<[f32; BLOCK]>().write_unaligned(line) };
            }
        }
        for c in full_columns..columns.size {
            (r..r + BLOCK).for_each(|r| element(r, c));
        }
    }
    for c in 0..columns.size {
        (full_rows..rows.size).for_each(|r| element(r, c));
    }
}

/// A copy into a larger view whose other elements are set to a constant (torch's constant `pad`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PadDesc {
    /// What is read.
    pub input: View,
    /// What is written; at least as large in each dimension.
    pub output: View,
    /// Elements before the input, per dimension; the remaining padding is after it.
    pub before: [usize; MAX_RANK],
    /// The value of the padding.
    pub value: f32,
}

/// The padding kernel: fills, then copies. It copies bits, so it is the same on every instruction
/// set.
///
/// # Panics
/// If the input does not fit.
pub fn prepare_pad(desc: &PadDesc, threads: usize) -> Box<dyn Kernel> {
    let PadDesc { input, output, before, value } = *desc;
    assert_eq!(input.shape.rank(), output.shape.rank(), "padding keeps the rank");
    let fits = |d: usize| before[d] + input.shape[d] <= output.shape[d];
    assert!((0..input.shape.rank()).all(fits), "padded {} does not fit {}", input.shape, output.shape);
    let inside = View { shape: input.shape, ..output };
    let offset = output.strides().iter().zip(&before).map(|(s, b)| s * b).sum();
    let copy = Copy::new(&CopyDesc { input, output: inside }, threads);
    let fill = Nest::new(output.shape, [output.strides()]);
    let mut phases = fill.phases(1, threads);
    phases.extend(&copy.phases);
    Box::new(Pad { fill, value, copy, offset, phases })
}

struct Pad {
    fill: Nest<1>,
    value: f32,
    copy: Copy,
    offset: usize,
    phases: Vec<usize>,
}

impl Kernel for Pad {
    fn name(&self) -> &'static str {
        names!(any: "pad")
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        if phase > 0 {
            // SAFETY: the inner view begins at this offset of the output; otherwise the caller's
            // contract.
            return unsafe {
                let output = io.output.add(self.offset);
                self.copy.run(0, chunk, &Io { inputs: io.inputs, output }, scratch);
            };
        }
        let stride = self.fill.inner().strides[0];
        for ([to], len) in self.fill.walk(even_range(self.fill.pieces(), self.phases[0], chunk)) {
            // SAFETY: the nest stays inside the output view.
            unsafe {
                let to = io.output.add(to);
                if stride == 1 {
                    std::slice::from_raw_parts_mut(to, len).fill(self.value);
                } else {
                    (0..len).for_each(|i| *to.add(i * stride) = self.value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
