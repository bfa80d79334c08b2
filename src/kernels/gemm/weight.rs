//! What a panel's elements may be: a type to store, widened as it is loaded.

use half::f16;

use crate::simd::Simd;
use crate::tensor::Element;

/// The type of packed weights. Sums are float32 sums of the widened values, so that a float16 panel
/// gives the bits that a float32 panel of the same values gives.
pub trait Weight: Element {
    /// Load a vector; no alignment is needed.
    ///
    /// # Safety
    /// `ptr` must be valid for reading [`Simd::LANES`] elements.
    unsafe fn load<S: Simd>(s: S, ptr: *const Self) -> S::F32;
}

/// Copy `len` elements, whole vectors of them, to `to` in float32.
///
/// # Safety
/// `from` is valid for reading and `to` for writing so many.
#[inline(always)]
pub unsafe fn widen<S: Simd, W: Weight>(s: S, from: *const W, len: usize, to: *mut f32) {
    for i in (0..len).step_by(S::LANES) {
        // SAFETY: a whole vector is left.
        unsafe { s.store(to.add(i), W::load(s, from.add(i))) };
    }
}

impl Weight for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, ptr: *const Self) -> S::F32 {
        // SAFETY: by contract.
        unsafe { s.load(ptr) }
    }
}

impl Weight for f16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, ptr: *const Self) -> S::F32 {
        // SAFETY: by contract.
        unsafe { s.load_f16(ptr) }
    }
}
