//! Products of two values, batched over their leading dimensions: torch's `matmul`.

use std::ops::Range;

use super::gemm::Panels;
use super::gemm::block::{Block, Steps, pack};
use super::gemm::tile::most_rows;
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, Simd, Vectorized};
use crate::tensor::{Shape, View};

/// `output = left right`, with leading dimensions that broadcast to the output's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatMulDesc {
    /// `(..., M, K)`; the last dimension is dense.
    pub left: View,
    /// `(..., K, N)`
    pub right: View,
    /// `(..., M, N)`; the last dimension is dense.
    pub output: View,
}

/// The kernel of a product.
///
/// # Panics
/// If the shapes do not match, or the layouts violate the descriptor's requirements.
pub fn prepare(desc: &MatMulDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let MatMulDesc { left, right, output } = *desc;
    let rank = output.shape.rank();
    assert!(rank >= 2, "matrices have two dimensions");
    let [rows, columns] = [output.shape[rank - 2], output.shape[rank - 1]];
    let depth = left.shape[left.shape.rank() - 1];
    // Each operand, broadcast to the output's leading dimensions.
    let spread = |view: &View, rows: usize, columns: usize| {
        let mut shape = output.shape;
        shape[rank - 2] = rows;
        shape[rank - 1] = columns;
        view.broadcast(shape)
    };
    let (left, right) = (spread(&left, rows, depth), spread(&right, depth, columns));
    let steps = |view: &View| Steps { row: view.strides[rank - 2], column: view.strides[rank - 1] };
    for (view, size) in [(&left, depth), (&output, columns)] {
        assert!(steps(view).column == 1 || size <= 1, "a product's rows lie densely");
    }
    let leads = Shape::new(&output.shape[..rank - 2]);
    let strides = [&output, &left, &right].map(|view| &view.strides[..rank - 2]);
    let nest = Nest::new(leads, strides).with_pieces(1);
    let blocks = rows.div_ceil(ROWS.next_multiple_of(most_rows(isa)));
    let items = nest.pieces() * blocks;
    let phases = if output.shape.numel() == 0 { vec![] } else { vec![chunks_for(items, threads)] };
    let panels =
        Panels { groups: 1, group_outputs: columns, depth, lanes: isa.lanes(), vectors: Panels::VECTORS };
    let steps = [&output, &left, &right].map(steps);
    Box::new(MatMul { nest, rows, blocks, steps, panels, phases, isa })
}

/// Rows of a block, the unit of work shared between threads.
const ROWS: usize = 48;

struct MatMul {
    /// Over the leading dimensions: output, left, right.
    nest: Nest<3>,
    rows: usize,
    blocks: usize,
    /// Steps of the output, the left and the right matrix.
    steps: [Steps; 3],
    panels: Panels,
    phases: Vec<usize>,
    isa: Isa,
}

const NAMES: Names<1> = names!("matmul");

impl Kernel for MatMul {
    fn name(&self) -> &'static str {
        NAMES.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.panels.len())
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let items = even_range(self.nest.pieces() * self.blocks, self.phases[phase], chunk);
        self.isa.dispatch(Products { matmul: self, items, io, packed: scratch.local() });
    }
}

/// One chunk: blocks of some products.
struct Products<'a> {
    matmul: &'a MatMul,
    items: Range<usize>,
    io: &'a Io<'a>,
    packed: *mut f32,
}

impl Vectorized for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let MatMul { nest, rows, blocks, steps: [output_steps, left_steps, right_steps], panels, .. } =
            self.matmul;
        let products = self.items.start / blocks..self.items.end.div_ceil(*blocks);
        for (product, ([output, left, right], _)) in (products.start..).zip(nest.walk(products)) {
            let first = self.items.start.max(product * blocks) - product * blocks;
            let end = self.items.end.min((product + 1) * blocks) - product * blocks;
            let rows = even_range(*rows, *blocks, first).start..even_range(*rows, *blocks, end - 1).end;
            // SAFETY: the nest's offsets are those of the views' matrices; the scratch holds the
            // panels.
            unsafe {
                pack(s, panels, self.io.inputs[1].add(right), *right_steps, 0, self.packed);
                let block = Block {
                    rows: self.io.inputs[0].add(left + rows.start * left_steps.row),
                    row_step: left_steps.row,
                    count: rows.len(),
                    panels: *panels,
                    packed: self.packed,
                    to: self.io.output.add(output + rows.start * output_steps.row),
                    to_step: output_steps.row,
                    padded: false,
                    factors: None,
                    summands: None,
                };
                block.multiply(s);
            }
        }
    }
}

#[cfg(test)]
mod tests;
