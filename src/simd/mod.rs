//! Vectors of `f32` behind a token that proves that the processor has them.
//!
//! An algorithm is written once, as the [`Vectorized::run`] of a struct that holds its arguments.
//! It is generic over a [`Simd`] token and `#[inline(always)]` down to the intrinsics.
//! [`Isa::dispatch`] runs it inside the one `#[target_feature]` function of an instruction set, so
//! the whole body is compiled with that instruction set's registers. Dispatch happens once per
//! chunk of work, never inside a loop.
//!
//! The language requires this structure: `#[target_feature]` is allowed neither on trait methods
//! nor together with `#[inline(always)]`. So one outer function enables the features, and
//! everything below is inlined into it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
mod isa;
mod portable;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use isa::Isa;
pub use portable::Portable;

use half::f16;

/// 1.5 * 2^23, plus the exponent bias of a float. If an integer is added to the former, the lowest
/// bits of the sum hold the integer.
#[cfg(target_arch = "x86_64")]
const BIASED: f32 = 12_582_912.0 + 127.0;

/// Floats of the widest vector. An array that is read or filled in whole vectors has room for this
/// many floats after its end.
pub const MOST_LANES: usize = 16;

/// Work written once for all tokens. `run` must be `#[inline(always)]`, and so must everything
/// that it calls with the token.
pub trait Vectorized {
    /// What the work returns.
    type Output;
    /// Do the work with the vectors of `S`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A token for an instruction set: owning one proves that the processor has it, so the
/// operations without pointers are safe.
///
/// # Safety
/// Implementors' constructors must check the processor's features.
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    /// A vector of [`Self::LANES`] floats.
    type F32: Copy;

    /// Floats in a vector: a multiple of 4, at most [`MOST_LANES`].
    const LANES: usize;
    /// Rows and columns of what [`Self::transpose`] transposes; [`Self::LANES`] is a multiple.
    const BLOCK: usize;
    /// Whether [`Self::fma`] rounds once.
    const FUSED: bool;
    /// The token's instruction set.
    const ISA: Isa;

    /// Run `work` as a separate function that is compiled for this instruction set. In a larger
    /// body, this gives a hot loop its own register allocation.
    fn call<V: Vectorized>(self, work: V) -> V::Output;

    /// A vector with `x` in all lanes.
    fn splat(self, x: f32) -> Self::F32;
    /// A vector of zeros.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }
    /// `a + b`
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once if the instruction set can ([`Self::FUSED`]).
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The larger one; **`b` where either is NaN**, so `max(zero, x)` propagates a NaN in `x`.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The smaller one; **`b` where either is NaN**.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Lane-wise `if a > b { t } else { f }` (false for NaN).
    fn select_gt(self, a: Self::F32, b: Self::F32, t: Self::F32, f: Self::F32) -> Self::F32;
    /// Lane-wise `if a is NaN { t } else { f }`.
    fn select_nan(self, a: Self::F32, t: Self::F32, f: Self::F32) -> Self::F32;
    /// The square root.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// Round to the nearest integer, halves to even.
    fn round(self, a: Self::F32) -> Self::F32;
    /// `2^n` for integral `n` in -126..=127; zero for -127 and infinity for 128.
    fn pow2n(self, n: Self::F32) -> Self::F32;
    /// `(m, e)` with `a = m * 2^e` and m in 1..2, for positive normal numbers.
    fn split(self, a: Self::F32) -> (Self::F32, Self::F32);
    /// Lane `I` of every aligned group of four lanes, broadcast to its group.
    fn broadcast_in_quads<const I: i32>(self, a: Self::F32) -> Self::F32;
    /// Lane `i < 8` of every aligned group of eight lanes, broadcast to its group.
    ///
    /// # Panics
    /// If [`Self::LANES`] is not a multiple of 8.
    fn broadcast_in_octets(self, a: Self::F32, i: usize) -> Self::F32;
    /// Sum over the lanes, in a fixed order.
    fn reduce_add(self, a: Self::F32) -> f32;
    /// Largest lane; NaN if any lane is NaN.
    fn reduce_max(self, a: Self::F32) -> f32;

    /// Load a vector; no alignment is required.
    ///
    /// # Safety
    /// `ptr` must be valid for reading [`Self::LANES`] floats.
    unsafe fn load(self, ptr: *const f32) -> Self::F32;
    /// Load a vector of float16 values, subnormals included, and widen them; no alignment is
    /// required.
    ///
    /// # Safety
    /// `ptr` must be valid for reading [`Self::LANES`] of them.
    unsafe fn load_f16(self, ptr: *const f16) -> Self::F32;
    /// Store a vector; no alignment is required.
    ///
    /// # Safety
    /// `ptr` must be valid for writing [`Self::LANES`] floats.
    unsafe fn store(self, ptr: *mut f32, v: Self::F32);
    /// Load `n <= LANES` floats; the other lanes are zero.
    ///
    /// # Safety
    /// `ptr` must be valid for reading `n` floats.
    unsafe fn load_partial(self, ptr: *const f32, n: usize) -> Self::F32;
    /// Store the first `n <= LANES` lanes.
    ///
    /// # Safety
    /// `ptr` must be valid for writing `n` floats.
    unsafe fn store_partial(self, ptr: *mut f32, v: Self::F32, n: usize);
    /// A vector with `*ptr` in all lanes.
    ///
    /// # Safety
    /// `ptr` must be valid for reading one float.
    unsafe fn broadcast(self, ptr: *const f32) -> Self::F32;
    /// Transpose a square of [`Self::BLOCK`] rows and columns; `steps` are the row strides of
    /// `from` and of `to`.
    ///
    /// # Safety
    /// So many rows of so many floats must be valid for reading at `from`, and for writing at `to`.
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, to: *mut f32, steps: [usize; 2]) {
        for r in 0..Self::BLOCK {
            for c in 0..Self::BLOCK {
                // SAFETY: the caller's contract.
                unsafe { *to.add(c * steps[1] + r) = *from.add(r * steps[0] + c) };
            }
        }
    }
    /// Prefetch the cache line at `ptr`, which may be any address, into the second-level cache:
    /// for data that is used after other work.
    #[inline(always)]
    fn prefetch(self, ptr: *const f32) {
        let _ = ptr;
    }
    /// Prefetch the cache line at `ptr`, which may be any address, into the first-level cache: for
    /// data that is read next.
    #[inline(always)]
    fn prefetch_near(self, ptr: *const f32) {
        let _ = ptr;
    }
    /// Prefetch the cache line at `ptr`, which may be any address, for writing. A store to a line
    /// that is in memory or in another core's cache would wait for it.
    #[inline(always)]
    fn prefetch_write(self, ptr: *mut f32) {
        let _ = ptr;
    }
}
