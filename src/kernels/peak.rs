//! The peak rates of a thread on this processor, for comparison with kernels: multiply-adds in
//! registers, and sequential reads from memory.

use crate::simd::{Isa, Simd, Vectorized};

/// Multiply-adds in as many chains as a tile has accumulators: more than latency times throughput
/// on any processor with these instruction sets (4 cycles, 2 per cycle).
const CHAINS: usize = 12;

/// Does `steps` multiply-adds in each of some independent chains of vectors; returns the number of
/// scalar multiply-adds.
pub fn multiply_adds(isa: Isa, steps: usize) -> usize {
    isa.dispatch(MultiplyAdds { steps });
    steps * CHAINS * isa.lanes()
}

/// Reads all of `values` once, in order.
pub fn read(isa: Isa, values: &[f32]) {
    isa.dispatch(Read { values });
}

struct MultiplyAdds {
    steps: usize,
}

impl Vectorized for MultiplyAdds {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut chains = [s.splat(std::hint::black_box(0.5)); CHAINS];
        let (a, b) = (s.splat(std::hint::black_box(0.25)), s.splat(std::hint::black_box(0.125)));
        for _ in 0..self.steps {
            for chain in &mut chains {
                *chain = s.fma(*chain, a, b);
            }
        }
        let mut sum = s.zero();
        for chain in chains {
            sum = s.add(sum, chain);
        }
        std::hint::black_box(s.reduce_add(sum));
    }
}

struct Read<'a> {
    values: &'a [f32],
}

impl Vectorized for Read<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        /// Independent sums; memory is much slower than these.
        const SUMS: usize = 8;
        let mut sums = [s.zero(); SUMS];
        let blocks = self.values.len() / (SUMS * S::LANES);
        let mut from = self.values.as_ptr();
        for _ in 0..blocks {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the slice has `blocks` blocks of SUMS vectors.
                *sum = s.add(*sum, unsafe { s.load(from.add(i * S::LANES)) });
            }
            // SAFETY: at most one past the slice's end.
            from = unsafe { from.add(SUMS * S::LANES) };
        }
        let mut sum = s.zero();
        for each in sums {
            sum = s.add(sum, each);
        }
        let rest = &self.values[blocks * SUMS * S::LANES..];
        std::hint::black_box(s.reduce_add(sum) + rest.iter().sum::<f32>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_counts_what_it_did_and_reads_any_length() {
        for isa in Isa::available() {
            assert_eq!(multiply_adds(isa, 10), 10 * CHAINS * isa.lanes());
            for length in [0, 1, 127, 128, 1000] {
                read(isa, &vec![1.0; length]);
            }
        }
    }
}
