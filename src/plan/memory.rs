//! One arena for all intermediate values: values share memory if their lifetimes do not overlap.

/// An area used by some steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Size in bytes.
    pub size: usize,
    /// First step that accesses it.
    pub first: usize,
    /// Last step that accesses it.
    pub last: usize,
}

/// Alignment of areas in bytes: a cache line, so that vectors are aligned, too.
pub(super) const ALIGNMENT: usize = 64;

/// Offset in bytes beyond a multiple of the page size between large neighbours, so that the same
/// pixel of two maps does not have the same cache set and the same low address bits (4K aliasing).
const STAGGER: usize = ALIGNMENT * 5;

/// Offsets of all areas, in bytes, and the arena's size. Greedy by size: the largest area first,
/// each into the smallest gap that is free during its lifetime. A sum that overflows saturates: no
/// machine has that much memory, so a run is refused.
pub(super) fn place(areas: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..areas.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(areas[i].size), areas[i].first));
    let mut offsets = vec![0_usize; areas.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(areas.len());
    let mut total = 0;
    for i in order {
        let area = areas[i];
        let size = padded(area.size);
        let mut neighbours: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| areas[j].first <= area.last && area.first <= areas[j].last)
            .map(|&j| (offsets[j], offsets[j].saturating_add(padded(areas[j].size))))
            .collect();
        neighbours.sort_unstable();
        let mut best: Option<(usize, usize)> = None;
        let mut end = 0;
        for (from, to) in neighbours {
            if from > end && from - end >= size && best.is_none_or(|(gap, _)| from - end < gap) {
                best = Some((from - end, end));
            }
            end = end.max(to);
        }
        offsets[i] = best.map_or(end, |(_, at)| at);
        total = total.max(offsets[i].saturating_add(size));
        placed.push(i);
    }
    (offsets, total)
}

fn padded(size: usize) -> usize {
    size.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX).saturating_add(STAGGER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_living_never_overlap(areas in prop::collection::vec((1..5000_usize, 0..30_usize, 0..6_usize), 1..60)) {
            let areas: Vec<_> =
                areas.into_iter().map(|(size, first, len)| Lifetime { size, first, last: first + len }).collect();
            let (offsets, total) = place(&areas);
            for (i, a) in areas.iter().enumerate() {
                prop_assert!(offsets[i] % ALIGNMENT == 0 && offsets[i] + a.size <= total);
                for (j, b) in areas.iter().enumerate().skip(i + 1) {
                    let both_live = a.first <= b.last && b.first <= a.last;
                    let overlap = offsets[i] < offsets[j] + b.size && offsets[j] < offsets[i] + a.size;
                    prop_assert!(!(both_live && overlap));
                }
            }
        }
    }

    #[test]
    fn sizes_saturate() {
        for size in [usize::MAX / 2 + 1, usize::MAX] {
            let areas = [Lifetime { size, first: 0, last: 1 }, Lifetime { size, first: 1, last: 2 }];
            assert_eq!(place(&areas).1, usize::MAX);
        }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let areas: Vec<_> = (0..10).map(|i| Lifetime { size: 1600, first: i, last: i + 1 }).collect();
        assert_eq!(place(&areas).1, 2 * padded(1600));
    }
}
