use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::kernels::reference::activation_f64;
use crate::kernels::testing::uniform;
use crate::kernels::testing::views::{
    Layout, close, filled, for_all, laid_out, layouts, random, run, run_in_place, same_bits, shapes, values,
};
use crate::tensor::Shape;

fn reference(op: BinaryOp, a: f32, b: f32) -> f64 {
    let (a, b) = (f64::from(a), f64::from(b));
    let pick = |x| if a.is_nan() || b.is_nan() { f64::NAN } else { x };
    let one_if = |yes: bool| f64::from(u8::from(yes));
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Maximum => pick(a.max(b)),
        BinaryOp::Minimum => pick(a.min(b)),
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Greater => one_if(a > b),
        BinaryOp::GreaterEqual => one_if(a >= b),
        BinaryOp::Less => one_if(a < b),
        BinaryOp::LessEqual => one_if(a <= b),
        BinaryOp::Equal => one_if(a == b),
        BinaryOp::NotEqual => one_if(a != b),
    }
}

/// The element of a view at the `i`-th element of the shape that it broadcasts to.
fn broadcast(view: View, memory: &[f32], to: Shape, mut i: usize) -> f32 {
    let strides = view.broadcast(to).strides;
    let mut offset = 0;
    for d in (0..to.rank()).rev() {
        offset += i % to[d] * strides[d];
        i /= to[d];
    }
    memory[offset]
}

fn check_binary(desc: &BinaryDesc) -> TestCaseResult {
    let shape = desc.output.shape;
    let left = random(desc.left, 1);
    let right = match desc.right {
        Operand::View(view) => Some(random(view, 2)),
        Operand::Scalar(_) => None,
    };
    for isa in Isa::available() {
        for threads in [1, 3] {
            let kernel = prepare_binary(desc, isa, threads).unwrap();
            let inputs: Vec<_> = std::iter::once(&left).chain(&right).collect();
            let found = run(&*kernel, &inputs, desc.output);
            for (i, &y) in found.iter().enumerate() {
                let a = broadcast(desc.left, &left, shape, i);
                let b = match desc.right {
                    Operand::View(view) => broadcast(view, right.as_ref().unwrap(), shape, i),
                    Operand::Scalar(x) => x,
                };
                let (a, b) = if desc.swapped { (b, a) } else { (a, b) };
                let before = reference(desc.op, a, b);
                let expected = activation_f64(desc.activation, before);
                let bound = 1e-6 * before.abs() + 1e-6 * expected.abs();
                prop_assert!(close(y, expected, bound), "{} {a} {b}: {y}, {expected}", kernel.name());
            }
        }
    }
    Ok(())
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        2 => Just(Activation::Identity),
        1 => Just(Activation::Relu),
        1 => Just(Activation::Sigmoid),
        1 => Just(Activation::Clamp { lo: -0.3, hi: 0.4 }),
    ]
}

#[test]
fn binary_with_broadcasting() {
    let views = (shapes(0..=6, 0..=4), layouts(), layouts(), layouts());
    let ones = (any::<[bool; 6]>(), any::<[bool; 6]>(), 0..7_usize, 0..7_usize);
    let op = prop::sample::select(BinaryOp::ALL.to_vec());
    for_all((views, ones, op, activations()), 400, |(views, ones, op, activation)| {
        let (shape, left, right, output) = views;
        let part = |ones: [bool; 6], skipped: usize, layout: Layout| {
            let skipped = skipped.saturating_sub(3).min(shape.rank());
            let dims: Vec<_> = (skipped..shape.rank()).map(|d| if ones[d] { 1 } else { shape[d] }).collect();
            laid_out(Shape::new(&dims), layout)
        };
        check_binary(&BinaryDesc {
            op,
            left: part(ones.0, ones.2, left),
            right: Operand::View(part(ones.1, ones.3, right)),
            swapped: ones.2 % 2 == 1,
            output: laid_out(shape, output),
            activation,
        })
    });
}

#[test]
fn binary_with_a_scalar_and_long_rows() {
    for op in BinaryOp::ALL {
        for dims in [&[2, 37, 9, 11][..], &[5000], &[3, 1500]] {
            let view = View::physical(Shape::new(dims));
            let right = Operand::Scalar(0.25);
            let activation = Activation::Identity;
            check_binary(&BinaryDesc { op, left: view, right, swapped: false, output: view, activation })
                .unwrap();
        }
    }
}

/// Squeeze and excitation: one value per picture and channel times a feature map.
#[test]
fn binary_with_a_gate() {
    let map = View::physical(Shape::new(&[2, 19, 5, 3]));
    let gate = View::physical(Shape::new(&[2, 19, 1, 1]));
    let activation = Activation::Identity;
    for (left, right) in [(map, gate), (gate, map)] {
        let right = Operand::View(right);
        check_binary(&BinaryDesc { op: BinaryOp::Mul, left, right, swapped: false, output: map, activation })
            .unwrap();
    }
}

#[test]
fn maximum_and_minimum_pass_nan_on_from_both_sides() {
    let view = View::physical(Shape::new(&[4]));
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let (a, b) = ([nan, 1.0, -inf, inf], [1.0, nan, 2.0, -inf]);
    let (left, right) = (filled(view, |i| a[i]), filled(view, |i| b[i]));
    for isa in Isa::available() {
        for (op, expected) in
            [(BinaryOp::Maximum, [nan, nan, 2.0, inf]), (BinaryOp::Minimum, [nan, nan, -inf, -inf])]
        {
            let right_view = Operand::View(view);
            let activation = Activation::Identity;
            let desc =
                BinaryDesc { op, left: view, right: right_view, swapped: false, output: view, activation };
            let kernel = prepare_binary(&desc, isa, 1).unwrap();
            assert!(same_bits(&run(&*kernel, &[&left, &right], view), &expected), "{}", kernel.name());
        }
    }
}

fn one_by_one(op: BinaryOp, a: &[f32], b: Operand, swapped: bool, isa: Isa) -> Vec<f32> {
    let view = View::physical(Shape::new(&[a.len()]));
    let left = filled(view, |i| a[i]);
    let desc =
        BinaryDesc { op, left: view, right: b, swapped, output: view, activation: Activation::Identity };
    run(&*prepare_binary(&desc, isa, 1).unwrap(), &[&left], view)
}

#[test]
fn comparisons_with_nan_and_ties() {
    let view = View::physical(Shape::new(&[6]));
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let (a, b) = ([nan, 1.0, nan, 2.0, -0.0, inf], [1.0, nan, nan, 2.0, 0.0, -inf]);
    let (left, right) = (filled(view, |i| a[i]), filled(view, |i| b[i]));
    for isa in Isa::available() {
        for (op, expected) in [
            (BinaryOp::Greater, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
            (BinaryOp::GreaterEqual, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
            (BinaryOp::Less, [0.0; 6]),
            (BinaryOp::LessEqual, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
            (BinaryOp::Equal, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
            (BinaryOp::NotEqual, [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
        ] {
            let (right_view, activation) = (Operand::View(view), Activation::Identity);
            let desc =
                BinaryDesc { op, left: view, right: right_view, swapped: false, output: view, activation };
            let kernel = prepare_binary(&desc, isa, 1).unwrap();
            assert_eq!(run(&*kernel, &[&left, &right], view), expected, "{}", kernel.name());
        }
    }
}

/// torch's results: for the constant exponents that it treats specially, those of roots and
/// quotients.
#[test]
fn powers_at_the_ends_of_the_range() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let bases = [-inf, inf, nan, 0.0, -0.0, 1.0, -1.0, 2.0, -8.0];
    for (exponent, expected) in [
        (0.5, [nan, inf, nan, 0.0, -0.0, 1.0, nan, 2.0_f32.sqrt(), nan]),
        (-0.5, [nan, 0.0, nan, inf, -inf, 1.0, nan, 0.5_f32.sqrt(), nan]),
        (2.0, [inf, inf, nan, 0.0, 0.0, 1.0, 1.0, 4.0, 64.0]),
        (3.0, [-inf, inf, nan, 0.0, -0.0, 1.0, -1.0, 8.0, -512.0]),
        (-1.0, [-0.0, 0.0, nan, inf, -inf, 1.0, -1.0, 0.5, -0.125]),
        (-2.0, [0.0, 0.0, nan, inf, inf, 1.0, 1.0, 0.25, 0.015_625]),
        (0.0, [1.0; 9]),
        (1.0, bases),
        (2.5, [inf, inf, nan, 0.0, 0.0, 1.0, nan, 5.656_854, nan]),
        (nan, [nan, nan, nan, nan, nan, 1.0, nan, nan, nan]),
        (inf, [inf, inf, nan, 0.0, 0.0, 1.0, 1.0, inf, inf]),
        (-inf, [0.0, 0.0, nan, inf, inf, 1.0, 1.0, 0.0, 0.0]),
    ] {
        for isa in Isa::available() {
            let found = one_by_one(BinaryOp::Pow, &bases, Operand::Scalar(exponent), false, isa);
            assert!(same_bits(&found, &expected), "{exponent} {}: {found:?}, {expected:?}", isa.name());
        }
    }
    for isa in Isa::available() {
        let found = one_by_one(BinaryOp::Pow, &bases, Operand::Scalar(-2.0), true, isa);
        let expected = [0.0, inf, nan, 1.0, 1.0, -2.0, -0.5, 4.0, 0.003_906_25];
        assert!(same_bits(&found, &expected), "-2 to {bases:?} {}: {found:?}", isa.name());
    }
}

#[test]
fn where_with_broadcasting() {
    let views = (shapes(0..=5, 0..=4), layouts(), layouts(), layouts(), layouts());
    let problems = (views, prop::array::uniform3(any::<[bool; 6]>()), 0..4_usize, activations());
    for_all(problems, 200, |((shape, a, b, c, output), ones, scalars, activation)| {
        let part = |k: usize, layout: Layout| {
            let dims: Vec<_> = (0..shape.rank()).map(|d| if ones[k][d] { 1 } else { shape[d] }).collect();
            laid_out(Shape::new(&dims), layout)
        };
        let (condition, left, right) = (part(0, a), part(1, b), part(2, c));
        let operand = |view, bit: usize| match scalars >> bit & 1 {
            0 => Operand::View(view),
            _ => Operand::Scalar(0.25),
        };
        let desc = WhereDesc {
            condition,
            left: operand(left, 0),
            right: operand(right, 1),
            output: laid_out(shape, output),
            activation,
        };
        // NaN and negative numbers count as true, and the unselected operand is arbitrary.
        let chosen = filled(condition, |i| [0.0, 1.0, -0.0, -2.0, f32::NAN][i % 5]);
        let taken = filled(left, |i| if i % 7 == 3 { f32::INFINITY } else { uniform(2, i) });
        let other = filled(right, |i| if i % 7 == 2 { f32::NAN } else { uniform(3, i) });
        let mut inputs = vec![&chosen];
        inputs.extend((scalars & 1 == 0).then_some(&taken));
        inputs.extend((scalars & 2 == 0).then_some(&other));
        for isa in Isa::available() {
            for threads in [1, 3] {
                let kernel = prepare_where(&desc, isa, threads).unwrap();
                let found = run(&*kernel, &inputs, desc.output);
                for (i, &y) in found.iter().enumerate() {
                    let of = |operand, memory| match operand {
                        Operand::View(view) => broadcast(view, memory, shape, i),
                        Operand::Scalar(x) => x,
                    };
                    let is_left = broadcast(condition, &chosen, shape, i) != 0.0;
                    let x = if is_left { of(desc.left, &taken) } else { of(desc.right, &other) };
                    let expected = activation_f64(activation, f64::from(x));
                    prop_assert!(close(y, expected, 1e-6), "{}: {y}, {expected}", kernel.name());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn an_activation_alone_also_in_place() {
    for_all(
        (shapes(0..=5, 0..=6), layouts(), layouts(), activations()),
        200,
        |(shape, from, to, activation)| {
            let (input, output) = (laid_out(shape, from), laid_out(shape, to));
            let memory = filled(input, |i| 4.0 * uniform(1, i));
            for isa in Isa::available() {
                let kernel = prepare_unary(&UnaryDesc { input, output, activation }, isa, 2);
                let found = run(&*kernel, &[&memory], output);
                for (&x, &y) in values(input, &memory).iter().zip(&found) {
                    let expected = activation_f64(activation, f64::from(x));
                    prop_assert!(close(y, expected, 1e-6), "{}: {x} gives {y}, {expected}", kernel.name());
                }
                let in_place = prepare_unary(&UnaryDesc { input, output: input, activation }, isa, 2);
                prop_assert!(same_bits(&found, &run_in_place(&*in_place, &memory, input)));
            }
            Ok(())
        },
    );
}

#[test]
fn batch_norm_and_prelu_by_channel() {
    let problems = (shapes(2..=5, 1..=7), layouts(), layouts(), activations(), any::<bool>());
    for_all(problems, 200, |(shape, from, to, activation, single)| {
        let (input, output) = (laid_out(shape, from), laid_out(shape, to));
        let memory = random(input, 1);
        let channels = shape[1];
        let inside: usize = shape[2..].iter().product();
        let vector = |seed: u64| (0..channels).map(|c| uniform(seed, c)).collect::<Vec<_>>();
        let (scale, shift) = (vector(2), vector(3));
        let weight = if single { &scale[..1] } else { &scale[..] };
        let desc = ChannelDesc { input, output, activation };
        for isa in Isa::available() {
            let affine = prepare_affine(&desc, &scale, &shift, isa, 2).unwrap();
            let prelu = prepare_prelu(&desc, weight, isa, 2).unwrap();
            let found = run(&*affine, &[&memory], output).into_iter().zip(run(&*prelu, &[&memory], output));
            for (i, (&x, (normed, bent))) in values(input, &memory).iter().zip(found).enumerate() {
                let c = i / inside % channels;
                let x = f64::from(x);
                let expected = activation_f64(activation, x * f64::from(scale[c]) + f64::from(shift[c]));
                prop_assert!(close(normed, expected, 1e-6), "{}: {normed}, {expected}", affine.name());
                let slope = f64::from(weight[if single { 0 } else { c }]);
                let expected = activation_f64(activation, if x > 0.0 { x } else { slope * x });
                prop_assert!(close(bent, expected, 1e-6), "{}: {bent}, {expected}", prelu.name());
            }
        }
        Ok(())
    });
}
