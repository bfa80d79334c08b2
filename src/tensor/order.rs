//! In which order a value's dimensions lie in memory.

use super::{MAX_RANK, Shape, View};

/// Dimensions from the outermost to the innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    dims: [u8; MAX_RANK],
    rank: usize,
}

impl Order {
    /// From a list of dimensions, the outermost first.
    pub fn new(dims: impl Iterator<Item = usize>) -> Self {
        let mut order = Self { dims: [0; MAX_RANK], rank: 0 };
        for dim in dims {
            order.dims[order.rank] = dim as u8;
            order.rank += 1;
        }
        order
    }

    /// As numpy's C-contiguous arrays.
    pub fn logical(rank: usize) -> Self {
        Self::new(0..rank)
    }

    /// Channels last for pictures.
    pub fn physical(rank: usize) -> Self {
        if rank == 4 { Self::new([0, 2, 3, 1].into_iter()) } else { Self::logical(rank) }
    }

    /// The dimensions, the outermost first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.dims[..self.rank].iter().map(|&d| d.into())
    }

    /// The same with `dim` innermost.
    #[must_use]
    pub fn with_last(&self, dim: usize) -> Self {
        Self::new(self.iter().filter(|&d| d != dim).chain([dim]))
    }

    /// A dense value of this shape in this order.
    pub fn layout(&self, shape: Shape) -> View {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for d in self.iter().rev() {
            strides[d] = step;
            step *= shape[d];
        }
        View { shape, strides, offset: 0 }
    }

    /// The order of a value of shape `from` in this order, once its shape is `to`: dimensions that
    /// stay, or are cut or joined, lie where they lay.
    #[must_use]
    pub fn regrouped(&self, from: Shape, to: Shape) -> Self {
        if from.numel() == 0 {
            return Self::logical(to.rank());
        }
        let mut depth = [0; MAX_RANK];
        self.iter().enumerate().for_each(|(at, d)| depth[d] = at + 1);
        // Runs of dimensions with as many elements on both sides: each one's depth and its new
        // dimensions.
        let mut groups: Vec<(usize, std::ops::Range<usize>)> = Vec::with_capacity(to.rank());
        let (mut old, mut new) = (0, 0);
        while new < to.rank() {
            let first = new;
            let (mut left, mut right) = (1, to[new]);
            new += 1;
            let mut deepest = 0;
            let mut take = |left: &mut usize, old: &mut usize| {
                *left *= from[*old];
                if from[*old] > 1 {
                    deepest = deepest.max(depth[*old]);
                }
                *old += 1;
            };
            while old < from.rank() && from[old] == 1 && right != 1 {
                take(&mut left, &mut old);
            }
            if old < from.rank() && (right != 1 || from[old] == 1) {
                take(&mut left, &mut old);
            }
            while left != right {
                if left < right {
                    take(&mut left, &mut old);
                } else {
                    right *= to[new];
                    new += 1;
                }
            }
            groups.push((deepest, first..new));
        }
        groups.sort_by_key(|(deepest, _)| *deepest);
        Self::new(groups.into_iter().flat_map(|(_, dims)| dims))
    }

    /// Its number of dimensions.
    pub fn rank(&self) -> usize {
        self.rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regrouped(order: &[usize], from: &[usize], to: &[usize]) -> Vec<usize> {
        let order = Order::new(order.iter().copied());
        order.regrouped(Shape::new(from), Shape::new(to)).iter().collect()
    }

    #[test]
    fn dimensions_stay_where_they_lie() {
        // Channels cut into groups, shuffled and joined again stay innermost.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 12, 5, 7], &[2, 3, 4, 5, 7]), [0, 3, 4, 1, 2]);
        assert_eq!(regrouped(&[0, 3, 4, 2, 1], &[2, 4, 3, 5, 7], &[2, 12, 5, 7]), [0, 2, 3, 1]);
        // Windows that become a picture again.
        assert_eq!(regrouped(&[0, 1, 3, 2, 4, 5], &[2, 3, 7, 4, 7, 9], &[2, 21, 28, 9]), [0, 1, 2, 3]);
        // A picture whose pixels become tokens.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[2, 9, 35]), [0, 2, 1]);
        // What is joined across the order is in logical order.
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[2, 315]), [0, 1]);
        assert_eq!(regrouped(&[0, 2, 3, 1], &[2, 9, 5, 7], &[18, 5, 7]), [1, 2, 0]);
    }

    #[test]
    fn dimensions_of_size_one() {
        for (from, to) in [
            (&[2, 1, 3][..], &[2, 3][..]),
            (&[2, 3], &[2, 3, 1, 1]),
            (&[2, 3], &[1, 2, 1, 3]),
            (&[1, 1, 1], &[1]),
            (&[1], &[1, 1]),
            (&[], &[1, 1]),
            (&[1, 1], &[]),
            (&[2, 3, 1, 1], &[6]),
            (&[1, 6, 1], &[2, 1, 3]),
        ] {
            let order: Vec<_> = (0..from.len()).collect();
            let found = regrouped(&order, from, to);
            // In some order of those of size one, which does not matter.
            let layout = Order::new(found.iter().copied()).layout(Shape::new(to));
            assert!(layout.is_contiguous(), "{from:?} to {to:?}: {found:?}");
        }
    }
}
