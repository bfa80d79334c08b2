//! Functions of vectors: exp, tanh, sigmoid, `SiLU`, GELU, and those of [`transcendental`].
//!
//! Accuracy against f64, over the whole range: `exp`, `tanh` and `sigmoid` are within 3 units in
//! the last place (denormal results within one step, if the processor does not flush them);
//! infinities give the limits and NaN stays NaN. `silu` is within 5 units down to -87. `gelu` is
//! within 4e-7 of `|x|`, and for negative x also relative to its value until that is below 1e-6.

pub mod transcendental;

use crate::simd::Simd;

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, c: [f32; N]) -> S::F32 {
    let mut sum = s.splat(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = s.fma(sum, x, s.splat(c));
    }
    sum
}

/// The maximum, NaN if either is NaN (torch's `maximum`).
#[inline(always)]
pub fn maximum<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    s.select_nan(a, a, s.max(a, b))
}

/// The minimum, NaN if either is NaN (torch's `minimum`).
#[inline(always)]
pub fn minimum<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    s.select_nan(a, a, s.min(a, b))
}

/// The absolute value.
#[inline(always)]
pub fn abs<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.max(x, s.sub(s.zero(), x))
}

/// e^x
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// e to this is below half the smallest denormal, so it rounds to zero.
    const LOWEST: f32 = -104.0;
    /// e to this is above the largest finite float.
    const HIGHEST: f32 = 89.0;
    // The order of the operands propagates NaN.
    let (power, n) = exp_parts(s, s.min(s.splat(HIGHEST), s.max(s.splat(LOWEST), x)));
    // 2^n in two factors, since n ranges from -150 to 128.
    let half = s.round(s.mul(n, s.splat(0.5)));
    s.mul(s.mul(power, s.pow2n(half)), s.pow2n(s.sub(n, half)))
}

/// e^x for x of at most 0; zero where it is below 1.03 times the least normal number, 2^-126, which
/// does not affect a sum of such numbers with e^0.
#[inline(always)]
pub fn exp_of_negative<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// e to this is above 2^-126, so one power of two without denormals is enough.
    const LOWEST: f32 = -87.3;
    // The order of the operands propagates NaN.
    let clamped = s.max(s.splat(LOWEST), x);
    let (power, n) = exp_parts(s, clamped);
    s.select_gt(s.splat(LOWEST), x, s.zero(), s.mul(power, s.pow2n(n)))
}

/// ln 2 in two parts; the first has few enough bits that its product with an exponent is exact.
const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];

/// e^x as a power of e near one, and the exponent of the power of two that it must be multiplied
/// with.
#[inline(always)]
fn exp_parts<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    // Taylor series: the first omitted term is below 6e-9 of e^r for |r| <= ln 2 / 2.
    const TAYLOR: [f32; 8] =
        [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-LN2[0]), x);
    let r = s.fma(n, s.splat(-LN2[1]), r);
    (polynomial(s, r, TAYLOR), n)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // e^-|x| does not overflow, and small results keep their precision.
    let e = exp(s, s.sub(s.zero(), abs(s, x)));
    s.div(s.select_gt(x, s.zero(), s.splat(1.0), e), s.add(s.splat(1.0), e))
}

/// tanh x
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// From here 1 - 2 / (e^2x + 1) loses no precision to the subtraction.
    const SWITCH: f32 = 0.625;
    /// (tanh x - x) / x^3 in powers of x^2, fitted up to `SWITCH` (relative error of tanh 4e-9).
    const ODD: [f32; 5] = [-0.333_332_8, 0.133_314_42, -0.053_739_71, 0.020_639_08, -0.005_704_979_4];
    let a = abs(s, x);
    let square = s.mul(x, x);
    let near = s.fma(s.mul(x, square), polynomial(s, square, ODD), x);
    let quotient = s.div(s.splat(2.0), s.add(exp(s, s.add(a, a)), s.splat(1.0)));
    let far = s.sub(s.splat(1.0), quotient);
    let far = s.select_gt(x, s.zero(), far, s.sub(s.zero(), far));
    s.select_gt(a, s.splat(SWITCH), far, near)
}

/// x sigmoid(x)
#[inline(always)]
pub fn silu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    times_sigmoid(s, x, x)
}

/// x sigmoid(u), in which small results of the sigmoid need not be exact: within 5 units in their
/// last place. Whole networks apply it to every value, so it has as few steps as possible.
#[inline(always)]
fn times_sigmoid<S: Simd>(s: S, x: S::F32, u: S::F32) -> S::F32 {
    /// Between these, [`Simd::pow2n`] accepts the exponent n: e^-u is zero below 2^-126.5 and
    /// infinite above 2^127.5, and so, within a factor of two, are its sums with one.
    const LOWEST: f32 = -88.0;
    const HIGHEST: f32 = 88.7;
    /// e^r for |r| <= ln 2 / 2, fitted with the first two coefficients fixed (relative error 4e-9).
    const FITTED: [f32; 7] =
        [1.0, 1.0, 0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_745, 0.001_381_454];
    // The order of the operands propagates NaN.
    let minus = s.min(s.splat(HIGHEST), s.max(s.splat(LOWEST), s.sub(s.zero(), u)));
    let n = s.round(s.mul(minus, s.splat(std::f32::consts::LOG2_E)));
    let r = if S::FUSED {
        // One part of ln 2 is enough: it is so close to a float that n times it is off by at most
        // 2.5e-7.
        s.fma(n, s.splat(-std::f32::consts::LN_2), minus)
    } else {
        // The products are rounded.
        s.fma(n, s.splat(-LN2[1]), s.fma(n, s.splat(-LN2[0]), minus))
    };
    s.div(x, s.fma(polynomial(s, r, FITTED), s.pow2n(n), s.splat(1.0)))
}

/// x Phi(x) with the normal distribution function Phi.
#[inline(always)]
pub fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// erfc(t) is zero in single precision from here.
    const HIGHEST: f32 = 10.5;
    /// e^(t^2) erfc(t) in powers of w = 1 / (1 + 19/64 t), starting with the first, fitted for t in
    /// 0..10.5 (relative error 3e-8).
    const TAIL: [f32; 9] = [
        0.167_371_42,
        0.169_917_73,
        0.139_356_69,
        0.246_049_7,
        -0.180_049_87,
        0.688_593_4,
        -0.652_482_57,
        0.563_743_7,
        -0.142_500_19,
    ];
    let t = s.min(s.splat(HIGHEST), s.mul(abs(s, x), s.splat(std::f32::consts::FRAC_1_SQRT_2)));
    let w = s.div(s.splat(1.0), s.fma(t, s.splat(19.0 / 64.0), s.splat(1.0)));
    let scaled = s.mul(w, polynomial(s, w, TAIL));
    let tail = s.mul(s.mul(s.splat(0.5), scaled), exp_of_negative(s, s.sub(s.zero(), s.mul(t, t))));
    s.mul(x, s.select_gt(x, s.zero(), s.sub(s.splat(1.0), tail), tail))
}

/// `gelu`'s approximation by tanh, `x (1 + tanh u) / 2`, which is `x sigmoid(2 u)`.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    /// 2 sqrt(2 / pi)
    const FACTOR: f32 = 1.595_769;
    let cubic = s.fma(s.mul(s.mul(x, x), s.splat(0.044_715)), x, x);
    times_sigmoid(s, x, s.mul(cubic, s.splat(FACTOR)))
}

#[cfg(test)]
mod tests;
