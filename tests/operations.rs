//! Every operation: the shape of its result, and its values against the oracle, alone in a network.
//! The tests fail for an operation without a case here, or without a way from Python.

mod graph_oracle;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use graph_oracle::Value;
use rvision::graph::ops::{self, Conv2d, ConvPadding, ConvTranspose2d, Window};
use rvision::graph::passes::optimize;
use rvision::graph::{GraphBuilder, Op};
use rvision::plan::Network;
use rvision::tensor::{Activation, BinaryOp, EdgeMode, Param, ReduceOp, ResizeMode, Shape};

/// An operation, the shapes of its inputs and parameters (none for an absent one), and of its
/// result.
struct Case {
    op: Op,
    inputs: Vec<&'static [usize]>,
    params: Vec<Option<&'static [usize]>>,
    output: &'static [usize],
}

fn case(op: impl Into<Op>, inputs: &[&'static [usize]], output: &'static [usize]) -> Case {
    Case { op: op.into(), inputs: inputs.to_vec(), params: Vec::new(), output }
}

impl Case {
    fn with(mut self, params: &[Option<&'static [usize]>]) -> Self {
        self.params = params.to_vec();
        self
    }
}

const PLAIN: ConvTranspose2d =
    ConvTranspose2d { stride: [1, 1], padding: [0, 0], output_padding: [0, 0], dilation: [1, 1], groups: 1 };

const WINDOW: Window =
    Window { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1], dilation: [1, 1], ceil_mode: false };

fn cases() -> Vec<Case> {
    let conv =
        Conv2d { stride: [2, 1], padding: ConvPadding::Explicit([1, 0, 1, 2]), dilation: [1, 2], groups: 2 };
    let transposed = ConvTranspose2d {
        stride: [2, 3],
        padding: [1, 0],
        output_padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
    };
    // Kernels as wide as the stride; kernels that leave pixels without a sum; depthwise ones.
    let doubling = ConvTranspose2d { stride: [2, 2], padding: [0, 0], dilation: [1, 1], groups: 1, ..PLAIN };
    let sparse = ConvTranspose2d { stride: [3, 2], padding: [1, 3], dilation: [1, 2], groups: 1, ..PLAIN };
    let depthwise = ConvTranspose2d { stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 6, ..PLAIN };
    let map: &'static [usize] = &[2, 6, 5, 7];
    let mut cases = vec![
        case(ops::Constant, &[], &[3, 4]).with(&[Some(&[3, 4])]),
        case(ops::Identity, &[map], map),
        case(conv, &[map], &[2, 4, 3, 5]).with(&[Some(&[4, 3, 3, 3]), Some(&[4])]),
        case(transposed, &[map], &[2, 8, 10, 25]).with(&[Some(&[6, 4, 3, 3]), Some(&[8])]),
        case(doubling, &[map], &[2, 5, 10, 14]).with(&[Some(&[6, 5, 2, 2]), Some(&[5])]),
        case(sparse, &[map], &[2, 5, 12, 11]).with(&[Some(&[6, 5, 2, 3]), Some(&[5])]),
        case(depthwise, &[map], &[2, 6, 10, 14]).with(&[Some(&[6, 1, 4, 4]), None]),
        case(ops::Linear, &[&[2, 3, 5]], &[2, 3, 7]).with(&[Some(&[7, 5]), Some(&[7])]),
        case(ops::MatMul, &[&[2, 1, 3, 5], &[4, 5, 6]], &[2, 4, 3, 6]),
        case(
            ops::Attention { scale: None, masked: true },
            &[&[2, 3, 4, 5], &[2, 3, 6, 5], &[2, 3, 6, 7], &[4, 6]],
            &[2, 3, 4, 7],
        ),
        case(ops::BatchNorm { eps: 0.1 }, &[map], map).with(&[
            Some(&[6]),
            Some(&[6]),
            Some(&[6]),
            Some(&[6]),
        ]),
        case(ops::GroupNorm { groups: Some(2), eps: 0.1 }, &[map], map).with(&[Some(&[6]), Some(&[6])]),
        case(ops::GroupNorm { groups: None, eps: 0.1 }, &[map], map).with(&[None, None]),
        case(ops::LayerNorm { shape: vec![5, 7], eps: 0.1 }, &[map], map)
            .with(&[Some(&[5, 7]), Some(&[5, 7])]),
        case(ops::LocalResponseNorm { size: 3, alpha: 0.5, beta: 0.75, k: 2.0 }, &[map], map),
        case(ops::Normalize { dim: 1, eps: 1e-3 }, &[map], map),
        case(ops::PRelu, &[map], map).with(&[Some(&[6])]),
        case(ops::Softmax { dim: 1, log: false }, &[map], map),
        case(ops::Softmax { dim: 3, log: true }, &[map], map),
        case(ops::BinaryScalar { op: BinaryOp::Sub, scalar: 1.5, reversed: true }, &[map], map),
        case(ops::Where, &[map, &[6, 1, 1], &[7]], map),
        case(ops::MaxPool2d(WINDOW), &[map], &[2, 6, 3, 7]),
        case(
            ops::AvgPool2d { window: WINDOW, count_include_pad: true, divisor_override: None },
            &[map],
            &[2, 6, 3, 7],
        ),
        case(
            ops::AvgPool2d { window: WINDOW, count_include_pad: false, divisor_override: Some(5) },
            &[map],
            &[2, 6, 3, 7],
        ),
        case(ops::AdaptiveMaxPool2d { output: [Some(3), None] }, &[map], &[2, 6, 3, 7]),
        case(ops::AdaptiveAvgPool2d { output: [Some(2), Some(3)] }, &[map], &[2, 6, 2, 3]),
        case(ops::Mean { dims: vec![0, 2], keepdim: false }, &[map], &[6, 7]),
        case(ops::Reshape { dims: vec![ops::kept(0), -1, 3] }, &[map], &[2, 70, 3]),
        case(ops::Flatten { start: 1, end: 2 }, &[map], &[2, 30, 7]),
        case(ops::Unflatten { dim: 1, sizes: vec![2, -1] }, &[map], &[2, 2, 3, 5, 7]),
        case(ops::Permute { dims: vec![2, 0, 3, 1] }, &[map], &[5, 2, 7, 6]),
        case(ops::Expand { sizes: vec![4, -1, 5], like: false }, &[&[3, 1]], &[4, 3, 5]),
        case(ops::ExpandAs, &[&[3, 1], &[2, 3, 4]], &[2, 3, 4]),
        case(
            ops::Slice { dim: 2, start: Some(-4), stop: None, step: 3, index: false },
            &[map],
            &[2, 6, 2, 7],
        ),
        case(ops::Concat { dim: 1 }, &[map, &[2, 1, 5, 7]], &[2, 7, 5, 7]),
        case(ops::Pad { pads: vec![[0, 0], [1, 0], [0, 2], [1, 1]], value: 0.5 }, &[map], &[2, 7, 7, 9]),
        case(ops::Roll { shifts: vec![(2, 2), (3, -1)] }, &[map], map),
    ];
    let modes = [
        ResizeMode::Nearest,
        ResizeMode::NearestExact,
        ResizeMode::Linear { align_corners: false, antialias: false },
        ResizeMode::Linear { align_corners: true, antialias: false },
        ResizeMode::Linear { align_corners: false, antialias: true },
        ResizeMode::Cubic { align_corners: false, antialias: false },
        ResizeMode::Cubic { align_corners: true, antialias: false },
        ResizeMode::Cubic { align_corners: false, antialias: true },
    ];
    for mode in modes {
        let to = ops::ResizeTo::Size([8, 3]);
        cases.push(case(ops::Interpolate { mode, to }, &[map], &[2, 6, 8, 3]));
        let to = ops::ResizeTo::Scale { factors: [1.7, 2.0], recompute: false };
        cases.push(case(ops::Interpolate { mode, to }, &[map], &[2, 6, 8, 14]));
    }
    for mode in EdgeMode::ALL {
        let pads = vec![[0, 0], [0, 1], [2, 4], [3, 0]];
        cases.push(case(ops::PadEdges { pads, mode }, &[map], &[2, 7, 11, 10]));
    }
    for op in BinaryOp::ALL {
        cases.push(case(ops::Binary::new(op), &[&[2, 6, 1, 7], &[6, 5, 1]], map));
    }
    for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
        cases.push(case(ops::Reduce { op, dims: vec![1, 3], keepdim: true }, &[map], &[2, 1, 5, 1]));
    }
    for activation in [
        Activation::Relu,
        Activation::Clamp { lo: -0.5, hi: 0.25 },
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Hardswish,
        Activation::Hardsigmoid,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Elu { alpha: 0.7 },
        Activation::Selu,
        Activation::Celu { alpha: 0.3 },
        Activation::Mish,
        Activation::Softplus { beta: 2.0, threshold: 1.0 },
        Activation::Softsign,
        Activation::Exp,
        Activation::Log,
        Activation::Sqrt,
        Activation::Abs,
    ] {
        cases.push(case(activation, &[map], map));
    }
    cases
}

/// The variant's name: `Conv2d`.
fn variant(op: &Op) -> String {
    format!("{op:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Numbers that look random, from -1 to 1; above 0 where powers and logarithms want them.
fn ramp(shape: &[usize], salt: usize, positive: bool) -> Vec<f32> {
    let number = |i: usize| {
        let x = ((i * 7919 + salt * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0;
        if positive { x.abs() + 0.1 } else { x }
    };
    (0..shape.iter().product()).map(number).collect()
}

#[test]
fn every_operation_has_a_case() {
    let seen: BTreeSet<String> = cases().iter().map(|case| variant(&case.op)).collect();
    for name in Op::NAMES.iter().filter(|name| **name != "Input") {
        assert!(seen.contains(*name), "no case for {name} in tests/operations.rs");
    }
}

#[test]
fn every_operation_can_be_added_from_python() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src/python/builder.rs", "src/graph/builder.rs"]
        .map(|file| fs::read_to_string(root.join(file)).unwrap())
        .concat();
    for name in Op::NAMES {
        let made = [format!("ops::{name}"), format!(" {name} {{"), format!("{name},"), format!("({name}")];
        assert!(made.iter().any(|made| sources.contains(made)), "src/python/builder.rs never adds {name}");
    }
}

#[test]
fn every_operation_computes_what_it_means() {
    for Case { op, inputs, params, output } in cases() {
        let what = format!("{op:?}");
        let positive = matches!(op, Op::Activation(Activation::Log | Activation::Sqrt))
            || matches!(op, Op::Binary(ops::Binary { op: BinaryOp::Pow, .. }));
        let mut builder = GraphBuilder::new();
        let ids: Vec<_> = inputs.iter().map(|shape| builder.input("x", shape).unwrap()).collect();
        let param = |(salt, shape): (usize, Option<&[usize]>)| {
            // Variances are positive.
            let value = |shape: &[usize]| Param::new(Shape::new(shape), &ramp(shape, 50 + salt, salt == 3));
            shape.map(|shape| Arc::new(value(shape).unwrap()))
        };
        let params = params.into_iter().enumerate().map(param).collect();
        let y = builder.add("node", op, &ids, params).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(*builder.shape(y).unwrap(), *output, "{what}");
        builder.output(y).unwrap();
        let values: Vec<_> = inputs.iter().enumerate().map(|(i, shape)| ramp(shape, i, positive)).collect();
        let read = inputs.iter().zip(&values).map(|(shape, values)| Value {
            shape: Shape::new(shape),
            data: values.iter().map(|&v| v.into()).collect(),
        });
        let expected = graph_oracle::run(builder.traced(), &read.collect::<Vec<_>>());
        let network = Network::new(optimize(builder.traced().clone())).unwrap();
        let shapes: Vec<_> = inputs.iter().map(|shape| Shape::new(shape)).collect();
        let plan = network.plan(&shapes).unwrap();
        let mut found = vec![f32::NAN; expected[0].data.len()];
        let arrays: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        network.run(&plan, &arrays, &mut [&mut found], &mut || false).unwrap();
        let largest = expected[0].data.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        for (i, (&found, &expected)) in found.iter().zip(&expected[0].data).enumerate() {
            assert!(
                (f64::from(found) - expected).abs() <= 2e-6 * largest,
                "{what} at {i}: {found}, {expected}"
            );
        }
    }
}
