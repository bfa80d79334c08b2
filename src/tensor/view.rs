//! Strided views: the positions of a value's elements in a buffer.

use super::{MAX_RANK, Shape};

/// A value's logical shape and the positions of its elements, counted in elements from the start of
/// its buffer.
/// `permute`, `slice` and the branches of a concat are views of another value's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Logical sizes.
    pub shape: Shape,
    /// Distance in elements between neighbours along each logical dimension.
    pub strides: [usize; MAX_RANK],
    /// Elements before the first one.
    pub offset: usize,
}

/// Rows whose distance is a multiple of this many floats share one or two sets of the first-level
/// cache, with eight lines each. This is too few for the twelve rows of a tile, of which a
/// convolution with a stride of two reads every second one.
const ALIASED: usize = 512;

/// Floats of a cache line.
const LINE: usize = 16;

impl View {
    /// A dense value in the usual physical order (channels last for rank 4).
    pub fn physical(shape: Shape) -> Self {
        Self { shape, strides: shape.physical_strides(), offset: 0 }
    }

    /// A dense value in logical order, like numpy's C-contiguous arrays.
    pub fn contiguous(shape: Shape) -> Self {
        Self { shape, strides: shape.contiguous_strides(), offset: 0 }
    }

    /// The strides in use, one per dimension.
    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.rank()]
    }

    /// One past the last element that the view reaches, in elements from the buffer's start.
    pub fn end(&self) -> usize {
        if self.shape.numel() == 0 {
            return self.offset;
        }
        let last: usize = self.shape.iter().zip(self.strides()).map(|(&n, &s)| (n - 1) * s).sum();
        self.offset + last + 1
    }

    /// The number of distinct buffer elements in the view. A broadcast dimension counts as one,
    /// because its stride is 0.
    pub fn distinct(&self) -> usize {
        let sizes = self.shape.iter().zip(self.strides());
        sizes.map(|(&n, &stride)| if stride == 0 { n.min(1) } else { n }).product()
    }

    /// Whether the elements are in logical order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let dense = self.shape.contiguous_strides();
        self.shape.iter().zip(self.strides()).zip(&dense).all(|((&n, &s), &d)| n <= 1 || s == d)
    }

    /// The same elements in another shape, if that needs no copy: each run of dimensions that is
    /// divided differently must be evenly spaced.
    pub fn reshape(&self, shape: Shape) -> Option<Self> {
        debug_assert_eq!(self.shape.numel(), shape.numel(), "reshape {} to {shape}", self.shape);
        if shape.numel() == 0 {
            return Some(Self { offset: self.offset, ..Self::contiguous(shape) });
        }
        let mut strides = [0; MAX_RANK];
        // From the innermost dimension on, `space` is a run of evenly spaced old dimensions, which
        // is divided into new ones.
        let mut old = self.shape.rank();
        let (mut space, mut step) = (1, 1);
        for new in (0..shape.rank()).rev() {
            if shape[new] == 1 {
                strides[new] = step * space;
                continue;
            }
            while space == 1 && old > 0 {
                old -= 1;
                (space, step) = (self.shape[old], self.strides[old]);
            }
            while space % shape[new] != 0 || space < shape[new] {
                // The next old dimension must continue the run.
                old = old.checked_sub(1)?;
                if self.shape[old] == 1 {
                    continue;
                }
                if self.strides[old] != step * space {
                    return None;
                }
                space *= self.shape[old];
            }
            strides[new] = step;
            step *= shape[new];
            space /= shape[new];
        }
        Some(Self { shape, strides, offset: self.offset })
    }

    /// The dimensions in a new order: `dims[i]` is the old index of new dimension `i`.
    ///
    /// # Panics
    /// If `dims` is not a permutation of the dimensions.
    #[must_use]
    pub fn permute(&self, dims: &[usize]) -> Self {
        assert_eq!(dims.len(), self.shape.rank(), "a permutation of all dimensions");
        let mut out = *self;
        for (new, &old) in dims.iter().enumerate() {
            out.shape[new] = self.shape[old];
            out.strides[new] = self.strides[old];
        }
        out
    }

    /// `len` indices of dimension `dim`, from `start` on in steps of `step`.
    ///
    /// # Panics
    /// If that reaches beyond the dimension.
    #[must_use]
    pub fn slice(&self, dim: usize, start: usize, len: usize, step: usize) -> Self {
        assert!(len == 0 || start + (len - 1) * step < self.shape[dim], "slice of {}", self.shape);
        let mut out = *self;
        out.shape[dim] = len;
        // The start of an empty slice must not move the view out of its buffer.
        out.offset += if len == 0 { 0 } else { start * self.strides[dim] };
        // For a single index the step does not matter and may be any number.
        out.strides[dim] *= if len > 1 { step } else { 1 };
        out
    }

    /// The same elements in a larger shape, to which this one broadcasts by torch's rules. The
    /// stride of an expanded or new leading dimension becomes 0.
    ///
    /// # Panics
    /// If it does not broadcast.
    #[must_use]
    pub fn broadcast(&self, shape: Shape) -> Self {
        let missing = shape.rank().checked_sub(self.shape.rank());
        let missing = missing.unwrap_or_else(|| panic!("{} does not broadcast to {shape}", self.shape));
        let mut strides = [0; MAX_RANK];
        for (d, (&size, &stride)) in self.shape.iter().zip(self.strides()).enumerate() {
            let target = shape[missing + d];
            assert!(size == target || size == 1, "{} does not broadcast to {shape}", self.shape);
            strides[missing + d] = if size == 1 { 0 } else { stride };
        }
        Self { shape, strides, offset: self.offset }
    }

    /// Whether the elements are without gaps in some order of the dimensions.
    pub fn is_dense(&self) -> bool {
        let mut dims: Vec<_> =
            self.shape.iter().zip(self.strides()).filter(|&(&n, _)| n != 1).map(|(&n, &s)| (s, n)).collect();
        dims.sort_unstable();
        let mut step = 1;
        dims.into_iter().all(|(stride, n)| {
            let dense = stride == step;
            step *= n;
            dense
        })
    }

    /// This dense value with an additional cache line between rows that would otherwise share one
    /// or two sets of the first-level cache. A row consists of the innermost dimensions, up to a
    /// multiple of [`ALIASED`] floats.
    #[must_use]
    pub fn spread(&self) -> Self {
        debug_assert!(self.is_dense());
        let ends = self.shape.iter().zip(self.strides()).map(|(&n, &stride)| n * stride);
        let mut view = *self;
        if let Some(row) = ends.filter(|&row| row > 0 && row.is_multiple_of(ALIASED)).min() {
            for stride in view.strides.iter_mut().filter(|stride| **stride >= row) {
                *stride = *stride / row * (row + LINE);
            }
        }
        view
    }

    /// Whether both have the same layout; the strides of dimensions of size one do not matter.
    pub fn same_layout(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self
                .shape
                .iter()
                .zip(self.strides().iter().zip(other.strides()))
                .all(|(&n, (a, b))| n <= 1 || a == b)
    }

    /// This view as a feature map.
    ///
    /// # Panics
    /// If the rank is not 4.
    pub fn feature_map(&self) -> FeatureMap {
        let [batch, channels, height, width] = *self.shape else {
            panic!("a feature map has four dimensions, not {}", self.shape)
        };
        FeatureMap {
            batch,
            channels,
            height,
            width,
            image_stride: self.strides[0],
            channel_stride: self.strides[1],
            row_stride: self.strides[2],
            pixel_stride: self.strides[3],
        }
    }
}

/// A rank-4 view for convolutions and pools: pictures of `height` x `width` pixels with `channels`
/// values each. Strides are in elements; the address of the first element is passed separately.
/// Channels are dense (`channel_stride == 1`) except at a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeatureMap {
    /// N
    pub batch: usize,
    /// C
    pub channels: usize,
    /// H
    pub height: usize,
    /// W
    pub width: usize,
    /// From a picture to the next.
    pub image_stride: usize,
    /// From a channel to the next of the same pixel.
    pub channel_stride: usize,
    /// From a pixel to the one below.
    pub row_stride: usize,
    /// From a pixel to its right neighbour.
    pub pixel_stride: usize,
}

impl FeatureMap {
    /// A dense channels-last map.
    pub fn nhwc(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        View::physical(Shape::new(&[batch, channels, height, width])).feature_map()
    }

    /// Whether the channels of a pixel are adjacent in memory.
    pub fn channels_last(&self) -> bool {
        self.channel_stride == 1 || self.channels <= 1
    }

    /// The number of pixels of all pictures.
    pub fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Offset in elements of a pixel's first channel.
    #[inline]
    pub fn at(&self, n: usize, y: usize, x: usize) -> usize {
        n * self.image_stride + y * self.row_stride + x * self.pixel_stride
    }

    /// Whether all pixels of all pictures are evenly spaced, so that the map is a matrix of
    /// `pixels()` rows with stride `pixel_stride`.
    pub fn is_matrix(&self) -> bool {
        (self.height <= 1 || self.row_stride == self.width * self.pixel_stride)
            && (self.batch <= 1 || self.image_stride == self.height * self.width * self.pixel_stride)
    }

    /// The same as a view.
    pub fn view(&self) -> View {
        let mut strides = [0; MAX_RANK];
        strides[..4].copy_from_slice(&[
            self.image_stride,
            self.channel_stride,
            self.row_stride,
            self.pixel_stride,
        ]);
        View { shape: Shape::new(&[self.batch, self.channels, self.height, self.width]), strides, offset: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(v: &View) -> Vec<usize> {
        let mut all = vec![v.offset];
        for d in 0..v.shape.rank() {
            all = all.iter().flat_map(|&a| (0..v.shape[d]).map(move |i| a + i * v.strides[d])).collect();
        }
        all
    }

    #[test]
    fn nothing_takes_any_shape() {
        let none = View::physical(Shape::new(&[0, 512, 1, 1]));
        assert_eq!(none.reshape(Shape::new(&[0, 512])).map(|view| view.shape), Some(Shape::new(&[0, 512])));
    }

    #[test]
    fn rows_that_share_cache_sets_have_gaps() {
        let spread = |shape: &[usize], order: &[usize]| {
            // Dimension `d` of the value is the `order[d]`-th of the memory.
            let view = View::contiguous(Shape::new(shape)).permute(order).spread();
            view.strides().to_vec()
        };
        assert_eq!(spread(&[2, 5, 7, 1024], &[0, 3, 1, 2]), [35 * 1040, 1, 7 * 1040, 1040]);
        assert_eq!(spread(&[2, 5, 7, 768], &[0, 3, 1, 2]), [35 * 768, 1, 7 * 768, 768]);
        // Rows of pixels.
        assert_eq!(spread(&[2, 5, 8, 64], &[0, 3, 1, 2]), [5 * 528, 1, 528, 64]);
        // Tokens of 8 heads.
        assert_eq!(spread(&[2, 5, 8, 64], &[0, 2, 1, 3]), [5 * 528, 64, 528, 1]);
    }

    #[test]
    fn reshape_keeps_the_elements_in_order() {
        let base = View::contiguous(Shape::new(&[2, 3, 4, 5]));
        let views = [
            base,
            base.permute(&[0, 2, 3, 1]),
            base.permute(&[1, 0, 2, 3]),
            base.slice(1, 1, 2, 1),
            base.slice(3, 0, 3, 2),
            base.slice(2, 1, 1, 1),
            View::physical(Shape::new(&[2, 3, 4, 5])),
            View::physical(Shape::new(&[2, 12, 1, 1])),
        ];
        let shapes: [&[usize]; 9] = [
            &[6, 20],
            &[2, 60],
            &[120],
            &[2, 3, 20],
            &[1, 2, 3, 1, 4, 5],
            &[8, 15],
            &[2, 12],
            &[24],
            &[2, 2, 20],
        ];
        let mut possible = 0;
        for v in views {
            for dims in shapes.iter().filter(|d| d.iter().product::<usize>() == v.shape.numel()) {
                if let Some(r) = v.reshape(Shape::new(dims)) {
                    assert_eq!(addresses(&r), addresses(&v), "{v:?} to {dims:?}");
                    possible += 1;
                }
            }
            assert_eq!(v.reshape(v.shape).map(|r| addresses(&r)), Some(addresses(&v)));
        }
        assert!(possible > 10);
        assert!(View::physical(Shape::new(&[2, 3, 4, 5])).reshape(Shape::new(&[2, 60])).is_none());
        assert!(View::physical(Shape::new(&[2, 12, 1, 1])).reshape(Shape::new(&[2, 12])).is_some());
    }

    #[test]
    fn slices_stay_inside() {
        let v = View::contiguous(Shape::new(&[2, 6]));
        assert_eq!(addresses(&v.slice(1, 1, 3, 2)), [1, 3, 5, 7, 9, 11]);
        assert_eq!(v.slice(1, 6, 0, 1).end(), 0);
        assert_eq!(addresses(&v.slice(1, 2, 1, usize::MAX)), [2, 8]);
    }

    #[test]
    fn distinct_elements() {
        let v = View::contiguous(Shape::new(&[2, 1, 6]));
        assert_eq!(v.distinct(), 12);
        assert_eq!(v.slice(2, 0, 3, 2).distinct(), 6);
        assert_eq!(v.broadcast(Shape::new(&[2, 5, 6])).distinct(), 12);
        assert_eq!(View::contiguous(Shape::new(&[0, 4])).distinct(), 0);
    }

    #[test]
    fn dense_in_any_order() {
        let v = View::contiguous(Shape::new(&[2, 3, 1, 5]));
        assert!(v.is_dense() && v.permute(&[3, 1, 0, 2]).is_dense());
        assert!(!v.slice(1, 0, 2, 1).is_dense() && !v.slice(3, 0, 3, 2).is_dense());
    }
}
