//! AVX-512: sixteen lanes, thirty-two registers.

use std::arch::asm;
use std::arch::x86_64::*;

use half::f16;

use super::{Isa, Simd, Vectorized};

/// Proof that the processor has AVX-512 F, BW, DQ and VL, AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx512 {
    _private: (),
}

impl Avx512 {
    /// The token, if the processor has the features.
    #[inline]
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma"))
        .then_some(Self { _private: () })
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn with_avx512<V: Vectorized>(token: Avx512, work: V) -> V::Output {
    work.run(token)
}

/// The same as a separate function. Rust 1.95 ignores `inline(never)` beside `target_feature`;
/// without this, the tiles of all sizes became one function with its accumulators in memory.
#[inline(never)]
fn apart<V: Vectorized>(token: Avx512, work: V) -> V::Output {
    // SAFETY: the token proves the features.
    unsafe { with_avx512(token, work) }
}

#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    debug_assert!(n <= 16);
    ((1_u32 << n) - 1) as __mmask16
}

// SAFETY: the only constructor detects the features. Each intrinsic below without a pointer is
// sound with them; those with a pointer have the trait method's contract.
unsafe impl Simd for Avx512 {
    type F32 = __m512;
    const LANES: usize = 16;
    const BLOCK: usize = 8;
    const FUSED: bool = true;
    const ISA: Isa = Isa::Avx512;

    #[inline(always)]
    fn call<V: Vectorized>(self, work: V) -> V::Output {
        apart(self, work)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn select_gt(self, a: __m512, b: __m512, t: __m512, f: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), f, t) }
    }
    #[inline(always)]
    fn select_nan(self, a: __m512, t: __m512, f: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), f, t) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2n(self, n: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe {
            // The lowest bits of the sum are the exponent; the others are shifted out.
            let exponent = _mm512_add_ps(n, _mm512_set1_ps(super::BIASED));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(exponent)))
        }
    }
    #[inline(always)]
    fn split(self, a: __m512) -> (__m512, __m512) {
        // SAFETY: the token proves AVX-512.
        unsafe { (_mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_ZERO>(a), _mm512_getexp_ps(a)) }
    }
    #[inline(always)]
    fn broadcast_in_quads<const I: i32>(self, a: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512. The immediates are I in each of the four fields.
        unsafe {
            match I {
                0 => _mm512_permute_ps::<0x00>(a),
                1 => _mm512_permute_ps::<0x55>(a),
                2 => _mm512_permute_ps::<0xAA>(a),
                _ => _mm512_permute_ps::<0xFF>(a),
            }
        }
    }
    #[inline(always)]
    fn broadcast_in_octets(self, a: __m512, i: usize) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe {
            let halves = _mm512_set_epi32(8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0);
            _mm512_permutexvar_ps(_mm512_add_epi32(halves, _mm512_set1_epi32(i as i32)), a)
        }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m512) -> f32 {
        // SAFETY: the token proves AVX-512 DQ.
        let half = unsafe { _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)) };
        // SAFETY: the token proves AVX-512.
        unsafe {
            let v = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m512) -> f32 {
        // SAFETY: the token proves AVX-512.
        unsafe {
            if _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a) != 0 {
                return f32::NAN;
            }
            let half = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            let v = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn load(self, ptr: *const f32) -> __m512 {
        // SAFETY: the token proves AVX-512; the pointer is the caller's contract.
        unsafe { _mm512_loadu_ps(ptr) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, ptr: *const f16) -> __m512 {
        // SAFETY: the token proves AVX-512; the pointer is the caller's contract.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(ptr.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, ptr: *mut f32, v: __m512) {
        // SAFETY: the token proves AVX-512; the pointer is the caller's contract.
        unsafe { _mm512_storeu_ps(ptr, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, ptr: *const f32, n: usize) -> __m512 {
        // SAFETY: the token proves AVX-512; masked lanes are not touched.
        unsafe { _mm512_maskz_loadu_ps(mask(n), ptr) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, ptr: *mut f32, v: __m512, n: usize) {
        // SAFETY: the token proves AVX-512; masked lanes are not touched.
        unsafe { _mm512_mask_storeu_ps(ptr, mask(n), v) }
    }
    #[inline(always)]
    unsafe fn broadcast(self, ptr: *const f32) -> __m512 {
        // SAFETY: the token proves AVX-512; the pointer is the caller's contract.
        unsafe { _mm512_set1_ps(*ptr) }
    }
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, to: *mut f32, steps: [usize; 2]) {
        // SAFETY: the token proves AVX; the pointers are the caller's contract.
        unsafe { super::avx2::transpose8(from, to, steps) }
    }
    #[inline(always)]
    fn prefetch(self, ptr: *const f32) {
        // SAFETY: a prefetch does not access memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(ptr.cast()) }
    }
    #[inline(always)]
    fn prefetch_near(self, ptr: *const f32) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr.cast()) }
    }
    #[inline(always)]
    fn prefetch_write(self, ptr: *mut f32) {
        // SAFETY: as above; processors without the instruction execute it as a no-op.
        unsafe { asm!("prefetchw [{}]", in(reg) ptr, options(nostack, preserves_flags)) }
    }
}
