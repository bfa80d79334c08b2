//! Loops over several operands of one shape with different memory layouts.

use std::ops::Range;

use crate::tensor::{MAX_RANK, Shape};

/// One dimension: its size and each operand's stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dim<const K: usize> {
    /// Number of steps.
    pub size: usize,
    /// Elements between neighbours, per operand; 0 repeats one element.
    pub strides: [usize; K],
}

/// A loop nest over `K` operands. Operand 0 is the output: its smallest stride is innermost, and
/// dimensions that are contiguous in every operand are merged into one loop. The innermost loop is
/// split into pieces, so that even one long row can be shared between threads.
#[derive(Clone, Debug)]
pub struct Nest<const K: usize> {
    outer: Vec<Dim<K>>,
    inner: Dim<K>,
    piece: usize,
}

impl<const K: usize> Nest<K> {
    /// Elements of the innermost loop in one piece: small enough that the output of one step of a
    /// kernel is still in the first-level cache for the next step.
    pub const PIECE: usize = 1024;

    /// The nest over `shape` for operands with these strides (one per dimension of `shape`).
    pub fn new(shape: Shape, strides: [&[usize]; K]) -> Self {
        let mut dims: Vec<_> = (0..shape.rank())
            .filter(|&d| shape[d] != 1)
            .map(|d| Dim { size: shape[d], strides: strides.map(|s| s[d]) })
            .collect();
        dims.sort_by_key(|d| std::cmp::Reverse(d.strides[0]));
        let mut merged: Vec<Dim<K>> = Vec::with_capacity(MAX_RANK);
        for dim in dims {
            match merged.last_mut() {
                Some(last) if (0..K).all(|k| last.strides[k] == dim.size * dim.strides[k]) => {
                    *last = Dim { size: last.size * dim.size, strides: dim.strides };
                }
                _ => merged.push(dim),
            }
        }
        let inner = merged.pop().unwrap_or(Dim { size: 1, strides: [1; K] });
        Self { outer: merged, inner, piece: Self::PIECE }
    }

    /// The same nest with pieces of this many steps.
    pub fn with_pieces(self, piece: usize) -> Self {
        Self { piece, ..self }
    }

    /// The innermost loop.
    pub fn inner(&self) -> Dim<K> {
        self.inner
    }

    /// Removes the innermost loop; among the others, the one with the smallest stride of operand
    /// `k` becomes innermost, in pieces of `piece` steps.
    pub fn split_inner(mut self, k: usize, piece: usize) -> (Dim<K>, Self) {
        let taken = self.inner;
        let next = (0..self.outer.len()).min_by_key(|&d| self.outer[d].strides[k]);
        let inner = next.map_or(Dim { size: 1, strides: [1; K] }, |d| self.outer.remove(d));
        (taken, Self { outer: self.outer, inner, piece })
    }

    /// Number of pieces.
    pub fn pieces(&self) -> usize {
        self.outer.iter().map(|d| d.size).product::<usize>() * self.inner.size.div_ceil(self.piece)
    }

    /// Number of chunks for `threads`, none for an empty nest. `weight` is the number of elements
    /// per step of the innermost loop.
    pub fn phases(&self, weight: usize, threads: usize) -> Vec<usize> {
        /// Elements from which a second thread is worth waking.
        const WORTH_SHARING: usize = 4096;
        let elements = self.outer.iter().map(|d| d.size).product::<usize>() * self.inner.size * weight;
        if elements == 0 {
            return Vec::new();
        }
        vec![super::chunks_for(self.pieces().min(elements.div_ceil(WORTH_SHARING)), threads)]
    }

    /// Each operand's offset and the number of steps, for each piece in `range`. This is an
    /// iterator and not a function with a closure, because closures are compiled without the
    /// features of the enclosing `#[target_feature]` function unless they happen to be inlined.
    #[inline(always)]
    pub fn walk(&self, range: Range<usize>) -> Walk<'_, K> {
        let per_row = self.inner.size.div_ceil(self.piece).max(1);
        let mut row = range.start / per_row;
        let (mut index, mut at) = ([0; MAX_RANK], [0; K]);
        for (index, dim) in index[..self.outer.len()].iter_mut().zip(&self.outer).rev() {
            *index = row % dim.size.max(1);
            row /= dim.size.max(1);
            for (at, stride) in at.iter_mut().zip(dim.strides) {
                *at += *index * stride;
            }
        }
        Walk { nest: self, left: range.len(), start: range.start % per_row * self.piece, index, at }
    }
}

/// The pieces of a [`Nest`], see [`Nest::walk`].
pub struct Walk<'a, const K: usize> {
    nest: &'a Nest<K>,
    /// Remaining pieces.
    left: usize,
    /// The next piece's first step of the innermost loop.
    start: usize,
    /// Indices of the outer loops.
    index: [usize; MAX_RANK],
    /// The offsets of the current row.
    at: [usize; K],
}

impl<const K: usize> Iterator for Walk<'_, K> {
    type Item = ([usize; K], usize);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Nest { outer, inner, piece } = self.nest;
        let mut offsets = self.at;
        for (offset, stride) in offsets.iter_mut().zip(inner.strides) {
            *offset += self.start * stride;
        }
        let steps = (*piece).min(inner.size - self.start);
        self.start += steps;
        if self.start == inner.size {
            self.start = 0;
            for (index, dim) in self.index[..outer.len()].iter_mut().zip(outer).rev() {
                *index += 1;
                let back = *index == dim.size;
                for (at, stride) in self.at.iter_mut().zip(dim.strides) {
                    *at = if back { *at - (dim.size - 1) * stride } else { *at + stride };
                }
                if !back {
                    break;
                }
                *index = 0;
            }
        }
        Some((offsets, steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::View;

    fn offsets<const K: usize>(nest: &Nest<K>, range: Range<usize>) -> Vec<[usize; K]> {
        let mut all = Vec::new();
        let inner = nest.inner().strides;
        for (at, n) in nest.walk(range) {
            all.extend((0..n).map(|i| std::array::from_fn(|k| at[k] + i * inner[k])));
        }
        all
    }

    #[test]
    fn dense_operands_are_one_loop() {
        let v = View::physical(Shape::new(&[2, 3, 4, 5]));
        let nest = Nest::new(v.shape, [v.strides(), v.strides()]);
        assert_eq!(nest.inner(), Dim { size: 120, strides: [1, 1] });
        assert_eq!(nest.pieces(), 1);
    }

    #[test]
    fn visits_each_element_once_in_any_cut() {
        let shape = Shape::new(&[2, 3, 4, 5]);
        let (out, input) = (View::physical(shape), View::contiguous(shape));
        let mut nest = Nest::new(shape, [out.strides(), input.strides()]);
        nest.piece = 2;
        let whole = offsets(&nest, 0..nest.pieces());
        let cut: Vec<_> =
            (0..7).flat_map(|i| offsets(&nest, super::super::even_range(nest.pieces(), 7, i))).collect();
        assert_eq!(whole, cut);
        let mut outs: Vec<_> = whole.iter().map(|o| o[0]).collect();
        let mut ins: Vec<_> = whole.iter().map(|o| o[1]).collect();
        outs.sort_unstable();
        ins.sort_unstable();
        assert_eq!(outs, (0..120).collect::<Vec<_>>());
        assert_eq!(ins, outs);
        // Element (1, 2, 3, 4) is the last of both.
        assert!(whole.contains(&[119, 119]));
    }

    #[test]
    fn a_broadcast_operand_stays_in_place() {
        let shape = Shape::new(&[1, 8, 2, 2]);
        let out = View::physical(shape);
        let nest = Nest::new(shape, [out.strides(), &[0, 1, 0, 0]]);
        assert_eq!(nest.inner(), Dim { size: 8, strides: [1, 1] });
        assert_eq!(nest.pieces(), 4);
    }

    #[test]
    fn nothing_and_a_scalar() {
        let none = Nest::new(Shape::new(&[3, 0, 2]), [&[0, 2, 1]]);
        assert_eq!(none.phases(1, 4), Vec::<usize>::new());
        let one = Nest::new(Shape::new(&[]), [&[]]);
        assert_eq!(offsets(&one, 0..1), vec![[0]]);
    }
}
