//! Vectors in plain Rust: the reference for the intrinsics, and the path for other processors.

use half::f16;

use super::{Isa, Simd, Vectorized};

/// `N` lanes in plain Rust: 4, 8 or 16.
#[derive(Clone, Copy, Debug)]
pub struct Portable<const N: usize>;

impl<const N: usize> Portable<N> {
    #[inline(always)]
    fn zip(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

#[inline(never)]
fn with_portable<V: Vectorized, const N: usize>(token: Portable<N>, work: V) -> V::Output {
    work.run(token)
}

// SAFETY: needs no processor feature.
unsafe impl<const N: usize> Simd for Portable<N> {
    type F32 = [f32; N];
    const LANES: usize = N;
    const BLOCK: usize = if N < 8 { N } else { 8 };
    const FUSED: bool = false;
    const ISA: Isa = match N {
        4 => Isa::Portable4,
        8 => Isa::Portable,
        16 => Isa::Portable16,
        _ => panic!("there is no instruction set for so many portable lanes"),
    };

    #[inline(always)]
    fn call<V: Vectorized>(self, work: V) -> V::Output {
        with_portable(self, work)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Self::F32 {
        [x; N]
    }
    #[inline(always)]
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        Self::zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn select_gt(self, a: Self::F32, b: Self::F32, t: Self::F32, f: Self::F32) -> Self::F32 {
        std::array::from_fn(|i| if a[i] > b[i] { t[i] } else { f[i] })
    }
    #[inline(always)]
    fn select_nan(self, a: Self::F32, t: Self::F32, f: Self::F32) -> Self::F32 {
        std::array::from_fn(|i| if a[i].is_nan() { t[i] } else { f[i] })
    }
    #[inline(always)]
    fn sqrt(self, a: Self::F32) -> Self::F32 {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn round(self, a: Self::F32) -> Self::F32 {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn pow2n(self, n: Self::F32) -> Self::F32 {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn split(self, a: Self::F32) -> (Self::F32, Self::F32) {
        let mantissa = a.map(|a| f32::from_bits(a.to_bits() & 0x007F_FFFF | 0x3F80_0000));
        (mantissa, a.map(|a| ((a.to_bits() >> 23) as i32 - 127) as f32))
    }
    #[inline(always)]
    fn broadcast_in_quads<const I: i32>(self, a: Self::F32) -> Self::F32 {
        std::array::from_fn(|i| a[i / 4 * 4 + I as usize])
    }
    #[inline(always)]
    fn broadcast_in_octets(self, a: Self::F32, i: usize) -> Self::F32 {
        assert!(N.is_multiple_of(8), "a vector without groups of eight lanes");
        std::array::from_fn(|lane| a[lane / 8 * 8 + i])
    }
    #[inline(always)]
    fn reduce_add(self, a: Self::F32) -> f32 {
        // Adds halves, as the intrinsics do, so that the sums agree.
        let mut v = a;
        let mut width = N / 2;
        while width > 0 {
            for i in 0..width {
                v[i] += v[i + width];
            }
            width /= 2;
        }
        v[0]
    }
    #[inline(always)]
    fn reduce_max(self, a: Self::F32) -> f32 {
        a.iter().fold(f32::NEG_INFINITY, |m, &x| if m.is_nan() || m > x { m } else { x })
    }
    #[inline(always)]
    unsafe fn load(self, ptr: *const f32) -> Self::F32 {
        // SAFETY: valid for LANES floats by contract.
        unsafe { ptr.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_f16(self, ptr: *const f16) -> Self::F32 {
        // SAFETY: valid for LANES values by contract.
        let values = unsafe { ptr.cast::<[f16; N]>().read_unaligned() };
        values.map(f16::to_f32_const)
    }
    #[inline(always)]
    unsafe fn store(self, ptr: *mut f32, v: Self::F32) {
        // SAFETY: valid for LANES floats by contract.
        unsafe { ptr.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, ptr: *const f32, n: usize) -> Self::F32 {
        debug_assert!(n <= N);
        let mut v = [0.0; N];
        // A call instead of N branches, which increased compile time by minutes over all kernels.
        // SAFETY: n floats are valid by contract, and n <= N.
        unsafe { std::ptr::copy_nonoverlapping(ptr, v.as_mut_ptr(), n) };
        v
    }
    #[inline(always)]
    unsafe fn store_partial(self, ptr: *mut f32, v: Self::F32, n: usize) {
        debug_assert!(n <= N);
        // SAFETY: n floats are valid by contract, and n <= N.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), ptr, n) };
    }
    #[inline(always)]
    unsafe fn broadcast(self, ptr: *const f32) -> Self::F32 {
        // SAFETY: valid for one float by contract.
        [unsafe { *ptr }; N]
    }
}
