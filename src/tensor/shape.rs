//! Logical shapes in torch's order (NCHW for pictures).

use std::fmt;
use std::ops::{Deref, DerefMut};

/// The largest rank a value can have: Swin's window partition needs six.
pub const MAX_RANK: usize = 6;

/// The largest size of a value in bytes: as much as current processors can address. Quantities
/// that are derived from such sizes (padded copies, sums over the values of a network) are far from
/// overflowing.
const MOST_BYTES: usize = 1 << 48;

/// The sizes of a value's logical dimensions, outermost first. Derefs to a slice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// A shape of these sizes.
    ///
    /// # Panics
    /// If there are more than [`MAX_RANK`]; use [`Shape::try_new`] for sizes from the user.
    pub fn new(dims: &[usize]) -> Self {
        Self::try_new(dims).expect("rank of a shape")
    }

    /// A shape of these sizes, or `None` if there are more than [`MAX_RANK`] or their product
    /// is more than can be addressed.
    pub fn try_new(dims: &[usize]) -> Option<Self> {
        if dims.len() > MAX_RANK {
            return None;
        }
        // A zero size must not hide an overflow of the others.
        dims.iter()
            .try_fold(size_of::<f32>(), |n, &d| n.checked_mul(d.max(1)))
            .filter(|&bytes| bytes <= MOST_BYTES)?;
        let mut all = [0; MAX_RANK];
        all[..dims.len()].copy_from_slice(dims);
        Some(Self { dims: all, rank: dims.len() as u8 })
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// Number of elements; 1 for a scalar.
    pub fn numel(&self) -> usize {
        self.iter().product()
    }

    /// Row-major (C order) strides in elements.
    pub fn contiguous_strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for d in (0..self.rank()).rev() {
            strides[d] = step;
            step *= self[d];
        }
        strides
    }

    /// How many elements there are, times all of `more`; the largest number if that is larger.
    pub fn product_with(&self, more: &[usize]) -> u64 {
        self.iter().chain(more).fold(1, |n, &size| n.saturating_mul(size as u64))
    }

    /// Strides in elements of the usual physical order: channels last for rank 4, else row-major.
    pub fn physical_strides(&self) -> [usize; MAX_RANK] {
        if let [_, c, h, w] = **self {
            let mut strides = [0; MAX_RANK];
            strides[..4].copy_from_slice(&[h * w * c, 1, w * c, c]);
            return strides;
        }
        self.contiguous_strides()
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }
}

impl DerefMut for Shape {
    fn deref_mut(&mut self) -> &mut [usize] {
        let rank = self.rank();
        &mut self.dims[..rank]
    }
}

impl fmt::Display for Shape {
    /// As Python prints a tuple.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match **self {
            [] => write!(f, "()"),
            [n] => write!(f, "({n},)"),
            [first, ref rest @ ..] => {
                write!(f, "({first}")?;
                rest.iter().try_for_each(|d| write!(f, ", {d}"))?;
                write!(f, ")")
            }
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_a_python_tuple() {
        assert_eq!(Shape::new(&[1, 3, 224, 224]).to_string(), "(1, 3, 224, 224)");
        assert_eq!(Shape::new(&[5]).to_string(), "(5,)");
        assert_eq!(Shape::new(&[]).to_string(), "()");
    }

    #[test]
    fn refuses_what_cannot_be_addressed() {
        assert!(Shape::try_new(&[usize::MAX, 2]).is_none());
        assert!(Shape::try_new(&[0, usize::MAX]).is_none());
        assert!(Shape::try_new(&[1 << 20, 3, 1 << 10, 1 << 10]).is_some());
        assert!(Shape::try_new(&[1 << 47]).is_none());
        assert!(Shape::try_new(&[1; 7]).is_none());
    }

    #[test]
    fn pictures_are_channels_last() {
        let s = Shape::new(&[2, 3, 4, 5]);
        assert_eq!(s.physical_strides()[..4], [60, 1, 15, 3]);
        assert_eq!(s.contiguous_strides()[..4], [60, 20, 5, 1]);
    }
}
