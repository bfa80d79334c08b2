//! The dense rewriter's description of each value of the classifier.

use std::sync::Arc;

use crate::graph::NodeId;
use crate::tensor::Param;

/// An interval of the picture's pixels along one axis; it may begin before the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The first pixel, relative to the window's.
    pub start: i64,
    /// Number of pixels.
    pub size: usize,
}

impl Reach {
    /// The union of two values' receptive fields.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let start = self.start.min(other.start);
        let end = (self.start + self.size as i64).max(other.start + other.size as i64);
        Self { start, size: (end - start) as usize }
    }
}

/// The locations of a value's positions on the picture, vertically and horizontally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Number of positions in a window.
    pub size: [usize; 2],
    /// Pixels from one of the classifier's positions to the next.
    pub jump: [usize; 2],
    /// Pixels from one of the dense map's positions to the next; a divisor of `jump` if the size is
    /// more than one.
    pub kept: [usize; 2],
    /// The product of the network's own strides, without those of pools that adapt to a window.
    pub native: [usize; 2],
    /// The receptive field of the first position.
    pub reach: [Reach; 2],
}

impl Grid {
    /// The grid of a picture's pixels.
    pub fn pixels(size: [usize; 2]) -> Self {
        let pixel = Reach { start: 0, size: 1 };
        Self { size, jump: [1; 2], kept: [1; 2], native: [1; 2], reach: [pixel; 2] }
    }

    /// Whether a window has a single position.
    pub fn is_point(&self) -> bool {
        self.size == [1, 1]
    }

    /// The distance of the classifier's positions in dense positions: the dilation of later layers.
    pub fn dilation(&self) -> Option<[usize; 2]> {
        let exact = (0..2).all(|axis| self.jump[axis].is_multiple_of(self.kept[axis]));
        exact.then(|| [self.jump[0] / self.kept[0], self.jump[1] / self.kept[1]])
    }
}

/// A value of the classifier, and its counterpart in the dense graph.
#[derive(Clone, Debug)]
pub enum Value {
    /// The same for all pictures.
    Constant,
    /// A value of the whole picture, the same for all windows (`Squeeze::Global`).
    Global,
    /// A map; dimensions `axes` are its rows and columns, in the dense graph too.
    Map {
        /// The dimensions of rows and columns.
        axes: [usize; 2],
        /// The grid of its positions.
        grid: Grid,
    },
    /// (N, features) of a window; in the dense graph (N, features, rows, columns).
    Vector(Grid),
    /// A map (N, C, h, w) that was flattened to (N, C h w); in the dense graph the map.
    Flat(Grid),
    /// A map averaged over areas of different sizes, which a sliding window cannot compute; in the
    /// dense graph the map before the average. A linear layer folds the averages into its kernel.
    Uneven {
        /// The grid of the map before the average.
        grid: Grid,
        /// Areas, vertically and horizontally.
        areas: [usize; 2],
        /// Whether it has been flattened.
        flat: bool,
    },
}

/// A value with the node that computes it in the dense graph.
#[derive(Clone, Debug)]
pub struct Computed {
    /// The node.
    pub id: NodeId,
    /// Its description.
    pub value: Value,
}

/// A parameter in another shape.
pub fn reshaped(param: Option<&Arc<Param>>, dims: &[usize]) -> Option<Arc<Param>> {
    param.map(|param| Arc::new(param.reshaped(crate::tensor::Shape::new(dims))))
}
