//! The oracle against which kernels are tested: every operation in f64, by its definition.

use crate::kernels::Epilogue;
use crate::kernels::conv::ConvDesc;
use crate::tensor::Activation;

/// Gauss's error function, to about 1e-15: the Taylor series near zero, the continued fraction of
/// the complement elsewhere.
pub(crate) fn erf(x: f64) -> f64 {
    let square = x * x;
    if x.abs() < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80_u32 {
            term *= -square / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = x.abs();
    for n in (1..80_u32).rev() {
        fraction = x.abs() + 0.5 * f64::from(n) / fraction;
    }
    let complement = (-square).exp() / (fraction * std::f64::consts::PI.sqrt());
    (1.0 - complement).copysign(x)
}

/// A pointwise function.
pub(crate) fn activation_f64(activation: Activation, x: f64) -> f64 {
    // `f64::max` drops a NaN, torch does not.
    let clamp = |lo: f64, x: f64, hi: f64| if x.is_nan() { x } else { x.max(lo).min(hi) };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let elu = |x: f64, positive: f64, negative: f64, inner: f64| {
        if x > 0.0 { positive * x } else { negative * (inner * x).exp_m1() }
    };
    match activation {
        Activation::Identity => x,
        Activation::Relu => clamp(0.0, x, f64::INFINITY),
        Activation::Clamp { lo, hi } => clamp(f64::from(lo), x, f64::from(hi)),
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                x * f64::from(slope)
            }
        }
        Activation::Hardswish => x * clamp(0.0, x + 3.0, 6.0) / 6.0,
        Activation::Hardsigmoid => clamp(0.0, x + 3.0, 6.0) / 6.0,
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Elu { alpha } => elu(x, 1.0, f64::from(alpha), 1.0),
        Activation::Selu => elu(x, 1.050_700_987_355_480_5, 1.758_099_340_847_376_6, 1.0),
        Activation::Celu { alpha } => elu(x, 1.0, f64::from(alpha), 1.0 / f64::from(alpha)),
        Activation::Mish => x * x.exp().ln_1p().tanh(),
        Activation::Softplus { beta, threshold } => {
            let (beta, threshold) = (f64::from(beta), f64::from(threshold));
            if x * beta > threshold { x } else { (x * beta).exp().ln_1p() / beta }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Exp => x.exp(),
        Activation::Log => x.ln(),
        Activation::Sqrt => x.sqrt(),
        Activation::Abs => x.abs(),
    }
}

/// The expected result of a convolution.
pub(crate) struct Expected {
    /// The values, dense, in the order picture, row, column, channel.
    pub(crate) values: Vec<f64>,
    /// For each value, the sum of its terms' magnitudes; rounding errors are relative to it.
    pub(crate) magnitudes: Vec<f64>,
}

/// A convolution with its epilogue. `input` and `residual` begin at their view's first element;
/// `weights` are in torch's order `[oc, ic / groups, kh, kw]`.
pub(crate) fn conv_f64(
    desc: &ConvDesc,
    input: &[f32],
    weights: &[f32],
    epilogue: &Epilogue,
    residual: Option<&[f32]>,
) -> Expected {
    let (x, y) = (&desc.input, &desc.output);
    let (gi, go) = (desc.group_inputs(), desc.group_outputs());
    let [kernel_h, kernel_w] = desc.kernel;
    assert_eq!(weights.len(), y.channels * desc.depth());
    let inside = |at: usize, stride: usize, tap: usize, dilation: usize, before: usize, size: usize| {
        (at * stride + tap * dilation).checked_sub(before).filter(|&i| i < size)
    };
    let mut expected = Expected { values: Vec::new(), magnitudes: Vec::new() };
    for n in 0..y.batch {
        for oy in 0..y.height {
            for ox in 0..y.width {
                for oc in 0..y.channels {
                    let (mut sum, mut magnitude) = (0.0, 0.0);
                    for kh in 0..kernel_h {
                        let Some(iy) =
                            inside(oy, desc.stride[0], kh, desc.dilation[0], desc.padding.top, x.height)
                        else {
                            continue;
                        };
                        for kw in 0..kernel_w {
                            let Some(ix) =
                                inside(ox, desc.stride[1], kw, desc.dilation[1], desc.padding.left, x.width)
                            else {
                                continue;
                            };
                            for c in 0..gi {
                                let channel = oc / go * gi + c;
                                let value = input[x.at(n, iy, ix) + channel * x.channel_stride];
                                let weight = weights[((oc * gi + c) * kernel_h + kh) * kernel_w + kw];
                                let product = f64::from(value) * f64::from(weight);
                                sum += product;
                                magnitude += product.abs();
                            }
                        }
                    }
                    if let Some(scale) = &epilogue.scale {
                        sum *= f64::from(scale[oc]);
                        magnitude *= f64::from(scale[oc]).abs();
                    }
                    if let Some(shift) = &epilogue.shift {
                        sum += f64::from(shift[oc]);
                        magnitude += f64::from(shift[oc]).abs();
                    }
                    if let (Some(map), Some(residual)) = (&desc.residual, residual) {
                        let value = f64::from(residual[map.at(n, oy, ox) + oc * map.channel_stride]);
                        sum += value;
                        magnitude += value.abs();
                    }
                    expected.values.push(activation_f64(epilogue.activation, sum));
                    expected.magnitudes.push(magnitude);
                }
            }
        }
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_is_the_tabulated_function() {
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (-1.0, -0.842_700_792_949_714_9),
            (2.4, 0.999_311_486_103_354_9),
            (2.6, 0.999_763_965_583_470_7),
            (4.0, 0.999_999_984_582_742_1),
        ] {
            assert!((erf(x) - y).abs() < 1e-14, "erf({x}) = {}", erf(x));
        }
    }
}
