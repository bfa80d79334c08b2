//! Graphs as text.

use std::sync::Arc;

use rvision::graph::ops::{self, Conv2d, ConvPadding, ConvTranspose2d, Window};
use rvision::graph::{GraphBuilder, Op};
use rvision::tensor::{Activation, BinaryOp, EdgeMode, Param, Shape};

#[test]
fn a_line_says_what_differs_from_torchs_defaults() {
    let param = |shape: &[usize]| {
        let shape = Shape::new(shape);
        Param::new(shape, &vec![1.0; shape.numel()]).ok().map(Arc::new)
    };
    let window =
        |ceil_mode| Window { kernel: [3, 2], stride: [2, 2], padding: [1; 4], dilation: [1, 1], ceil_mode };
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", &[1, 4, 9, 9]).unwrap();
    let conv = Conv2d { stride: [2, 1], padding: ConvPadding::SameUpper, dilation: [2, 2], groups: 2 };
    let plain =
        Conv2d { stride: [1, 1], padding: ConvPadding::Explicit([0, 0, 1, 1]), dilation: [1, 1], groups: 1 };
    let transposed = ConvTranspose2d {
        stride: [2, 3],
        padding: [1, 1],
        output_padding: [0, 2],
        dilation: [1, 1],
        groups: 2,
    };
    let ops = [
        (Op::Conv2d(conv), vec![param(&[8, 2, 3, 3]), param(&[8])]),
        (Op::Conv2d(plain), vec![param(&[8, 4, 1, 1]), None]),
        (Op::BatchNorm(ops::BatchNorm { eps: 1e-5 }), vec![None, None, param(&[4]), param(&[4])]),
        (Op::MaxPool2d(ops::MaxPool2d(window(true))), vec![]),
        (
            Op::AvgPool2d(ops::AvgPool2d {
                window: window(false),
                count_include_pad: false,
                divisor_override: Some(5),
            }),
            vec![],
        ),
        (Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), None] }), vec![]),
        (Op::LocalResponseNorm(ops::LocalResponseNorm { size: 5, alpha: 0.5, beta: 0.75, k: 2.0 }), vec![]),
        (Op::Activation(Activation::Clamp { lo: 0.0, hi: 6.0 }), vec![]),
        (Op::PRelu(ops::PRelu), vec![param(&[4])]),
        (Op::BinaryScalar(ops::BinaryScalar { op: BinaryOp::Sub, scalar: 1.5, reversed: true }), vec![]),
        (Op::Softmax(ops::Softmax { dim: 1, log: true }), vec![]),
        (Op::Mean(ops::Mean { dims: vec![2, 3], keepdim: true }), vec![]),
        (Op::Reshape(ops::Reshape { dims: vec![1, -1] }), vec![]),
        (Op::Flatten(ops::Flatten { start: 1, end: 3 }), vec![]),
        (Op::Permute(ops::Permute { dims: vec![0, 2, 3, 1] }), vec![]),
        (Op::Slice(ops::Slice { dim: 1, start: Some(-2), stop: None, step: 1, index: false }), vec![]),
        (Op::Pad(ops::Pad { pads: vec![[0, 0], [1, 0], [0, 0], [0, 0]], value: 0.5 }), vec![]),
        (Op::ConvTranspose2d(transposed), vec![param(&[4, 3, 2, 2]), param(&[6])]),
        (
            Op::PadEdges(ops::PadEdges {
                pads: vec![[0, 0], [0, 0], [1, 0], [1, 1]],
                mode: EdgeMode::Reflect,
            }),
            vec![],
        ),
    ];
    for (op, params) in ops {
        builder.add("n", op, &[x], params).unwrap();
    }
    let sum = builder.add("n", Op::Binary(ops::Binary::new(BinaryOp::Maximum)), &[x, x], vec![]).unwrap();
    let cat = builder.concat("layer", &[sum, x], -1).unwrap();
    builder.output(cat).unwrap();
    builder.output(x).unwrap();
    assert_eq!(
        builder.traced().describe(),
        "\
%0  x      input
%1  n      conv2d(%0) weight (8, 2, 3, 3) bias (8,) stride 2x1 padding same_upper dilation 2 groups 2
%2  n_1    conv2d(%0) weight (8, 4, 1, 1) padding [0, 0, 1, 1]
%3  n_2    batch_norm(%0) running_mean (4,) running_var (4,) eps 0.00001
%4  n_3    max_pool2d(%0) kernel 3x2 stride 2 padding 1 ceil_mode
%5  n_4    avg_pool2d(%0) kernel 3x2 stride 2 padding 1 count_include_pad false divisor_override 5
%6  n_5    adaptive_avg_pool2d(%0) output (1, same)
%7  n_6    local_response_norm(%0) size 5 alpha 0.5 beta 0.75 k 2
%8  n_7    clamp(%0) 0 to 6
%9  n_8    prelu(%0) weight (4,)
%10 n_9    sub(1.5, %0)
%11 n_10   log_softmax(%0) dim 1
%12 n_11   mean(%0) dims [2, 3] keepdim
%13 n_12   reshape(%0) to [1, -1]
%14 n_13   flatten(%0) dims 1 to 3
%15 n_14   permute(%0) dims [0, 2, 3, 1]
%16 n_15   slice(%0) dim 1 [-2:]
%17 n_16   pad(%0) by [[0, 0], [1, 0], [0, 0], [0, 0]] with 0.5
%18 n_17   conv_transpose2d(%0) weight (4, 3, 2, 2) bias (6,) stride 2x3 padding 1 output_padding 0x2 groups 2
%19 n_18   pad(%0) by [[0, 0], [0, 0], [1, 0], [1, 1]] reflect
%20 n_19   maximum(%0, %0)
%21 layer  concat(%20, %0) dim 3
return %21, %0"
    );
}

#[test]
fn lines_of_token_operations() {
    let param = |shape: &[usize]| {
        let shape = Shape::new(shape);
        Param::new(shape, &vec![1.0; shape.numel()]).ok().map(Arc::new)
    };
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", &[2, 3, 4]).unwrap();
    let bias = builder.add("bias", Op::Constant(ops::Constant), &[], vec![param(&[3, 3])]).unwrap();
    let norm = Op::LayerNorm(ops::LayerNorm { shape: vec![4], eps: 1e-5 });
    let y = builder.add("norm", norm, &[x], vec![param(&[4]), None]).unwrap();
    let attention = Op::Attention(ops::Attention { scale: Some(0.5), masked: true });
    builder.add("attention", attention, &[y, y, x, bias], vec![]).unwrap();
    builder.add("matmul", Op::MatMul(ops::MatMul), &[bias, x], vec![]).unwrap();
    builder.normalize("normalize", x, -1, 0.5).unwrap();
    builder.unflatten("unflatten", x, -1, vec![2, -1]).unwrap();
    builder.roll("roll", x, &[1, -2], &[0, 2]).unwrap();
    let one = builder.slice("first", x, 0, [None, Some(1)], 1).unwrap();
    builder
        .add("expand", Op::Expand(ops::Expand { sizes: vec![-1, 1, 3, 4], like: false }), &[one], vec![])
        .unwrap_err();
    builder
        .add("expand", Op::Expand(ops::Expand { sizes: vec![5, 1, -1, 4], like: false }), &[one], vec![])
        .unwrap();
    let last = builder.add("expand_as", Op::ExpandAs(ops::ExpandAs), &[one, x], vec![]).unwrap();
    builder.output(last).unwrap();
    assert_eq!(
        builder.traced().describe(),
        "\
%0  x          input
%1  bias       constant value (3, 3)
%2  norm       layer_norm(%0) weight (4,) over [4] eps 0.00001
%3  attention  attention(%2, %2, %0, %1) scale 0.5
%4  matmul     matmul(%1, %0)
%5  normalize  normalize(%0) dim 2 eps 0.5
%6  unflatten  unflatten(%0) dim 2 to [2, -1]
%7  roll       roll(%0) dim 0 by 1 dim 2 by -2
%8  first      slice(%0) dim 0 [:1]
%9  expand     expand(%8) to [5, 1, -1, 4]
%10 expand_as  expand_as(%8, %0)
return %10"
    );
}
