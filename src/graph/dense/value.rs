//! What the rewriting knows of each value of the classifier.

use std::sync::Arc;

use crate::graph::NodeId;
use crate::tensor::Param;

/// An interval of the picture's pixels along one axis; it may begin before the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The first pixel, relative to the window's.
    pub start: i64,
    /// How many.
    pub size: usize,
}

impl Reach {
    /// What two values depend on together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let start = self.start.min(other.start);
        let end = (self.start + self.size as i64).max(other.start + other.size as i64);
        Self { start, size: (end - start) as usize }
    }
}

/// How a value's positions lie on the picture, vertically and horizontally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Positions in a window.
    pub size: [usize; 2],
    /// Pixels from one of the classifier's positions to the next.
    pub jump: [usize; 2],
    /// Pixels from one of the dense map's positions to the next; a divisor of `jump` wherever the size is
    /// more than one.
    pub kept: [usize; 2],
    /// The product of the strides that belong to the network, and not to pools that adapt to a window.
    pub native: [usize; 2],
    /// What the first position depends on.
    pub reach: [Reach; 2],
}

impl Grid {
    /// A picture's own pixels.
    pub fn pixels(size: [usize; 2]) -> Self {
        let pixel = Reach { start: 0, size: 1 };
        Self { size, jump: [1; 2], kept: [1; 2], native: [1; 2], reach: [pixel; 2] }
    }

    /// Whether a window has one position.
    pub fn is_point(&self) -> bool {
        self.size == [1, 1]
    }

    /// Dense positions from one of the classifier's to the next: the dilation of what follows.
    pub fn dilation(&self) -> Option<[usize; 2]> {
        let exact = (0..2).all(|axis| self.jump[axis].is_multiple_of(self.kept[axis]));
        exact.then(|| [self.jump[0] / self.kept[0], self.jump[1] / self.kept[1]])
    }
}

/// A value of the classifier, and how the dense graph computes it.
#[derive(Clone, Debug)]
pub enum Value {
    /// The same for all pictures.
    Constant,
    /// Of the picture as a whole, the same for all windows (`Squeeze::Global`).
    Global,
    /// A map; dimensions `axes` are its rows and columns, in the dense graph too.
    Map {
        /// Which dimensions.
        axes: [usize; 2],
        /// Where its positions lie.
        grid: Grid,
    },
    /// (N, features) of a window; in the dense graph (N, features, rows, columns).
    Vector(Grid),
    /// A map (N, C, h, w) that was flattened to (N, C h w); in the dense graph the map.
    Flat(Grid),
    /// A map averaged over areas of different sizes, which no window that slides can do; in the dense
    /// graph the map before that. A linear layer takes the averages into its kernel.
    Uneven {
        /// The map before.
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
    /// What it is.
    pub value: Value,
}

/// A parameter under another shape.
pub fn reshaped(param: Option<&Arc<Param>>, dims: &[usize]) -> Option<Arc<Param>> {
    param.map(|param| Arc::new(param.reshaped(crate::tensor::Shape::new(dims))))
}
