//! Graphs are checked while they are built: what is accepted, and the errors for the rest.

use std::sync::Arc;

use rvision::graph::ops::{self, Conv2d, ConvPadding, Window};
use rvision::graph::{GraphBuilder, NodeId, Op, infer_shapes};
use rvision::tensor::{Activation, BinaryOp, Param, Shape};

fn param(shape: &[usize]) -> Option<Arc<Param>> {
    let shape = Shape::new(shape);
    Param::new(shape, &vec![1.0; shape.numel()]).ok().map(Arc::new)
}

fn conv(stride: usize, padding: usize, groups: usize) -> Op {
    Op::Conv2d(Conv2d {
        stride: [stride; 2],
        padding: ConvPadding::Explicit([padding; 4]),
        dilation: [1, 1],
        groups,
    })
}

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 4],
        dilation: [1, 1],
        ceil_mode: false,
    }
}

/// A builder with one input.
fn with_input(shape: &[usize]) -> (GraphBuilder, NodeId) {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", shape).unwrap();
    (builder, x)
}

/// The error for an operation on one value of `shape`.
fn complaint(shape: &[usize], op: Op, params: Vec<Option<Arc<Param>>>) -> String {
    let (mut builder, x) = with_input(shape);
    builder.add("layer1.0.node", op, &[x], params).unwrap_err().to_string()
}

#[test]
fn shapes_follow_the_trace_and_other_sizes_alike() {
    let (mut builder, x) = with_input(&[1, 3, 224, 224]);
    let c = builder.add("conv1", conv(2, 3, 1), &[x], vec![param(&[64, 3, 7, 7]), None]).unwrap();
    let r = builder.add("relu", Op::Activation(Activation::Relu), &[c], vec![]).unwrap();
    let p = builder.add("maxpool", Op::MaxPool2d(ops::MaxPool2d(window(3, 2, 1))), &[r], vec![]).unwrap();
    let a = builder
        .add(
            "avgpool",
            Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] }),
            &[p],
            vec![],
        )
        .unwrap();
    let f = builder.flatten("flatten", a, 1, -1).unwrap();
    let y = builder.add("fc", Op::Linear(ops::Linear), &[f], vec![param(&[10, 64]), param(&[10])]).unwrap();
    builder.output(y).unwrap();

    assert_eq!(builder.shape(c).unwrap(), Shape::new(&[1, 64, 112, 112]));
    assert_eq!(builder.shape(p).unwrap(), Shape::new(&[1, 64, 56, 56]));
    assert_eq!(builder.shape(y).unwrap(), Shape::new(&[1, 10]));

    let shapes = infer_shapes(builder.traced(), &[Shape::new(&[0, 3, 193, 225])]).unwrap();
    assert_eq!(shapes[p.0], Shape::new(&[0, 64, 49, 57]));
    assert_eq!(shapes[y.0], Shape::new(&[0, 10]));
}

#[test]
fn names_get_torchvisions_suffixes() {
    let (mut builder, x) = with_input(&[1, 4]);
    let names: Vec<_> = ["relu", "relu", "relu_1", "relu", "x"]
        .iter()
        .map(|name| {
            let id = builder.add(name, Op::Activation(Activation::Relu), &[x], vec![]).unwrap();
            builder.name(id).unwrap().to_owned()
        })
        .collect();
    assert_eq!(names, ["relu", "relu_1", "relu_1_1", "relu_2", "x_1"]);
}

#[test]
fn a_wrong_input_is_blamed_on_the_layer() {
    assert_eq!(
        complaint(&[1, 128, 56, 56], conv(1, 1, 1), vec![param(&[64, 64, 3, 3]), None]),
        "layer1.0.node: weight expects 64 input channels, got 128 (input (1, 128, 56, 56))"
    );
    assert_eq!(
        complaint(&[2, 2048], Op::Linear(ops::Linear), vec![param(&[10, 512]), None]),
        "layer1.0.node: weight expects 512 input features, got 2048 (input (2, 2048))"
    );
    assert_eq!(
        complaint(&[3, 8, 8], conv(1, 1, 1), vec![param(&[64, 3, 3, 3]), None]),
        "layer1.0.node: expected a 4-d input (N, C, H, W), got a 3-d input (3, 8, 8)"
    );
    assert_eq!(
        complaint(&[1, 8, 2, 9], Op::MaxPool2d(ops::MaxPool2d(window(3, 2, 0))), vec![]),
        "layer1.0.node: kernel [3, 3] (dilated: [3, 3]) is larger than the padded input [2, 9] \
         (input (1, 8, 2, 9)); use a larger picture or more padding"
    );
    let (mut builder, x) = with_input(&[1, 64, 8, 8]);
    let y = builder.input("y", &[1, 64, 4, 4]).unwrap();
    assert_eq!(
        builder
            .add("add", Op::Binary(ops::Binary::new(BinaryOp::Add)), &[x, y], vec![])
            .unwrap_err()
            .to_string(),
        "add: shapes (1, 64, 8, 8) and (1, 64, 4, 4) cannot be broadcast together"
    );
    assert_eq!(
        builder.concat("cat", &[x, y], 1).unwrap_err().to_string(),
        "cat: shapes (1, 64, 8, 8) and (1, 64, 4, 4) cannot be concatenated along dim 1"
    );
    assert_eq!(
        complaint(&[2, 3, 4], Op::Reshape(ops::Reshape { dims: vec![5, -1] }), vec![]),
        "layer1.0.node: shape (2, 3, 4) has 24 elements and cannot become [5, -1]"
    );
}

#[test]
fn attributes_and_parameters_are_checked() {
    assert_eq!(
        complaint(&[1, 4, 8, 8], conv(0, 1, 1), vec![param(&[4, 4, 3, 3]), None]),
        "layer1.0.node: stride must be positive, got [0, 0]"
    );
    assert_eq!(
        complaint(&[1, 4, 8, 8], conv(1, 1, 4), vec![param(&[6, 1, 3, 3]), None]),
        "layer1.0.node: groups must be a divisor of the 6 output channels, got 4"
    );
    assert_eq!(
        complaint(&[1, 4, 8, 8], conv(1, 1, 1), vec![param(&[6, 4, 3, 3]), param(&[4])]),
        "layer1.0.node: bias must have shape (6,), got (4,)"
    );
    assert_eq!(
        complaint(&[1, 4, 8, 8], Op::MaxPool2d(ops::MaxPool2d(window(3, 2, 2))), vec![]),
        "layer1.0.node: padding must be at most half the kernel size [3, 3], got [2, 2, 2, 2]"
    );
    assert_eq!(
        complaint(
            &[1, 4, 8, 8],
            Op::BatchNorm(ops::BatchNorm { eps: f64::NAN }),
            vec![None, None, param(&[4]), param(&[4])]
        ),
        "layer1.0.node: eps must be finite and not negative, got NaN"
    );
    assert_eq!(
        complaint(&[1, 4, 8, 8], conv(1, 1, 1), vec![None, None]),
        "layer1.0.node: weight must be a parameter, got none"
    );
    assert_eq!(
        complaint(
            &[1, 4],
            Op::Slice(ops::Slice { dim: 1, start: None, stop: None, step: 0, index: false }),
            vec![]
        ),
        "layer1.0.node: step must be positive, got 0"
    );
    let (mut builder, x) = with_input(&[1, 4, 8, 8]);
    assert_eq!(
        builder.softmax("softmax", x, -5, false).unwrap_err().to_string(),
        "softmax: dim must be in -4..=3 for the input (1, 4, 8, 8), got -5"
    );
    assert_eq!(
        builder.add("relu", Op::Activation(Activation::Relu), &[NodeId(7)], vec![]).unwrap_err().to_string(),
        "relu: expected one of this graph's 1 values, got value 7"
    );
    assert_eq!(builder.finish().unwrap_err().to_string(), "graph: expected at least one output, got none");
}

#[test]
fn sizes_beyond_memory_are_errors_and_not_overflows() {
    const MOST: usize = i32::MAX as usize;
    let big = usize::MAX / 2;
    let said = complaint(
        &[1, 1, 1 << 20, 1 << 20],
        Op::Pad(ops::Pad { pads: vec![[0, 0], [0, 0], [big, big], [big, big]], value: 0.0 }),
        vec![],
    );
    assert!(said.starts_with("layer1.0.node: the result would have the shape"), "{said}");
    let conv = |stride: usize, padding: ConvPadding, dilation: usize| {
        let op = Op::Conv2d(Conv2d { stride: [stride; 2], padding, dilation: [dilation; 2], groups: 1 });
        complaint(&[1, 1, 4, 4], op, vec![param(&[1, 1, 3, 3]), None])
    };
    let around = |size: usize| ConvPadding::Explicit([size; 4]);
    assert_eq!(
        conv(1, around(big), 1),
        format!("layer1.0.node: padding must be at most {MOST}, got {:?}", [big; 4])
    );
    assert_eq!(
        conv(1, ConvPadding::SameUpper, usize::MAX),
        format!("layer1.0.node: dilation must be at most {MOST}, got {:?}", [usize::MAX; 2])
    );
    assert_eq!(
        conv(big, around(0), 1),
        format!("layer1.0.node: stride must be at most {MOST}, got {:?}", [big; 2])
    );
    assert!(conv(1, around(0), MOST).contains("is larger than the padded input"));
    // As few results as you like, but kernels may copy what is around the picture.
    let said = conv(MOST, around(MOST), 1);
    assert!(
        said.starts_with("layer1.0.node: padding must be such that the padded input [1, 1, 42949672"),
        "{said}"
    );
    let said = complaint(&[1, 1, 4, 4], Op::MaxPool2d(ops::MaxPool2d(window(1 << 40, 1, 0))), vec![]);
    assert!(said.starts_with(&format!("layer1.0.node: kernel_size must be at most {MOST}")), "{said}");
    let size = Op::LocalResponseNorm(ops::LocalResponseNorm { size: 1 << 40, alpha: 1.0, beta: 1.0, k: 1.0 });
    let said = complaint(&[1, 1, 4, 4], size, vec![]);
    assert_eq!(said, format!("layer1.0.node: size must be at most {MOST}, got {}", 1_u64 << 40));
    for sizes in [[1 << 40, 1 << 30], [1 << 62, 1 << 62], [i64::MAX, i64::MAX]] {
        let said = complaint(&[1, 1], Op::Expand(ops::Expand { sizes: sizes.to_vec(), like: false }), vec![]);
        assert!(said.starts_with("layer1.0.node: the result would have the shape"), "{said}");
        let said = complaint(&[1, 16], Op::Reshape(ops::Reshape { dims: sizes.to_vec() }), vec![]);
        assert!(said.contains("cannot become"), "{said}");
        let said =
            complaint(&[1, 16], Op::Unflatten(ops::Unflatten { dim: 1, sizes: sizes.to_vec() }), vec![]);
        assert!(said.contains("sizes must be of 16 elements"), "{said}");
    }
}

#[test]
fn a_step_beyond_a_dimension_takes_its_first_index() {
    let (mut builder, x) = with_input(&[2, 6]);
    let slice = builder.slice("slice", x, 1, [Some(2), None], usize::MAX).unwrap();
    assert_eq!(builder.shape(slice).unwrap(), Shape::new(&[2, 1]));
}

#[test]
fn a_reshape_knows_torchs_rules() {
    let reshape = |shape: &[usize], dims: &[i64]| {
        let (mut builder, x) = with_input(shape);
        let y = builder.add("reshape", Op::Reshape(ops::Reshape { dims: dims.to_vec() }), &[x], vec![]);
        y.map(|y| builder.shape(y).unwrap().to_vec()).map_err(|error| error.to_string())
    };
    assert_eq!(reshape(&[2, 3, 4], &[-1]), Ok(vec![24]));
    assert_eq!(reshape(&[2, 3, 4], &[2, -1, 2]), Ok(vec![2, 6, 2]));
    assert_eq!(reshape(&[0, 3], &[-1, 3]), Ok(vec![0, 3]));
    assert_eq!(reshape(&[0, 3], &[0]), Ok(vec![0]));
    assert!(reshape(&[0, 3], &[0, -1]).is_err(), "any size would do");
    assert!(reshape(&[2, 3], &[7]).is_err());
    assert!(reshape(&[2, 3], &[-1, -1]).is_err());
    assert!(reshape(&[2, 3], &[i64::MAX, i64::MAX]).is_err());
}

#[test]
fn scalars_are_flattened_and_averaged() {
    let (mut builder, x) = with_input(&[2, 3, 4]);
    let all = builder.mean("mean", x, &[], false).unwrap();
    assert_eq!(builder.shape(all).unwrap(), Shape::new(&[]));
    let flat = builder.flatten("flatten", all, 0, -1).unwrap();
    assert_eq!(builder.shape(flat).unwrap(), Shape::new(&[1]));
    let some = builder.mean("mean", x, &[-1, 0], true).unwrap();
    assert_eq!(builder.shape(some).unwrap(), Shape::new(&[1, 3, 1]));
    assert!(builder.mean("mean", x, &[1, -2], true).is_err(), "the same dimension twice");
}
