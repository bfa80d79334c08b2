//! The element types of panels: storage types, which are widened when loaded.

use half::f16;

use crate::simd::Simd;
use crate::tensor::Element;

/// The type of packed weights. Sums are float32 sums of the widened values, so a float16 panel
/// gives the same bits as a float32 panel of the same values.
pub trait Weight: Element {
    /// Loads a vector; no alignment is needed.
    ///
    /// # Safety
    /// `ptr` must be valid for reading [`Simd::LANES`] elements.
    unsafe fn load<S: Simd>(s: S, ptr: *const Self) -> S::F32;
}

/// Copies `len` elements, in whole vectors, to `to` in float32.
///
/// # Safety
/// `from` is valid for reading these elements, and `to` for writing them.
#[inline(always)]
pub unsafe fn widen<S: Simd, W: Weight>(s: S, from: *const W, len: usize, to: *mut f32) {
    for i in (0..len).step_by(S::LANES) {
        // SAFETY: a whole vector remains.
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
