//! AVX2, FMA and F16C: eight lanes, sixteen registers.

use std::arch::asm;
use std::arch::x86_64::*;

use half::f16;

use super::{Isa, Simd, Vectorized};

/// Proof that the processor has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub struct Avx2 {
    _private: (),
}

impl Avx2 {
    /// The token, if the processor has the features.
    #[inline]
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Self { _private: () })
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn with_avx2<V: Vectorized>(token: Avx2, work: V) -> V::Output {
    work.run(token)
}

/// The same as a separate function. Rust 1.95 ignores `inline(never)` beside `target_feature`;
/// without this, the tiles of all sizes became one function with its accumulators in memory.
#[inline(never)]
fn apart<V: Vectorized>(token: Avx2, work: V) -> V::Output {
    // SAFETY: the token proves the features.
    unsafe { with_avx2(token, work) }
}

/// Lane masks for 0 to 8 leading lanes, read at an offset.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
fn mask(n: usize) -> __m256i {
    debug_assert!(n <= 8);
    // SAFETY: 8 - n <= 8, so eight lanes from there are within the sixteen; the callers' token
    // proves AVX.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - n).cast()) }
}

/// [`Simd::transpose`] in three rounds of shuffles: of neighbours, of pairs and of halves.
///
/// # Safety
/// As the method; the processor must have AVX.
#[inline(always)]
pub(super) unsafe fn transpose8(from: *const f32, to: *mut f32, [from_step, to_step]: [usize; 2]) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut rows = [_mm256_setzero_ps(); 8];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = _mm256_loadu_ps(from.add(r * from_step));
        }
        let mut pairs = rows;
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        let mut quads = pairs;
        for i in 0..2 {
            let [a, b, c, d] = [pairs[4 * i], pairs[4 * i + 1], pairs[4 * i + 2], pairs[4 * i + 3]];
            quads[4 * i] = _mm256_shuffle_ps::<0x44>(a, c);
            quads[4 * i + 1] = _mm256_shuffle_ps::<0xEE>(a, c);
            quads[4 * i + 2] = _mm256_shuffle_ps::<0x44>(b, d);
            quads[4 * i + 3] = _mm256_shuffle_ps::<0xEE>(b, d);
        }
        for i in 0..4 {
            _mm256_storeu_ps(to.add(i * to_step), _mm256_permute2f128_ps::<0x20>(quads[i], quads[i + 4]));
            _mm256_storeu_ps(
                to.add((i + 4) * to_step),
                _mm256_permute2f128_ps::<0x31>(quads[i], quads[i + 4]),
            );
        }
    }
}

// SAFETY: the only constructor detects the features. Each intrinsic below without a pointer is
// sound with them; those with a pointer have the trait method's contract.
unsafe impl Simd for Avx2 {
    type F32 = __m256;
    const LANES: usize = 8;
    const BLOCK: usize = 8;
    const FUSED: bool = true;
    const ISA: Isa = Isa::Avx2;

    #[inline(always)]
    fn call<V: Vectorized>(self, work: V) -> V::Output {
        apart(self, work)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the token proves FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn select_gt(self, a: __m256, b: __m256, t: __m256, f: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_blendv_ps(f, t, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    fn select_nan(self, a: __m256, t: __m256, f: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_blendv_ps(f, t, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn pow2n(self, n: __m256) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe {
            // The lowest bits of the sum are the exponent; the others are shifted out.
            let exponent = _mm256_add_ps(n, _mm256_set1_ps(super::BIASED));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(exponent)))
        }
    }
    #[inline(always)]
    fn split(self, a: __m256) -> (__m256, __m256) {
        // SAFETY: the token proves AVX2.
        unsafe {
            let mantissa = _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x007F_FFFF)));
            let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(a));
            let exponent = _mm256_sub_epi32(exponent, _mm256_set1_epi32(127));
            (_mm256_or_ps(mantissa, _mm256_set1_ps(1.0)), _mm256_cvtepi32_ps(exponent))
        }
    }
    #[inline(always)]
    fn broadcast_in_quads<const I: i32>(self, a: __m256) -> __m256 {
        // SAFETY: the token proves AVX. The immediates are I in each of the four fields.
        unsafe {
            match I {
                0 => _mm256_permute_ps::<0x00>(a),
                1 => _mm256_permute_ps::<0x55>(a),
                2 => _mm256_permute_ps::<0xAA>(a),
                _ => _mm256_permute_ps::<0xFF>(a),
            }
        }
    }
    #[inline(always)]
    fn broadcast_in_octets(self, a: __m256, i: usize) -> __m256 {
        // SAFETY: the token proves AVX2.
        unsafe { _mm256_permutevar8x32_ps(a, _mm256_set1_epi32(i as i32)) }
    }
    #[inline(always)]
    fn reduce_add(self, a: __m256) -> f32 {
        // SAFETY: the token proves AVX.
        unsafe {
            let v = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, a: __m256) -> f32 {
        // SAFETY: the token proves AVX.
        unsafe {
            if _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) != 0 {
                return f32::NAN;
            }
            let v = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn load(self, ptr: *const f32) -> __m256 {
        // SAFETY: the token proves AVX; the pointer is the caller's contract.
        unsafe { _mm256_loadu_ps(ptr) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, ptr: *const f16) -> __m256 {
        // SAFETY: the token proves F16C; the pointer is the caller's contract.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(ptr.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, ptr: *mut f32, v: __m256) {
        // SAFETY: the token proves AVX; the pointer is the caller's contract.
        unsafe { _mm256_storeu_ps(ptr, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(self, ptr: *const f32, n: usize) -> __m256 {
        // SAFETY: the token proves AVX; masked lanes are not touched.
        unsafe { _mm256_maskload_ps(ptr, mask(n)) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, ptr: *mut f32, v: __m256, n: usize) {
        // SAFETY: the token proves AVX; masked lanes are not touched.
        unsafe { _mm256_maskstore_ps(ptr, mask(n), v) }
    }
    #[inline(always)]
    unsafe fn broadcast(self, ptr: *const f32) -> __m256 {
        // SAFETY: the token proves AVX; the pointer is the caller's contract.
        unsafe { _mm256_broadcast_ss(&*ptr) }
    }
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, to: *mut f32, steps: [usize; 2]) {
        // SAFETY: the token proves AVX; the pointers are the caller's contract.
        unsafe { transpose8(from, to, steps) }
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
