//! Scaled dot-product attention (Vaswani et al. 2017): `softmax(scale * Q K^T + mask) V`.
//!
//! A head's keys and values are packed into panels once per chunk. Then blocks of query rows are
//! multiplied with them one after the other, with their scores in scratch memory, where they are
//! exponentiated in place. The division by their sum comes last, over the results, which are fewer.
//! The order of a row's sums depends only on the numbers of keys and features.

use std::ops::Range;

use super::gemm::Panels;
use super::gemm::block::{Block, Steps, Summands, pack};
use super::gemm::tile::most_rows;
use super::math::exp_of_negative;
use super::names::{Names, names};
use super::nest::Nest;
use super::{Io, Kernel, Scratch, ScratchSize, chunks_for, even_range};
use crate::simd::{Isa, MOST_LANES, Simd, Vectorized};
use crate::tensor::{MAX_RANK, Shape, View};

/// torch's `scaled_dot_product_attention`. Leading dimensions broadcast to the output's, and so do
/// all of the mask's. A row of scores that are all negative infinity gives zeros, as in torch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionDesc {
    /// `(..., L, E)`, of the output's rank, as are the next two.
    pub query: View,
    /// `(..., S, E)`
    pub key: View,
    /// `(..., S, F)`
    pub value: View,
    /// Added to the scores: `(..., L, S)`, of at most the output's rank. Its last dimension is
    /// dense or has size 1. Its pointer is the fourth of [`Io::inputs`].
    pub mask: Option<View>,
    /// `(..., L, F)`; the last dimension is dense.
    pub output: View,
    /// Factor of the scores before the mask.
    pub scale: f32,
}

/// The kernel of an attention.
///
/// # Panics
/// If the shapes do not match, or the layouts violate the descriptor's requirements.
pub fn prepare(desc: &AttentionDesc, isa: Isa, threads: usize) -> Box<dyn Kernel> {
    let AttentionDesc { query, key, value, mask, output, scale } = *desc;
    let rank = output.shape.rank();
    assert!(rank >= 2 && [query, key, value].iter().all(|view| view.shape.rank() == rank));
    let [queries, width] = [output.shape[rank - 2], output.shape[rank - 1]];
    let [keys, depth] = [key.shape[rank - 2], key.shape[rank - 1]];
    assert_eq!(query.shape[rank - 2..], [queries, depth], "queries");
    assert_eq!(value.shape[rank - 2..], [keys, width], "values");
    assert!(output.strides[rank - 1] == 1 || width <= 1, "an attention writes dense rows");

    let mut scores = output.shape;
    scores[rank - 1] = keys;
    let mask = mask.map(|mask| mask.broadcast(scores));
    let mask_steps = mask.map(|mask| steps(&mask));
    assert!(mask_steps.is_none_or(|steps| steps.column <= 1), "a mask has dense rows");
    let leads = Shape::new(&output.shape[..rank - 2]);
    let lead_strides = |view: &View| {
        let mut shape = output.shape;
        shape[rank - 2..].copy_from_slice(&view.shape[rank - 2..]);
        view.broadcast(shape).strides
    };
    let strides = [
        output.strides,
        lead_strides(&query),
        lead_strides(&key),
        lead_strides(&value),
        mask.map_or([0; MAX_RANK], |mask| mask.strides),
    ];
    let nest = Nest::new(leads, strides.each_ref().map(|s| &s[..rank - 2])).with_pieces(1);

    let lanes = isa.lanes();
    let key_panels = Panels { groups: 1, group_outputs: keys, depth, lanes, vectors: Panels::VECTORS };
    let value_panels =
        Panels { groups: 1, group_outputs: width, depth: keys, lanes, vectors: Panels::VECTORS };
    let step = apart(keys.next_multiple_of(lanes));
    let tile = most_rows(isa);
    let rows = (SCORES / step / tile * tile).clamp(tile, ROWS.next_multiple_of(tile));
    let blocks = queries.div_ceil(rows);
    let items = nest.pieces() * blocks;
    let phases = if output.shape.numel() == 0 { vec![] } else { vec![chunks_for(items, threads)] };
    Box::new(Attention {
        nest,
        queries,
        keys,
        depth,
        blocks,
        steps: Matrices {
            query: steps(&query),
            key: steps(&key),
            value: steps(&value),
            mask: mask_steps,
            output: steps(&output),
        },
        key_panels,
        value_panels,
        query_step: apart(depth),
        score_step: step,
        scale,
        phases,
        isa,
    })
}

/// Query rows of a block: enough to reuse packed keys and values, which are read once per block
/// from the second-level cache, and few enough that the scores stay there too.
const ROWS: usize = 48;

/// Floats of scores in a block (128 KiB), if there are many keys.
const SCORES: usize = 1 << 15;

/// Rows whose exponentials are computed at once: enough dependency chains to hide their latency.
const SIDE_BY_SIDE: usize = 4;

/// Vectors of exponentials in a partial sum.
const PART: usize = 64;

/// The least distance of `floats` or more at which rows begin in different cache sets.
fn apart(floats: usize) -> usize {
    floats.next_multiple_of(16) | 16
}

fn steps(view: &View) -> Steps {
    let rank = view.shape.rank();
    Steps { row: view.strides[rank - 2], column: view.strides[rank - 1] }
}

/// The layout of each operand's matrices.
#[derive(Clone, Copy)]
struct Matrices {
    query: Steps,
    key: Steps,
    value: Steps,
    mask: Option<Steps>,
    output: Steps,
}

struct Attention {
    /// Over the leading dimensions: output, queries, keys, values, mask.
    nest: Nest<5>,
    queries: usize,
    keys: usize,
    depth: usize,
    /// Parts into which a head's queries are split.
    blocks: usize,
    steps: Matrices,
    key_panels: Panels,
    value_panels: Panels,
    query_step: usize,
    score_step: usize,
    scale: f32,
    phases: Vec<usize>,
    isa: Isa,
}

impl Attention {
    /// Floats of each part of the scratch: keys, values, queries, scores, factors.
    fn parts(&self) -> [usize; 5] {
        let rows = self.queries.div_ceil(self.blocks.max(1));
        let parts = [
            self.key_panels.len(),
            self.value_panels.len(),
            rows * self.query_step,
            rows * self.score_step,
            rows,
        ];
        parts.map(|floats| floats.next_multiple_of(16))
    }
}

const NAMES: Names<1> = names!("attention");

impl Kernel for Attention {
    fn name(&self) -> &'static str {
        NAMES.on(self.isa)
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    fn scratch(&self) -> ScratchSize {
        ScratchSize::floats(0, self.parts().iter().sum())
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch) {
        let items = self.nest.pieces() * self.blocks;
        let mut at = scratch.local::<f32>();
        let mut parts = [at; 5];
        for (part, floats) in parts.iter_mut().zip(self.parts()) {
            *part = at;
            at = at.wrapping_add(floats);
        }
        let [keys, values, queries, scores, factors] = parts;
        self.isa.dispatch(Heads {
            attention: self,
            items: even_range(items, self.phases[phase], chunk),
            io,
            keys,
            values,
            queries,
            scores,
            factors,
        });
    }
}

/// One chunk: blocks of some heads.
struct Heads<'a> {
    attention: &'a Attention,
    items: Range<usize>,
    io: &'a Io<'a>,
    keys: *mut f32,
    values: *mut f32,
    queries: *mut f32,
    scores: *mut f32,
    factors: *mut f32,
}

impl Vectorized for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Attention { nest, queries, blocks, steps, key_panels, value_panels, .. } = self.attention;
        let heads = self.items.start / blocks..self.items.end.div_ceil(*blocks);
        let mut next = nest.walk(heads.clone()).skip(1);
        for (head, (at, _)) in (heads.start..).zip(nest.walk(heads)) {
            let ahead = next.next().map_or([0; 5], |(next, _)| {
                let mut ahead = next;
                for (ahead, at) in ahead.iter_mut().zip(at) {
                    *ahead = ahead.wrapping_sub(at);
                }
                ahead
            });
            let first = self.items.start.max(head * blocks) - head * blocks;
            let end = self.items.end.min((head + 1) * blocks) - head * blocks;
            // SAFETY: the nest's offsets are those of the views' matrices; the scratch has its
            // parts.
            unsafe {
                let [query, key, value] = [0, 1, 2].map(|i| self.io.inputs[i].add(at[i + 1]));
                pack(
                    s,
                    key_panels,
                    key,
                    Steps { row: steps.key.column, column: steps.key.row },
                    ahead[2],
                    self.keys,
                );
                pack(s, value_panels, value, steps.value, ahead[3], self.values);
                for block in first..end {
                    let rows = even_range(*queries, *blocks, block);
                    let mask = steps.mask.map(|steps| Summands {
                        at: self.io.inputs[3].add(at[4] + rows.start * steps.row),
                        steps,
                    });
                    let query = query.add(rows.start * steps.query.row);
                    let output = self.io.output.add(at[0] + rows.start * steps.output.row);
                    self.block(s, rows.len(), query, ahead[1], mask, output);
                }
            }
        }
    }
}

impl Heads<'_> {
    /// Some rows of a head whose keys and values are packed.
    ///
    /// # Safety
    /// `query`, `mask` and `output` are at the first of `count` rows, at most as many as a block
    /// has. The next head's queries are `ahead` floats after these.
    #[inline(always)]
    unsafe fn block<S: Simd>(
        &self,
        s: S,
        count: usize,
        query: *const f32,
        ahead: usize,
        mask: Option<Summands>,
        output: *mut f32,
    ) {
        let Attention { keys, steps, depth, query_step, score_step, .. } = *self.attention;
        // SAFETY: the scratch's parts are as large as a block needs.
        unsafe {
            let scale = s.splat(self.attention.scale);
            for r in 0..count {
                let (from, to) = (query.add(r * steps.query.row), self.queries.add(r * query_step));
                for e in (0..depth).step_by(S::LANES) {
                    let n = S::LANES.min(depth - e);
                    if steps.query.column == 1 {
                        s.prefetch(from.add(e).wrapping_add(ahead));
                        let x = s.load_partial(from.add(e), n);
                        s.store_partial(to.add(e), s.mul(x, scale), n);
                    } else {
                        for e in e..e + n {
                            *to.add(e) = *from.add(e * steps.query.column) * self.attention.scale;
                        }
                    }
                }
            }
            let scores = Block {
                rows: self.queries,
                row_step: query_step,
                count,
                panels: self.attention.key_panels,
                packed: self.keys,
                to: self.scores,
                to_step: score_step,
                padded: true,
                factors: None,
                summands: mask,
            };
            scores.multiply(s);
            let mut r = 0;
            while r < count {
                let (row, factors) = (self.scores.add(r * score_step), self.factors.add(r));
                if count - r >= SIDE_BY_SIDE {
                    exponentials::<S, SIDE_BY_SIDE>(s, row, score_step, keys, factors);
                    r += SIDE_BY_SIDE;
                } else {
                    exponentials::<S, 1>(s, row, score_step, keys, factors);
                    r += 1;
                }
            }
            let results = Block {
                rows: self.scores,
                row_step: score_step,
                count,
                panels: self.attention.value_panels,
                packed: self.values,
                to: output,
                to_step: steps.output.row,
                padded: false,
                factors: Some(self.factors),
                summands: None,
            };
            results.multiply(s);
        }
    }
}

/// Replace some rows of scores by their exponentials, relative to each row's maximum, and write the
/// reciprocal of each sum to `factors`.
///
/// # Safety
/// The rows, `step` apart, are valid for reading and writing `len` floats and the padding of the
/// last vector; `factors` is valid for writing one float per row.
#[inline(always)]
unsafe fn exponentials<S: Simd, const ROWS: usize>(
    s: S,
    rows: *mut f32,
    step: usize,
    len: usize,
    factors: *mut f32,
) {
    let padded = len.next_multiple_of(S::LANES);
    if padded > len {
        // The padding of the last vector has weight zero.
        let mut nothing = [0.0_f32; MOST_LANES];
        nothing[S::LANES - (padded - len)..].fill(f32::NEG_INFINITY);
        for r in 0..ROWS {
            // SAFETY: the row's last vector.
            unsafe {
                let last = rows.add(r * step + padded - S::LANES);
                let count = S::LANES - (padded - len);
                s.store(last, s.add(s.load_partial(last, count), s.load(nothing.as_ptr())));
            }
        }
    }
    // The order of the operands skips NaN, which reappears in the sum.
    let mut largest = [s.splat(f32::NEG_INFINITY); ROWS];
    for i in (0..padded).step_by(S::LANES) {
        for (r, largest) in largest.iter_mut().enumerate() {
            // SAFETY: below the padded length.
            *largest = s.max(unsafe { s.load(rows.add(r * step + i)) }, *largest);
        }
    }
    for largest in &mut largest {
        // Relative to anything finite, the exponentials of negative infinity are zero.
        *largest = s.splat(s.reduce_max(*largest).max(f32::MIN));
    }
    let (mut total, mut i) = ([s.zero(); ROWS], 0);
    while i < padded {
        let end = padded.min(i + PART * S::LANES);
        let mut part = [s.zero(); ROWS];
        while i < end {
            for r in 0..ROWS {
                // SAFETY: below the padded length.
                unsafe {
                    let at = rows.add(r * step + i);
                    let e = exp_of_negative(s, s.sub(s.load(at), largest[r]));
                    s.store(at, e);
                    part[r] = s.add(part[r], e);
                }
            }
            i += S::LANES;
        }
        for r in 0..ROWS {
            total[r] = s.add(total[r], part[r]);
        }
    }
    for (r, total) in total.into_iter().enumerate() {
        let sum = s.reduce_add(total);
        // SAFETY: one per row.
        unsafe { *factors.add(r) = if sum == 0.0 { 0.0 } else { 1.0 / sum } };
    }
}

#[cfg(test)]
mod tests;
