//! Strided views: where a value's elements lie inside a buffer.

use super::{MAX_RANK, Shape};

/// A value's logical shape and where its elements lie, in elements from the start of its buffer.
/// `permute`, `slice` and the branches of a concat are views of another value's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Logical sizes.
    pub shape: Shape,
    /// Elements between neighbours along each logical dimension.
    pub strides: [usize; MAX_RANK],
    /// Elements before the first one.
    pub offset: usize,
}

impl View {
    /// A dense value in the usual physical order (channels last for rank 4).
    pub fn physical(shape: Shape) -> Self {
        Self { shape, strides: shape.physical_strides(), offset: 0 }
    }

    /// A dense value in logical order, as numpy's C-contiguous arrays.
    pub fn contiguous(shape: Shape) -> Self {
        Self { shape, strides: shape.contiguous_strides(), offset: 0 }
    }

    /// The strides that count, one per dimension.
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

    /// Whether the elements lie in logical order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let dense = self.shape.contiguous_strides();
        self.shape.iter().zip(self.strides()).zip(&dense).all(|((&n, &s), &d)| n <= 1 || s == d)
    }

    /// This view as pictures.
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

/// A rank-4 view as convolutions and pools see it: pictures of `height` x `width` pixels with
/// `channels` values each. Strides are in elements; the first element's address comes with the
/// pointer. Channels are dense (`channel_stride == 1`) everywhere but at a network's input.
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

    /// Whether one pixel's channels are neighbours in memory.
    pub fn channels_last(&self) -> bool {
        self.channel_stride == 1 || self.channels <= 1
    }

    /// Pixels of all pictures.
    pub fn pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Offset in elements of a pixel's first channel.
    #[inline]
    pub fn at(&self, n: usize, y: usize, x: usize) -> usize {
        n * self.image_stride + y * self.row_stride + x * self.pixel_stride
    }

    /// Whether all pixels of all pictures lie at one constant distance, so that the map is a
    /// matrix of `pixels()` rows with stride `pixel_stride`.
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
