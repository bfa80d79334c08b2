//! exp(x) - 1, logarithms and powers of vectors, and the activations that use them.
//!
//! Accuracy against f64, over the whole range: `expm1`, `log` and `log1p` are within 3 units in the
//! last place. Infinities give the limits and NaN stays NaN.

use super::{LN2, abs, exp, polynomial};
use crate::simd::{MOST_LANES, Simd};

/// e^x - 1, with full relative accuracy near zero.
#[inline(always)]
pub fn expm1<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// e to this is far below half a unit in the last place of one.
    const LOWEST: f32 = -86.0;
    /// e to this is above the largest finite float.
    const HIGHEST: f32 = 89.0;
    /// Below this magnitude, x is the result; a product would lose its sign and denormal bits.
    const LEAST: f32 = 1.0 / (1 << 26) as f32;
    /// (e^r - 1 - r) / r^2 by its Taylor series: the first omitted term is below 2e-9 of e^r - 1
    /// for
    /// |r| <= ln 2 / 2.
    const TAYLOR: [f32; 7] =
        [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0, 1.0 / 40320.0];
    // The order of the operands propagates NaN.
    let clamped = s.min(s.splat(HIGHEST), s.max(s.splat(LOWEST), x));
    let n = s.round(s.mul(clamped, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-LN2[0]), clamped);
    let r = s.fma(n, s.splat(-LN2[1]), r);
    let near = s.fma(s.mul(r, r), polynomial(s, r, TAYLOR), r);
    // 2^n (near + 1) - 1, at half the magnitude, since 2^128 is not a float.
    let half = s.pow2n(s.sub(n, s.splat(1.0)));
    let y = s.fma(near, half, s.sub(half, s.splat(0.5)));
    s.select_gt(abs(s, x), s.splat(LEAST), s.add(y, y), x)
}

/// The natural logarithm: negative infinity of zero, NaN of negative numbers.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// A power of two that scales a denormal number to a normal one.
    const SCALE: f32 = (1 << 24) as f32;
    let denormal = |yes, no| s.select_gt(s.splat(f32::MIN_POSITIVE), x, yes, no);
    let (m, e) = s.split(denormal(s.mul(x, s.splat(SCALE)), x));
    let e = s.sub(e, denormal(s.splat(24.0), s.zero()));
    let y = log_of_parts(s, m, e);
    // Arguments that `split` does not handle.
    let y = s.select_gt(x, s.splat(f32::MAX), x, y);
    let zero = s.select_nan(x, x, s.splat(f32::NEG_INFINITY));
    s.select_gt(x, s.zero(), y, s.select_gt(s.zero(), x, s.splat(f32::NAN), zero))
}

/// log(m 2^e) for m in 1..2.
#[inline(always)]
fn log_of_parts<S: Simd>(s: S, m: S::F32, e: S::F32) -> S::F32 {
    /// With f = m - 1 and q = f / (2 + f), log m = 2 (q + q^3 / 3 + q^5 / 5 + ...); these are the
    /// coefficients from q^2. The first omitted term is below 1e-10 of log m.
    const ODD: [f32; 5] = [2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0, 2.0 / 11.0];
    let root = s.splat(std::f32::consts::SQRT_2);
    let f = s.sub(s.select_gt(m, root, s.mul(m, s.splat(0.5)), m), s.splat(1.0));
    let e = s.select_gt(m, root, s.add(e, s.splat(1.0)), e);
    let q = s.div(f, s.add(f, s.splat(2.0)));
    let square = s.mul(q, q);
    let series = s.mul(square, polynomial(s, square, ODD));
    // f is exact and most of log m. The amount subtracted from it is small.
    let half = s.mul(s.mul(f, f), s.splat(0.5));
    let correction = s.fma(e, s.splat(LN2[1]), s.mul(q, s.add(half, series)));
    s.fma(e, s.splat(LN2[0]), s.sub(f, s.sub(half, correction)))
}

/// log(1 + x) for x of at least 0, with full relative accuracy near zero.
#[inline(always)]
pub fn log1p_of_positive<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// From here 1 + x is x, or the nearest float to it.
    const LARGE: f32 = (1 << 25) as f32;
    let sum = s.add(s.splat(1.0), x);
    // The rounding error of the sum: log(sum + d) is log(sum) + d / sum.
    let rest = s.div(s.sub(x, s.sub(sum, s.splat(1.0))), sum);
    let rest = s.select_gt(x, s.splat(LARGE), s.zero(), rest);
    s.add(log(s, sum), rest)
}

/// a^b by C's rules, as torch's `pow` of two tensors. No network applies it to many values, so the
/// lanes are computed one by one.
#[inline(always)]
pub fn pow<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    let (mut base, mut exponent) = ([0.0_f32; MOST_LANES], [0.0_f32; MOST_LANES]);
    // SAFETY: no vector has more lanes.
    unsafe {
        s.store(base.as_mut_ptr(), a);
        s.store(exponent.as_mut_ptr(), b);
        for (x, y) in base[..S::LANES].iter_mut().zip(exponent) {
            *x = x.powf(y);
        }
        s.load(base.as_ptr())
    }
}

/// `positive` x where that is positive, else `negative` (e^(`inner` x) - 1): torch's `elu`, `selu`
/// and `celu`.
#[inline(always)]
pub fn elu<S: Simd>(s: S, x: S::F32, [positive, negative, inner]: [f32; 3]) -> S::F32 {
    let below = s.mul(expm1(s, s.mul(x, s.splat(inner))), s.splat(negative));
    s.select_gt(x, s.zero(), s.mul(x, s.splat(positive)), below)
}

/// x where `beta` x is above the threshold, else log(1 + e^(`beta` x)) / `beta`.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::F32, beta: f32, threshold: f32) -> S::F32 {
    let scaled = s.mul(x, s.splat(beta));
    let y = s.div(log1p_of_positive(s, exp(s, scaled)), s.splat(beta));
    s.select_gt(scaled, s.splat(threshold), x, y)
}

/// x tanh(log(1 + e^x)), which is x n / (n + 2) with n = e^x (e^x + 2).
#[inline(always)]
pub fn mish<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// From here n / (n + 2) is one.
    const HIGHEST: f32 = 20.0;
    // The order of the operands propagates NaN.
    let e = exp(s, s.min(s.splat(HIGHEST), x));
    let n = s.mul(e, s.add(e, s.splat(2.0)));
    s.mul(x, s.div(n, s.add(n, s.splat(2.0))))
}

/// x / (1 + |x|)
#[inline(always)]
pub fn softsign<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(x, s.add(s.splat(1.0), abs(s, x)))
}
