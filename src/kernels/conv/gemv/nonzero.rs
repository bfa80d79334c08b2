//! The inputs that are not zero. Of those of VGG's first fully connected layer, behind a ReLU, four fifths are zero in
//! trained networks (Han et al., EIE, 2016), and the weights that they would meet need not be read.
//!
//! What is left out are products of zero, so that the sums are the same, if no weight is infinite or NaN.

use std::slice;

use crate::kernels::gemm::DEPTH_CHUNK;

/// Rows of weights ahead of which the next are asked for: no processor foresees which are left out.
pub(super) const AHEAD: usize = 32;
/// With more inputs than this share, in eighths, all weights are read one after the other, which memory does
/// faster: 25088-4096 took 4.6 ms with a fifth, 10 with two fifths, 13 with three, and from 9.5 to 14 with all.
const MOST: usize = 3;

/// The numbers of the inputs that are not zero, in order, in chains of [`DEPTH_CHUNK`] inputs.
#[derive(Clone, Copy)]
pub(super) struct Nonzero<'a> {
    /// Where each chain begins among the numbers, and where the last one ends.
    starts: &'a [u32],
    /// The numbers, and behind the last of them [`AHEAD`] that continue with the next panels.
    numbers: &'a [u32],
}

impl Nonzero<'_> {
    /// Room for the list of `depth` inputs, in floats.
    pub const fn room(depth: usize) -> usize {
        Self::chains(depth) + 1 + depth + AHEAD
    }

    const fn chains(depth: usize) -> usize {
        depth.div_ceil(DEPTH_CHUNK)
    }

    /// List those of `depth` inputs. The panels that follow are `next` rows behind.
    ///
    /// # Safety
    /// `inputs` is valid for reading `depth` floats, `list` for writing [`Self::room`].
    pub unsafe fn write(inputs: *const f32, depth: usize, next: usize, list: *mut u32) {
        let chains = Self::chains(depth);
        // SAFETY: by contract.
        let (inputs, starts, numbers) = unsafe {
            let inputs = slice::from_raw_parts(inputs, depth);
            let numbers = list.add(chains + 1);
            (
                inputs,
                slice::from_raw_parts_mut(list, chains + 1),
                slice::from_raw_parts_mut(numbers, depth + AHEAD),
            )
        };
        starts[0] = 0;
        let mut count = 0;
        for (chain, inputs) in inputs.chunks(DEPTH_CHUNK).enumerate() {
            for (i, &input) in inputs.iter().enumerate() {
                numbers[count] = (chain * DEPTH_CHUNK + i) as u32;
                count += usize::from(input != 0.0);
            }
            starts[chain + 1] = count as u32;
        }
        for i in 0..AHEAD {
            numbers[count + i] = next as u32 + if i < count { numbers[i] } else { 0 };
        }
    }

    /// The list of `depth` inputs, if leaving out the others pays.
    ///
    /// # Safety
    /// [`Self::write`] has written it, and nobody writes it for that long.
    pub unsafe fn read(list: *const u32, depth: usize) -> Option<Self> {
        let chains = Self::chains(depth);
        // SAFETY: by contract.
        let starts = unsafe { slice::from_raw_parts(list, chains + 1) };
        let count = starts[chains] as usize;
        // SAFETY: as above.
        let numbers = unsafe { slice::from_raw_parts(list.add(chains + 1), count + AHEAD) };
        (count * 8 <= depth * MOST).then_some(Self { starts, numbers })
    }

    /// Each chain's inputs: the number of each, and that of the one to ask for meanwhile.
    #[inline(always)]
    pub fn in_chains(self) -> impl Iterator<Item = impl Iterator<Item = (usize, usize)>> {
        self.starts.windows(2).map(move |ends| {
            let these = ends[0] as usize..ends[1] as usize;
            let soon = these.start + AHEAD..these.end + AHEAD;
            self.numbers[these].iter().zip(&self.numbers[soon]).map(|(&k, &soon)| (k as usize, soon as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(inputs: &[f32]) -> Option<Vec<Vec<usize>>> {
        let mut list = vec![u32::MAX; Nonzero::room(inputs.len())];
        // SAFETY: as long as is asked for, and written before it is read.
        unsafe {
            Nonzero::write(inputs.as_ptr(), inputs.len(), 2 * inputs.len(), list.as_mut_ptr());
            Nonzero::read(list.as_ptr(), inputs.len())
                .map(|list| list.in_chains().map(|chain| chain.map(|(k, _)| k).collect()).collect())
        }
    }

    #[test]
    fn lists_what_is_not_zero_chain_by_chain() {
        let mut inputs = vec![0.0; 2 * DEPTH_CHUNK + 3];
        assert_eq!(listed(&inputs).unwrap(), vec![Vec::<usize>::new(); 3]);
        for k in [0, DEPTH_CHUNK - 1, 2 * DEPTH_CHUNK + 2] {
            inputs[k] = f32::NAN;
        }
        inputs[7] = -0.0;
        assert_eq!(listed(&inputs).unwrap(), [vec![0, DEPTH_CHUNK - 1], vec![], vec![2 * DEPTH_CHUNK + 2]]);
        inputs.fill(1.0);
        assert!(listed(&inputs).is_none(), "nothing can be left out");
        inputs[..DEPTH_CHUNK].fill(0.0);
        assert!(listed(&inputs).is_none(), "too little");
        inputs[..DEPTH_CHUNK + 200].fill(0.0);
        let chains = listed(&inputs).unwrap();
        assert!(chains[0].is_empty());
        assert_eq!(chains[1], (DEPTH_CHUNK + 200..2 * DEPTH_CHUNK).collect::<Vec<_>>());
        assert_eq!(chains[2], (2 * DEPTH_CHUNK..inputs.len()).collect::<Vec<_>>());
    }
}
