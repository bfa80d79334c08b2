use super::*;
use crate::kernels::activation::{StoredRows, activate_rows};
use crate::kernels::reference::activation_f64;
use crate::kernels::testing::Guarded;
use crate::simd::{Isa, Vectorized};
use crate::tensor::Activation;

#[derive(Clone, Copy)]
enum Function {
    Exp,
    Expm1,
    Log1p,
    Activation(Activation),
}

struct Each<'a>(Function, &'a mut [f32]);

impl Vectorized for Each<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.1 {
            let v = s.splat(*x);
            let y = match self.0 {
                Function::Exp => exp(s, v),
                Function::Expm1 => transcendental::expm1(s, v),
                Function::Log1p => transcendental::log1p_of_positive(s, v),
                Function::Activation(_) => unreachable!("activations go over rows"),
            };
            // SAFETY: one float.
            unsafe { s.store_partial(x, y, 1) };
        }
    }
}

fn apply(isa: Isa, function: Function, x: &[f32]) -> Vec<f32> {
    let mut row = Guarded::poisoned(x.len());
    row.copy_from_slice(x);
    match function {
        // SAFETY: the row is a slice.
        Function::Activation(a) => unsafe {
            let rows = StoredRows::Every { first: row.as_mut_ptr(), stride: 0, count: 1 };
            activate_rows(isa, rows, x.len(), a);
        },
        function => isa.dispatch(Each(function, &mut row)),
    }
    row.to_vec()
}

/// Every 9973rd float, and special ones.
fn floats() -> Vec<f32> {
    let special = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        0.625,
        -0.625,
        88.722_84,
        88.73,
        -87.336_55,
        -103.97,
        -103.98,
        6.0,
        -3.0,
    ];
    let all = (0..=u32::MAX / 9973).map(|i| f32::from_bits(i * 9973)).filter(|x| !x.is_nan());
    special.into_iter().chain(all).collect()
}

/// Distance in steps of the floats around `expected`, denormals included.
fn ulps(found: f32, expected: f64) -> f64 {
    if found.is_nan() && expected.is_nan() || f64::from(found) == expected {
        return 0.0;
    }
    let rounded = expected as f32;
    if rounded.is_infinite() || found.is_infinite() {
        return if rounded == found { 0.0 } else { f64::INFINITY };
    }
    let exponent = (expected.abs().log2().floor() as i32).clamp(-126, 127);
    (f64::from(found) - expected).abs() / f64::from(exponent - 23).exp2()
}

fn largest_ulps(function: Function, reference: impl Fn(f64) -> f64) {
    largest_ulps_of(function, &floats(), 3.0, reference);
}

fn largest_ulps_of(function: Function, x: &[f32], bound: f64, reference: impl Fn(f64) -> f64) {
    for isa in Isa::available() {
        let found = apply(isa, function, x);
        let mut worst = (0.0, 0.0, 0.0);
        for (&x, &y) in x.iter().zip(&found) {
            let error = ulps(y, reference(f64::from(x)));
            assert!(!error.is_nan(), "{x:e} gives {y:e}");
            if error > worst.0 {
                worst = (error, x, y);
            }
        }
        assert!(worst.0 <= bound, "{}: {} ulp at {:e}: {:e}", isa.name(), worst.0, worst.1, worst.2);
    }
}

#[test]
fn exp_within_three_ulp() {
    largest_ulps(Function::Exp, f64::exp);
}

#[test]
fn tanh_within_three_ulp() {
    largest_ulps(Function::Activation(Activation::Tanh), f64::tanh);
}

#[test]
fn sigmoid_within_three_ulp() {
    largest_ulps(Function::Activation(Activation::Sigmoid), |x| {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    });
}

#[test]
fn expm1_and_logarithms_within_three_ulp() {
    largest_ulps(Function::Expm1, f64::exp_m1);
    largest_ulps(Function::Activation(Activation::Log), f64::ln);
    largest_ulps(Function::Activation(Activation::Exp), f64::exp);
    let positive: Vec<f32> = floats().into_iter().filter(|x| x.is_nan() || *x >= 0.0).collect();
    largest_ulps_of(Function::Log1p, &positive, 3.0, f64::ln_1p);
}

#[test]
fn roots_magnitudes_and_softsign_within_one_ulp() {
    largest_ulps_of(Function::Activation(Activation::Sqrt), &floats(), 0.51, f64::sqrt);
    largest_ulps_of(Function::Activation(Activation::Abs), &floats(), 0.0, f64::abs);
    let finite: Vec<f32> = floats().into_iter().filter(|x| x.is_finite()).collect();
    largest_ulps_of(Function::Activation(Activation::Softsign), &finite, 1.5, |x| x / (1.0 + x.abs()));
}

/// Arguments for which the results, and e^x in `Mish` and `Softplus`, are not denormal.
#[test]
fn activations_of_exp_and_log_within_six_ulp() {
    let x: Vec<f32> = floats().into_iter().filter(|x| x.is_finite() && x.abs() < 1e36).collect();
    let (tiny, least) = (f64::from(f32::MIN_POSITIVE), -80.0);
    for activation in [
        Activation::Elu { alpha: 1.0 },
        Activation::Elu { alpha: 0.3 },
        Activation::Selu,
        Activation::Celu { alpha: 1.3 },
        Activation::Celu { alpha: 0.25 },
        Activation::Mish,
        Activation::Softplus { beta: 1.0, threshold: 20.0 },
        Activation::Softplus { beta: 2.5, threshold: 5.0 },
        Activation::Softplus { beta: 0.5, threshold: 30.0 },
    ] {
        let reaches = |x: f32| match activation {
            Activation::Mish => x > least,
            Activation::Softplus { beta, .. } => x * beta > least,
            _ => true,
        };
        let x: Vec<f32> = x
            .iter()
            .copied()
            .filter(|&x| reaches(x) && activation_f64(activation, f64::from(x)).abs() > tiny)
            .collect();
        // The argument of `Celu`'s and `Softplus`'s exponential is rounded first.
        let argument = |x: f32| match activation {
            Activation::Celu { alpha } => f64::from((x / alpha).min(0.0)).abs(),
            Activation::Softplus { beta, .. } => f64::from(x * beta).abs(),
            _ => 0.0,
        };
        for isa in Isa::available() {
            for (&x, y) in x.iter().zip(apply(isa, Function::Activation(activation), &x)) {
                let error = ulps(y, activation_f64(activation, f64::from(x)));
                let bound = 6.0 + argument(x).min(80.0);
                assert!(error <= bound, "{activation:?} {}: {error} ulp at {x:e}: {y:e}", isa.name());
            }
        }
    }
}

/// Down to where e^-x of its denominator is near the largest float.
#[test]
fn silu_within_five_ulp() {
    let x: Vec<f32> = floats().into_iter().filter(|x| x.is_finite() && *x > -87.0).collect();
    for isa in Isa::available() {
        for (&x, y) in x.iter().zip(apply(isa, Function::Activation(Activation::Silu), &x)) {
            let error = ulps(y, activation_f64(Activation::Silu, f64::from(x)));
            assert!(error <= 5.0, "{}: {error} ulp at {x:e}: {y:e}", isa.name());
        }
    }
}

#[test]
fn the_other_activations_within_rounding_of_their_argument() {
    let x: Vec<f32> = floats().into_iter().filter(|x| x.is_finite()).collect();
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::Clamp { lo: 0.0, hi: 6.0 },
        Activation::LeakyRelu { slope: 0.01 },
        Activation::Hardswish,
        Activation::Hardsigmoid,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
    ] {
        for isa in Isa::available() {
            // x + 3 and the products of Hardswish overflow at the very end of the range, as in
            // torch.
            let found = apply(isa, Function::Activation(activation), &x);
            for (&x, &y) in x.iter().zip(&found).filter(|(x, _)| x.abs() < 1e37) {
                let expected = activation_f64(activation, f64::from(x));
                let bound = 4e-7 * f64::from(x).abs() + 1e-6 * expected.abs() + 1e-44;
                assert!(
                    (f64::from(y) - expected).abs() <= bound,
                    "{activation:?} {}: {x:e} gives {y:e}, expected {expected:e}",
                    isa.name(),
                );
            }
        }
    }
}

/// torch's results at the ends of the range (NaN where it gives NaN).
#[test]
fn infinities_and_nan_as_torch() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [-inf, inf, nan];
    for (activation, expected) in [
        (Activation::Relu, [0.0, inf, nan]),
        (Activation::Clamp { lo: 0.0, hi: 6.0 }, [0.0, 6.0, nan]),
        (Activation::LeakyRelu { slope: 0.01 }, [-inf, inf, nan]),
        (Activation::Hardswish, [nan, inf, nan]),
        (Activation::Hardsigmoid, [0.0, 1.0, nan]),
        (Activation::Tanh, [-1.0, 1.0, nan]),
        (Activation::Sigmoid, [0.0, 1.0, nan]),
        (Activation::Silu, [nan, inf, nan]),
        (Activation::Gelu, [nan, inf, nan]),
        (Activation::GeluTanh, [nan, inf, nan]),
        (Activation::Elu { alpha: 0.5 }, [-0.5, inf, nan]),
        (Activation::Selu, [-1.758_099_3, inf, nan]),
        (Activation::Celu { alpha: 1.3 }, [-1.3, inf, nan]),
        (Activation::Celu { alpha: -1.0 }, [-inf, inf, nan]),
        (Activation::Mish, [nan, inf, nan]),
        (Activation::Softplus { beta: 1.0, threshold: 20.0 }, [0.0, inf, nan]),
        (Activation::Softplus { beta: -2.0, threshold: 10.0 }, [-inf, 0.0, nan]),
        (Activation::Softplus { beta: 0.0, threshold: 20.0 }, [nan, nan, nan]),
        (Activation::Softplus { beta: 1.0, threshold: inf }, [0.0, inf, nan]),
        (Activation::Softsign, [nan, nan, nan]),
        (Activation::Exp, [0.0, inf, nan]),
        (Activation::Log, [nan, inf, nan]),
        (Activation::Sqrt, [nan, inf, nan]),
        (Activation::Abs, [inf, inf, nan]),
    ] {
        for isa in Isa::available() {
            let found = apply(isa, Function::Activation(activation), &x);
            let same = found.iter().zip(&expected).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
            assert!(same, "{activation:?} {}: {found:?}, expected {expected:?}", isa.name());
        }
    }
}

/// torch's results for both zeros, a denormal number and a negative one.
#[test]
fn zeros_keep_their_signs() {
    let x = [0.0, -0.0, -1e-45, -4.0];
    for (activation, expected) in [
        (Activation::Elu { alpha: 1.0 }, [0.0, -0.0, -1e-45, -0.981_684_4]),
        (Activation::Selu, [0.0, -0.0, -3e-45, -1.725_898_6]),
        (Activation::Mish, [0.0, -0.0, -1e-45, -0.072_591_73]),
        (Activation::Softsign, [0.0, -0.0, -1e-45, -0.8]),
        (Activation::Log, [f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NAN, f32::NAN]),
        (Activation::Sqrt, [0.0, -0.0, f32::NAN, f32::NAN]),
        (Activation::Abs, [0.0, 0.0, 1e-45, 4.0]),
    ] {
        for isa in Isa::available() {
            let found = apply(isa, Function::Activation(activation), &x);
            let same = found.iter().zip(&expected).all(|(&a, &b)| {
                // Six units in the last place, the accuracy that these functions state.
                let near = (a - b).abs() <= 4e-7 * b.abs() + 3e-45 || a == b;
                a.is_nan() && b.is_nan() || near && a.is_sign_negative() == b.is_sign_negative()
            });
            assert!(same, "{activation:?} {}: {found:?}, expected {expected:?}", isa.name());
        }
    }
}

#[test]
fn a_value_does_not_depend_on_its_place() {
    for activation in [
        Activation::Gelu,
        Activation::Tanh,
        Activation::Silu,
        Activation::Hardswish,
        Activation::Mish,
        Activation::Elu { alpha: 1.0 },
        Activation::Log,
    ] {
        for isa in Isa::available() {
            let alone = apply(isa, Function::Activation(activation), &[0.7]);
            for len in 1..40 {
                let row = apply(isa, Function::Activation(activation), &vec![0.7; len]);
                assert!(row.iter().all(|&x| x == alone[0]));
            }
        }
    }
}
