//! The non-zero inputs. In trained networks, four fifths of the inputs of VGG's first fully
//! connected layer, after a ReLU, are zero (Han et al., EIE, 2016), and their weights need not be
//! read.
//!
//! Only products of zero are skipped, so the sums are the same if no weight is infinite or NaN.

use std::slice;

use crate::kernels::gemm::DEPTH_CHUNK;

/// The prefetch distance in inputs: hardware prefetchers cannot predict which inputs are skipped,
/// nor cross a page. 25088-4096 with 41 % zeros took 0.9 of the time with 8 to 32.
const AHEAD: usize = 16;

/// The indices of the non-zero inputs, in order, in chains of [`DEPTH_CHUNK`] inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nonzero<'a> {
    /// Where each chain begins in `numbers`, and where the last one ends.
    starts: &'a [u32],
    /// The indices, with the last one repeated [`AHEAD`] times.
    numbers: &'a [u32],
    values: &'a [f32],
}

impl<'a> Nonzero<'a> {
    /// Elements of the list of `depth` inputs.
    pub const fn room(depth: usize) -> usize {
        Self::chain_count(depth) + 1 + depth + AHEAD + depth
    }

    const fn chain_count(depth: usize) -> usize {
        depth.div_ceil(DEPTH_CHUNK)
    }

    /// Writes the list of the non-zero ones (or `all`) of `depth` inputs, which are the
    /// concatenation of some runs.
    ///
    /// # Safety
    /// The runs have `depth` inputs, and `list` is valid for writing [`Self::room`].
    pub unsafe fn write<'r>(runs: impl Iterator<Item = &'r [f32]>, depth: usize, all: bool, list: *mut f32) {
        let chains = Self::chain_count(depth);
        // SAFETY: by contract.
        let (starts, numbers, values) = unsafe {
            let numbers = list.add(chains + 1);
            (
                slice::from_raw_parts_mut(list.cast::<u32>(), chains + 1),
                slice::from_raw_parts_mut(numbers.cast::<u32>(), depth + AHEAD),
                slice::from_raw_parts_mut(numbers.add(depth + AHEAD), depth),
            )
        };
        let mut count = 0;
        for (k, &input) in runs.flatten().enumerate() {
            if k.is_multiple_of(DEPTH_CHUNK) {
                starts[k / DEPTH_CHUNK] = count as u32;
            }
            (numbers[count], values[count]) = (k as u32, input);
            count += usize::from(all || input != 0.0);
        }
        starts[chains] = count as u32;
        let last = if count > 0 { numbers[count - 1] } else { 0 };
        numbers[count..][..AHEAD].fill(last);
    }

    /// Reads the list of `depth` inputs.
    ///
    /// # Safety
    /// [`Self::write`] has written it, and it is not written while the result is in use.
    pub unsafe fn read(list: *const f32, depth: usize) -> Self {
        let chains = Self::chain_count(depth);
        // SAFETY: by contract.
        unsafe {
            let starts = slice::from_raw_parts(list.cast::<u32>(), chains + 1);
            let (count, numbers) = (starts[chains] as usize, list.add(chains + 1));
            Self {
                starts,
                numbers: slice::from_raw_parts(numbers.cast(), count + AHEAD),
                values: slice::from_raw_parts(numbers.add(depth + AHEAD), count),
            }
        }
    }

    /// The inputs of each chain.
    pub fn chains(self) -> impl Iterator<Item = Chain<'a>> {
        self.starts.windows(2).map(move |ends| {
            let [start, end] = [ends[0] as usize, ends[1] as usize];
            Chain {
                values: &self.values[start..end],
                numbers: &self.numbers[start..end],
                later: &self.numbers[start + AHEAD..end + AHEAD],
            }
        })
    }
}

/// The inputs of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<'a> {
    values: &'a [f32],
    numbers: &'a [u32],
    /// For each of them, the index of a later input to prefetch.
    later: &'a [u32],
}

/// `N` inputs of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a, const N: usize> {
    pub values: &'a [f32; N],
    pub numbers: &'a [u32; N],
    pub later: &'a [u32; N],
}

impl<'a> Chain<'a> {
    /// Groups of `N` inputs, and the remaining ones.
    #[inline(always)]
    pub fn groups<const N: usize>(self) -> (impl Iterator<Item = Group<'a, N>>, Self) {
        let (values, last_values) = self.values.as_chunks();
        let (numbers, last_numbers) = self.numbers.as_chunks();
        let (later, last_later) = self.later.as_chunks();
        let groups = values.iter().zip(numbers).zip(later);
        (
            groups.map(|((values, numbers), later)| Group { values, numbers, later }),
            Self { values: last_values, numbers: last_numbers, later: last_later },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(inputs: &[f32], all: bool) -> Vec<Vec<u32>> {
        let mut list = vec![f32::NAN; Nonzero::room(inputs.len())];
        // SAFETY: of the requested length, and written before it is read.
        unsafe {
            Nonzero::write(inputs.chunks(100), inputs.len(), all, list.as_mut_ptr());
            let chains = Nonzero::read(list.as_ptr(), inputs.len()).chains();
            let numbers = chains.map(|chain| {
                for (&number, value) in chain.numbers.iter().zip(chain.values) {
                    assert_eq!(value.to_bits(), inputs[number as usize].to_bits());
                }
                chain.numbers.to_vec()
            });
            numbers.collect()
        }
    }

    #[test]
    fn lists_what_is_not_zero_chain_by_chain() {
        let chunk = DEPTH_CHUNK as u32;
        let mut inputs = vec![0.0; 2 * DEPTH_CHUNK + 3];
        assert_eq!(listed(&inputs, false), vec![Vec::<u32>::new(); 3]);
        for k in [0, DEPTH_CHUNK - 1, 2 * DEPTH_CHUNK + 2] {
            inputs[k] = f32::NAN;
        }
        inputs[7] = -0.0;
        assert_eq!(listed(&inputs, false), [vec![0, chunk - 1], vec![], vec![2 * chunk + 2]]);
        let all = [0..chunk, chunk..2 * chunk, 2 * chunk..2 * chunk + 3].map(Vec::from_iter);
        assert_eq!(listed(&inputs, true), all);
        inputs.fill(1.0);
        assert_eq!(listed(&inputs, false), all);
    }
}
