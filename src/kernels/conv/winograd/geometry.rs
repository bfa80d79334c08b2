//! Positions of tiles in the maps, and of their transforms in scratch memory.

use crate::kernels::conv::desc::ConvDesc;

/// The output map split into tiles of `size` pixels, numbered through all pictures.
///
/// A convolution with dilation d is d² plain ones, each on every d-th row and column: their tiles
/// are sets of pixels d apart.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    /// Output pixels along a tile's sides.
    pub size: [usize; 2],
    /// Distance of a tile's pixels.
    step: [usize; 2],
    /// Tiles of one plain convolution.
    grid: [usize; 2],
    /// Output pixels of the map.
    map: [usize; 2],
    /// Tiles of one picture.
    pub per_picture: usize,
    /// Tiles of all pictures.
    pub total: usize,
}

/// A tile's position: its first output pixel, and the numbers of its rows and columns inside the
/// map.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tile {
    /// Picture.
    pub n: usize,
    /// Row of the first output pixel.
    pub y: usize,
    /// Column of the first output pixel.
    pub x: usize,
    /// Rows inside the map.
    pub rows: usize,
    /// Columns inside the map.
    pub columns: usize,
}

impl Tile {
    /// Whether it has at most this many pixels along a column and along a row.
    #[inline]
    pub fn is_short(&self, most: [usize; 2]) -> [bool; 2] {
        [self.rows <= most[0], self.columns <= most[1]]
    }
}

impl Tiling {
    /// The tiles of a convolution's output.
    pub fn new(desc: &ConvDesc, size: [usize; 2]) -> Self {
        let (map, step) = ([desc.output.height, desc.output.width], desc.dilation);
        let grid = std::array::from_fn(|i| map[i].div_ceil(step[i]).div_ceil(size[i]));
        let per_picture = grid[0] * grid[1] * step[0].min(map[0]) * step[1].min(map[1]);
        Self { size, step, grid, map, per_picture, total: per_picture * desc.output.batch }
    }

    /// Input pixels along a tile's sides.
    #[inline]
    pub fn inputs(&self, desc: &ConvDesc) -> [usize; 2] {
        let along = |i: usize| (self.size[i] - 1) * desc.stride[i] + desc.kernel[i];
        [along(0), along(1)]
    }

    /// The `index`-th tile.
    #[inline]
    pub fn tile(&self, index: usize) -> Tile {
        let (n, rest) = (index / self.per_picture, index % self.per_picture);
        let (plain, place) = (rest / (self.grid[0] * self.grid[1]), rest % (self.grid[0] * self.grid[1]));
        let plain_columns = self.step[1].min(self.map[1]);
        let y = plain / plain_columns + place / self.grid[1] * self.size[0] * self.step[0];
        let x = plain % plain_columns + place % self.grid[1] * self.size[1] * self.step[1];
        let inside = |first: usize, i: usize| {
            self.map[i].saturating_sub(first).div_ceil(self.step[i]).min(self.size[i])
        };
        Tile { n, y, x, rows: inside(y, 0), columns: inside(x, 1) }
    }
}

/// Matrices of rows, one for each of a tile's transformed values. All rows begin at a cache line.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Floats from one tile's row to the next tile's.
    pub row: usize,
    /// Floats from one plane to the next.
    pub plane: usize,
}

/// Floats in a cache line.
const LINE: usize = 16;

impl Planes {
    /// Room for `rows` rows of `columns` floats in each plane.
    ///
    /// Rows and planes are an odd number of cache lines long: the planes' rows of one tile are
    /// written and read together, and at a multiple of 4096 bytes they would all map to the same
    /// set of the first-level cache (up to half of the speed).
    pub fn new(rows: usize, columns: usize) -> Self {
        let odd_lines = |floats: usize| (floats.div_ceil(LINE) | 1) * LINE;
        let row = odd_lines(columns);
        Self { row, plane: odd_lines(rows * row) }
    }

    /// Floats of `count` planes.
    pub fn len(&self, count: usize) -> usize {
        count * self.plane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::winograd::tests::between;
    use crate::tensor::FeatureMap;

    /// Every output pixel is in exactly one tile, for all sizes and dilations.
    #[test]
    fn tiles_cover_the_map_once() {
        for (height, width, dilation, size) in [
            (1, 1, 1, [4, 4]),
            (4, 9, 1, [4, 4]),
            (13, 7, 1, [2, 2]),
            (13, 7, 3, [4, 4]),
            (5, 2, 6, [2, 2]),
            (9, 9, 2, [4, 4]),
            (3, 7, 4, [4, 4]),
            (17, 6, 1, [4, 1]),
            (6, 17, 3, [1, 4]),
        ] {
            let map = FeatureMap::nhwc(2, height, width, 1);
            let desc = ConvDesc { dilation: [dilation, dilation], ..between(map, map) };
            let tiling = Tiling::new(&desc, size);
            let mut seen = vec![0; map.pixels()];
            for tile in (0..tiling.total).map(|i| tiling.tile(i)) {
                for (row, column) in (0..tile.rows).flat_map(|r| (0..tile.columns).map(move |c| (r, c))) {
                    seen[map.at(tile.n, tile.y + row * dilation, tile.x + column * dilation)] += 1;
                }
            }
            assert!(seen.iter().all(|&n| n == 1), "{height}x{width} dilation {dilation}: {seen:?}");
        }
    }
}
