//! Blocks of tiles that are multiplied together, and the products that each tile needs.

use std::ops::Range;

use super::geometry::{Tile, Tiling};

/// The largest number of tiles of a block.
pub const MAX_TILES: usize = 128;

/// A block of tiles, in an order in which the tiles that need a product are contiguous.
///
/// The last tiles of a row or column of the map may reach beyond it. If so few of a tile's pixels
/// remain that an algorithm can omit some products ([`super::transforms::Algorithm::SHORT`]), the
/// tile is short in that direction. First come tiles that are short in their rows, then whole ones,
/// then those short in their columns, and last those short in both.
pub struct Block {
    tiles: [Tile; MAX_TILES],
    count: usize,
}

impl Block {
    /// The tiles in `range`. Tiles with at most `short` pixels along a column or a row are short in
    /// that direction.
    pub fn new(tiling: &Tiling, range: Range<usize>, short: [usize; 2]) -> Self {
        let count = range.len();
        let mut tiles = [Tile::default(); MAX_TILES];
        for (tile, index) in tiles.iter_mut().zip(range) {
            *tile = tiling.tile(index);
        }
        // A stable sort keeps neighbours adjacent; most blocks are in order already.
        if !tiles[..count].is_sorted_by_key(|tile| kind(tile, short)) {
            tiles[..count].sort_by_key(|tile| kind(tile, short));
        }
        Self { tiles, count }
    }

    /// The tiles.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles[..self.count]
    }
}

/// The index of a tile's kind in the order of kinds.
fn kind(tile: &Tile, short: [usize; 2]) -> usize {
    match tile.is_short(short) {
        [false, true] => 0,
        [false, false] => 1,
        [true, false] => 2,
        [true, true] => 3,
    }
}

/// Which tiles of a block, in its order, need each of `AV` x `AH` products; `unused` are the
/// vertical and horizontal products that short tiles omit.
pub struct Needs {
    /// Where each kind of tile begins, and the end.
    bounds: [usize; 5],
    unused: [&'static [usize]; 2],
    columns: usize,
}

impl Needs {
    /// For tiles of any number of rows by `columns` products.
    pub fn new(tiles: &[Tile], short: [usize; 2], unused: [&'static [usize]; 2], columns: usize) -> Self {
        let first = |k: usize| tiles.partition_point(|tile| kind(tile, short) < k);
        Self { bounds: [0, first(1), first(2), first(3), tiles.len()], unused, columns }
    }

    /// The tiles that need the `index`-th product.
    #[inline]
    pub fn of(&self, index: usize) -> Range<usize> {
        let [begin, whole, columns, both, end] = self.bounds;
        let without = [index / self.columns, index % self.columns];
        match [self.unused[0].contains(&without[0]), self.unused[1].contains(&without[1])] {
            [false, false] => begin..end,
            [true, false] => begin..columns,
            [false, true] => whole..both,
            [true, true] => whole..columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::winograd::tests::between;
    use crate::tensor::FeatureMap;

    /// A product covers all tiles except those that can omit it, for blocks in any part of the map.
    #[test]
    fn each_product_has_the_tiles_that_need_it() {
        let (short, unused) = ([2, 1], [&[3, 4][..], &[2][..]]);
        for (height, width) in [(14, 13), (8, 8), (10, 8), (8, 9), (2, 1), (3, 2)] {
            let map = FeatureMap::nhwc(2, height, width, 1);
            let tiling = Tiling::new(&between(map, map), [4, 2]);
            for range in [0..tiling.total, 1..tiling.total, 0..tiling.total / 2, 0..0] {
                let block = Block::new(&tiling, range.clone(), short);
                let mut places: Vec<_> = block.tiles().iter().map(|t| (t.n, t.y, t.x)).collect();
                places.sort_unstable();
                let mut expected: Vec<_> = range.map(|i| tiling.tile(i)).map(|t| (t.n, t.y, t.x)).collect();
                expected.sort_unstable();
                assert_eq!(places, expected);
                for first in 0..=block.tiles().len() {
                    let tiles = &block.tiles()[first..];
                    let needs = Needs::new(tiles, short, unused, 4);
                    for index in 0..24 {
                        let [y, x] = [index / 4, index % 4];
                        let does_without = |tile: &Tile| {
                            unused[0].contains(&y) && tile.rows <= short[0]
                                || unused[1].contains(&x) && tile.columns <= short[1]
                        };
                        let range = needs.of(index);
                        for (i, tile) in tiles.iter().enumerate() {
                            assert_eq!(range.contains(&i), !does_without(tile), "{height}x{width} {tile:?}");
                        }
                    }
                }
            }
        }
    }
}
