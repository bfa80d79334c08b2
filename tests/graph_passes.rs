//! Passes: what they fuse, what they must not change, and that the values stay the same.

mod graph_oracle;

use std::sync::Arc;

use graph_oracle::{Value, run};
use proptest::prelude::*;
use rvision::graph::ops::{self, Conv2d, ConvPadding, ConvTranspose2d, Window};
use rvision::graph::passes::{PASSES, optimize, split_broadcast_residuals};
use rvision::graph::{Graph, GraphBuilder, NodeId, Op};
use rvision::tensor::{Activation, BinaryOp, Param, Shape};

const RELU: Op = Op::Activation(Activation::Relu);
const ADD: Op = Op::Binary(ops::Binary::new(BinaryOp::Add));

/// A graph under construction; every parameter has different values, as in a network.
struct Net {
    builder: GraphBuilder,
    seed: u32,
}

impl Net {
    fn new(inputs: &[&[usize]]) -> Self {
        let mut builder = GraphBuilder::new();
        for shape in inputs {
            builder.input("x", shape).unwrap();
        }
        Self { builder, seed: 1 }
    }

    /// Numbers between `lo` and `hi`.
    fn numbers(&mut self, count: usize, lo: f32, hi: f32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                lo + (hi - lo) * (self.seed >> 8) as f32 / (1u32 << 24) as f32
            })
            .collect()
    }

    fn param(&mut self, shape: &[usize], lo: f32, hi: f32) -> Option<Arc<Param>> {
        let shape = Shape::new(shape);
        let values = self.numbers(shape.numel(), lo, hi);
        Param::new(shape, &values).ok().map(Arc::new)
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        self.builder.add(name, op, inputs, vec![]).unwrap()
    }

    /// A convolution that keeps height and width.
    fn conv(&mut self, name: &str, x: NodeId, outputs: usize, kernel: usize, bias: bool) -> NodeId {
        let channels = self.builder.shape(x).unwrap()[1];
        let conv = Conv2d {
            stride: [1, 1],
            padding: ConvPadding::Explicit([kernel / 2; 4]),
            dilation: [1, 1],
            groups: 1,
        };
        let weight = self.param(&[outputs, channels, kernel, kernel], -0.4, 0.4);
        let bias = if bias { self.param(&[outputs], -1.0, 1.0) } else { None };
        self.builder.add(name, Op::Conv2d(conv), &[x], vec![weight, bias]).unwrap()
    }

    fn linear(&mut self, name: &str, x: NodeId, outputs: usize) -> NodeId {
        let features = *self.builder.shape(x).unwrap().last().unwrap();
        let params = vec![self.param(&[outputs, features], -0.4, 0.4), self.param(&[outputs], -1.0, 1.0)];
        self.builder.add(name, Op::Linear(ops::Linear), &[x], params).unwrap()
    }

    fn batch_norm(&mut self, name: &str, x: NodeId) -> NodeId {
        let channels = &[self.builder.shape(x).unwrap()[1]];
        let params = vec![
            self.param(channels, 0.5, 1.5),
            self.param(channels, -0.5, 0.5),
            self.param(channels, -0.5, 0.5),
            self.param(channels, 0.3, 2.0),
        ];
        self.builder.add(name, Op::BatchNorm(ops::BatchNorm { eps: 1e-5 }), &[x], params).unwrap()
    }

    /// The optimised graph, which computes the same as the traced one.
    fn finish(&mut self, outputs: &[NodeId]) -> Graph {
        for &id in outputs {
            self.builder.output(id).unwrap();
        }
        let graph = self.builder.finish().unwrap();
        let traced = self.builder.traced().clone();
        let inputs = self.inputs();
        assert_same(&run(&traced, &inputs), &run(&graph, &inputs));
        graph
    }

    fn inputs(&mut self) -> Vec<Value> {
        let ids = self.builder.traced().inputs.clone();
        ids.into_iter()
            .map(|id| {
                let shape = self.builder.shape(id).unwrap();
                let data = self.numbers(shape.numel(), -2.0, 2.0).into_iter().map(f64::from).collect();
                Value { shape, data }
            })
            .collect()
    }
}

/// The scale and shift are rounded to f32 once; nothing else may differ.
fn assert_same(expected: &[Value], found: &[Value]) {
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected.shape, found.shape);
        let largest = expected.data.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        for (a, b) in expected.data.iter().zip(&found.data) {
            assert!((a - b).abs() <= 1e-5 * largest, "{a} became {b}");
        }
    }
}

/// Every node's name with the names it covers.
fn summary(graph: &Graph) -> Vec<String> {
    let line = |node: &rvision::graph::Node| {
        if node.covers.is_empty() {
            node.name.clone()
        } else {
            format!("{} <- {}", node.name, node.covers.join(" "))
        }
    };
    graph.nodes.iter().map(line).collect()
}

const PICTURE: &[usize] = &[2, 4, 5, 5];
const X: NodeId = NodeId(0);

// --- what is fused ---------------------------------------------------------------------

#[test]
fn a_linear_layer_takes_scale_and_sum_behind_a_permutation() {
    let mut net = Net::new(&[PICTURE]);
    let x = net.conv("stem", X, 6, 1, false);
    let y = net.node("to_last", Op::Permute(ops::Permute { dims: vec![0, 2, 3, 1] }), &[x]);
    let y = net.linear("fc", y, 6);
    let y = net.node("to_first", Op::Permute(ops::Permute { dims: vec![0, 3, 1, 2] }), &[y]);
    let scale = net.param(&[6, 1, 1], 0.5, 1.5);
    let scale = net.builder.add("gamma", Op::Constant(ops::Constant), &[], vec![scale]).unwrap();
    let y = net.node("mul", Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[scale, y]);
    let y = net.node("add", ADD, &[y, x]);
    assert_eq!(
        summary(&net.finish(&[y])),
        ["x", "stem", "to_last", "to_first of add", "add <- fc mul", "to_first"]
    );
}

#[test]
fn a_factor_that_is_not_per_channel_stays() {
    for shape in [&[1, 1, 5][..], &[6, 5, 1], &[1, 2, 6, 1, 1], &[5]] {
        let mut net = Net::new(&[PICTURE]);
        let x = net.conv("conv", X, 6, 1, false);
        let scale = net.param(shape, 0.5, 1.5);
        let scale = net.builder.add("gamma", Op::Constant(ops::Constant), &[], vec![scale]).unwrap();
        let y = net.node("mul", Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[x, scale]);
        assert_eq!(summary(&net.finish(&[y])), ["x", "conv", "gamma", "mul"], "{shape:?}");
    }
    let mut net = Net::new(&[&[2, 3, 4]]);
    let x = net.linear("fc", X, 6);
    let scale = net.param(&[6], 0.5, 1.5);
    let scale = net.builder.add("gamma", Op::Constant(ops::Constant), &[], vec![scale]).unwrap();
    let y = net.node("mul", Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[x, scale]);
    let relu = net.node("relu", RELU, &[y]);
    assert_eq!(summary(&net.finish(&[relu])), ["x", "relu <- fc mul"]);
}

#[test]
fn a_linear_layer_takes_the_sum_behind_it() {
    let mut net = Net::new(&[&[2, 3, 4]]);
    let x = net.node("tanh", Op::Activation(Activation::Tanh), &[X]);
    let y = net.linear("fc", x, 4);
    let y = net.node("add", ADD, &[x, y]);
    let graph = net.finish(&[y]);
    assert_eq!(summary(&graph), ["x", "tanh", "add <- fc"]);
    // A position embedding has one row for all pictures.
    let mut net = Net::new(&[&[2, 3, 4]]);
    let y = net.linear("fc", X, 4);
    let embedding = net.param(&[1, 3, 4], -1.0, 1.0);
    let embedding = net.builder.add("embedding", Op::Constant(ops::Constant), &[], vec![embedding]).unwrap();
    let y = net.node("add", ADD, &[y, embedding]);
    let graph = net.finish(&[y]);
    let split = split_broadcast_residuals(&graph, &[Shape::new(&[2, 3, 4])]).unwrap();
    assert_eq!(summary(&split), ["x", "embedding", "fc", "add"]);
}

/// Its channels are the second dimension of its weight, by groups.
#[test]
fn a_transposed_convolution_takes_what_a_convolution_takes() {
    let mut net = Net::new(&[PICTURE]);
    let mut up = |name: &str, x: NodeId, groups: usize| {
        let channels = net.builder.shape(x).unwrap()[1];
        let op = ConvTranspose2d {
            stride: [2, 2],
            padding: [1, 1],
            output_padding: [0, 0],
            dilation: [1, 1],
            groups,
        };
        let weight = net.param(&[channels, 6 / groups, 4, 4], -0.4, 0.4);
        let bias = net.param(&[6], -1.0, 1.0);
        net.builder.add(name, Op::ConvTranspose2d(op), &[x], vec![weight, bias]).unwrap()
    };
    let [left, right] = [up("left", X, 2), up("right", X, 1)];
    let norm = net.batch_norm("bn", left);
    let factor = net.param(&[6, 1, 1], 0.5, 2.0);
    let factor = net.builder.add("scale", Op::Constant(ops::Constant), &[], vec![factor]).unwrap();
    let scaled = net.node("mul", Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[right, factor]);
    let sum = net.node("add", ADD, &[norm, scaled]);
    let out = net.node("relu", RELU, &[sum]);
    let graph = net.finish(&[out]);
    assert_eq!(
        graph.describe(),
        "\
%0 x     input
%1 bn    conv_transpose2d(%0) weight (4, 3, 4, 4) stride 2 padding 1 groups 2 | scale and shift  (covers left)
%2 relu  conv_transpose2d(%0) weight (4, 6, 4, 4) bias (6,) stride 2 padding 1 | scale | + %1 | relu  (covers right, mul, add)
return %2"
    );
}

#[test]
fn a_residual_block_becomes_its_convolutions() {
    let mut net = Net::new(&[PICTURE]);
    let c1 = net.conv("conv1", X, 4, 3, false);
    let b1 = net.batch_norm("bn1", c1);
    let r1 = net.node("relu", RELU, &[b1]);
    let c2 = net.conv("conv2", r1, 8, 3, false);
    let b2 = net.batch_norm("bn2", c2);
    let down = net.conv("downsample.0", X, 8, 1, false);
    let down = net.batch_norm("downsample.1", down);
    let sum = net.node("add", ADD, &[b2, down]);
    let out = net.node("relu", RELU, &[sum]);
    let graph = net.finish(&[out]);
    assert_eq!(
        graph.describe(),
        "\
%0 x       input
%1 relu    conv2d(%0) weight (4, 4, 3, 3) padding 1 | scale and shift | relu  (covers conv1, bn1)
%2 bn2     conv2d(%1) weight (8, 4, 3, 3) padding 1 | scale and shift  (covers conv2)
%3 relu_1  conv2d(%0) weight (8, 4, 1, 1) | scale and shift | + %2 | relu  (covers downsample.0, downsample.1, add)
return %3"
    );
    assert_eq!(graph.nodes[3].traced_name(), "downsample.0");
}

#[test]
fn batch_norm_and_bias_are_one_scale_and_shift() {
    let mut net = Net::new(&[&[1, 1, 1, 1]]);
    let param = |value: f32| Param::new(Shape::new(&[1]), &[value]).ok().map(Arc::new);
    let conv = net.conv("conv", X, 1, 1, false);
    let traced = net.builder.traced().nodes[conv.0].clone();
    let conv = net.builder.add("conv", traced.op, &[X], vec![traced.params[0].clone(), param(3.0)]).unwrap();
    let norm = Op::BatchNorm(ops::BatchNorm { eps: 0.25 });
    let params = vec![param(5.0), param(7.0), param(11.0), param(6.0)];
    let norm = net.builder.add("bn", norm, &[conv], params).unwrap();
    let graph = net.finish(&[norm]);
    let node = graph.nodes.last().unwrap();
    assert_eq!(node.covers, ["conv_1"]);
    assert!(node.params[1].is_none(), "the bias is in the shift");
    let affine = node.fused.affine.as_ref().unwrap();
    assert_eq!(affine.scale.as_deref(), Some(&[2.0][..]), "5 / sqrt(6 + 0.25)");
    assert_eq!(affine.shift.as_deref(), Some(&[-9.0][..]), "7 + 2 * (3 - 11)");
}

#[test]
fn two_batch_norms_fold_into_one_convolution() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, true);
    let b = net.batch_norm("bn1", c);
    let b = net.batch_norm("bn2", b);
    assert_eq!(summary(&net.finish(&[b])), ["x", "bn2 <- conv bn1"]);
}

#[test]
fn a_linear_layer_takes_batch_norm_only_where_its_features_are_dim_1() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 2, 1, false);
    let f = net.builder.flatten("flatten", c, 1, -1).unwrap();
    let l = net.linear("fc", f, 6);
    let b = net.batch_norm("bn", l);
    let r = net.node("relu", RELU, &[b]);
    assert_eq!(summary(&net.finish(&[r])), ["x", "conv", "flatten", "relu <- fc bn"]);

    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 1, false);
    let f = net.builder.flatten("flatten", c, 2, -1).unwrap();
    let l = net.linear("fc", f, 4);
    let b = net.batch_norm("bn", l);
    assert_eq!(summary(&net.finish(&[b])), ["x", "conv", "flatten", "fc", "bn"]);
}

#[test]
fn the_later_of_two_convolutions_takes_the_sum() {
    for swapped in [false, true] {
        let mut net = Net::new(&[PICTURE]);
        let a = net.conv("a", X, 4, 1, false);
        let b = net.conv("b", X, 4, 3, false);
        let sum = net.node("add", ADD, &if swapped { [b, a] } else { [a, b] });
        assert_eq!(summary(&net.finish(&[sum])), ["x", "a", "add <- b"]);
    }
}

#[test]
fn an_operand_behind_the_convolution_comes_before_the_fused_one() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, true);
    let window =
        Window { kernel: [3, 3], stride: [1, 1], padding: [1; 4], dilation: [1, 1], ceil_mode: false };
    let p = net.node("pool", Op::MaxPool2d(ops::MaxPool2d(window)), &[X]);
    let sum = net.node("add", ADD, &[c, p]);
    let r = net.node("relu", RELU, &[sum]);
    assert_eq!(summary(&net.finish(&[r])), ["x", "pool", "relu <- conv add"]);
}

#[test]
fn a_chain_of_sums_uses_a_convolution_each() {
    let mut net = Net::new(&[PICTURE]);
    let a = net.conv("a", X, 4, 1, false);
    let b = net.conv("b", X, 4, 3, false);
    let s = net.node("add", ADD, &[a, X]);
    let s = net.node("add", ADD, &[s, b]);
    let s = net.node("add", ADD, &[s, s]);
    assert_eq!(summary(&net.finish(&[s])), ["x", "add <- a", "add_1 <- b", "add_2"]);
}

#[test]
fn nodes_that_change_nothing_and_nodes_that_nobody_reads_go() {
    let mut net = Net::new(&[PICTURE, &[7]]);
    let c = net.conv("conv", X, 4, 3, false);
    let d = net.node("dropout", Op::Identity(ops::Identity), &[c]);
    let r = net.node("relu", RELU, &[d]);
    net.node("unused", RELU, &[d]);
    let s = net.builder.slice("getitem", r, 2, [Some(0), None], 1).unwrap();
    let p = net.builder.permute("permute", s, &[0, 1, 2, 3]).unwrap();
    let p = net.node("pad", Op::Pad(ops::Pad { pads: vec![[0, 0]; 4], value: 1.0 }), &[p]);
    let p = net.builder.concat("cat", &[p], 1).unwrap();
    let graph = net.finish(&[p]);
    assert_eq!(summary(&graph), ["x", "x_1", "relu <- conv"]);
    assert_eq!(graph.inputs, [NodeId(0), NodeId(1)], "a run gives the unused input too");
}

// --- what is left alone ------------------------------------------------------------------

#[test]
fn outputs_and_shared_values_stay_as_they_are() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, false);
    let b = net.batch_norm("bn", c);
    let s = net.node("add", ADD, &[b, X]);
    let r = net.node("relu", RELU, &[s]);
    for output in [c, b, s] {
        let mut net = Net { builder: net.builder.clone(), seed: 5 };
        let graph = net.finish(&[r, output, r]);
        assert_eq!(graph.outputs[0], graph.outputs[2]);
        assert_ne!(graph.outputs[0], graph.outputs[1]);
    }
    // Read twice: by its batch norm and by another node.
    let other = net.node("sub", Op::Binary(ops::Binary::new(BinaryOp::Sub)), &[r, c]);
    assert_eq!(summary(&net.finish(&[other])), ["x", "conv", "bn", "relu <- add", "sub"]);
}

#[test]
fn a_value_added_to_itself_is_no_residual() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, false);
    let s = net.node("add", ADD, &[c, c]);
    assert_eq!(summary(&net.finish(&[s])), ["x", "conv", "add"]);
}

#[test]
fn what_stands_behind_an_activation_is_not_fused() {
    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, false);
    let r = net.node("relu", RELU, &[c]);
    let b = net.batch_norm("bn", r);
    let s = net.node("add", ADD, &[r, b]);
    let graph = net.finish(&[s]);
    assert_eq!(summary(&graph), ["x", "relu <- conv", "bn", "add"]);

    let mut net = Net::new(&[PICTURE]);
    let c = net.conv("conv", X, 4, 3, false);
    let r = net.node("relu", RELU, &[c]);
    let s = net.node("add", ADD, &[r, X]);
    let t = net.node("tanh", Op::Activation(Activation::Tanh), &[s]);
    assert_eq!(summary(&net.finish(&[t])), ["x", "relu <- conv", "tanh <- add"]);
}

#[test]
fn an_input_may_be_an_output() {
    let mut net = Net::new(&[PICTURE]);
    let d = net.node("dropout", Op::Identity(ops::Identity), &[X]);
    let graph = net.finish(&[d, X]);
    assert_eq!(graph.outputs, [X, X]);
}

// --- broadcast residuals -----------------------------------------------------------------

#[test]
fn a_residual_that_turns_out_to_be_broadcast_is_a_sum_again() {
    // At 1x1 both operands have one size; at 3x3 the mean is broadcast.
    let mut net = Net::new(&[&[1, 4, 1, 1]]);
    let c = net.conv("conv", X, 4, 1, false);
    let b = net.batch_norm("bn", c);
    let m = net.builder.mean("mean", X, &[2, 3], true).unwrap();
    let s = net.node("add", ADD, &[b, m]);
    let r = net.node("relu", RELU, &[s]);
    let graph = net.finish(&[r]);
    assert_eq!(summary(&graph), ["x", "mean", "relu <- conv bn add"]);

    let same = split_broadcast_residuals(&graph, &[Shape::new(&[3, 4, 1, 1])]).unwrap();
    assert!(matches!(same, std::borrow::Cow::Borrowed(_)));

    let shape = Shape::new(&[2, 4, 3, 3]);
    let split = split_broadcast_residuals(&graph, &[shape]).unwrap();
    split.validate().unwrap();
    assert_eq!(summary(&split), ["x", "mean", "bn <- conv", "add", "relu"]);
    let data = net.numbers(shape.numel(), -2.0, 2.0).into_iter().map(f64::from).collect();
    let input = [Value { shape, data }];
    assert_same(&run(net.builder.traced(), &input), &run(&split, &input));

    // The other way round: the convolution's value is the one that is broadcast.
    let mut net = Net::new(&[&[1, 4, 1, 1]]);
    let m = net.builder.mean("mean", X, &[2, 3], true).unwrap();
    let c = net.conv("conv", m, 4, 1, true);
    let s = net.node("add", ADD, &[X, c]);
    let graph = net.finish(&[s]);
    assert_eq!(summary(&graph), ["x", "mean", "add <- conv"]);
    let split = split_broadcast_residuals(&graph, &input.each_ref().map(|value| value.shape)).unwrap();
    assert_eq!(summary(&split), ["x", "mean", "conv", "add"]);
    assert_same(&run(net.builder.traced(), &input), &run(&split, &input));
}

#[test]
fn a_wrong_input_of_a_fused_graph_is_blamed_on_the_layer_that_reads_it() {
    let mut net = Net::new(&[PICTURE, PICTURE]);
    let c = net.conv("conv1", X, 4, 3, false);
    let b = net.batch_norm("bn1", c);
    let s = net.node("add", ADD, &[b, NodeId(1)]);
    let r = net.node("relu", RELU, &[s]);
    let graph = net.finish(&[r]);
    let said = |shapes: [&[usize]; 2]| {
        rvision::graph::infer_shapes(&graph, &shapes.map(Shape::new)).unwrap_err().to_string()
    };
    assert_eq!(
        said([&[1, 3, 5, 5], PICTURE]),
        "conv1: weight expects 4 input channels, got 3 (input (1, 3, 5, 5))"
    );
    assert_eq!(
        said([&[2, 4, 5, 5], &[2, 4, 6, 6]]),
        "add: shapes (2, 4, 5, 5) and (2, 4, 6, 6) cannot be broadcast together"
    );
}

// --- any graph ---------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Conv { kernel: usize, bias: bool },
    BatchNorm,
    Activation(Activation),
    Add,
    Maximum,
    Identity,
    Mean,
}

fn steps() -> impl Strategy<Value = Step> {
    let activation = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Clamp { lo: 0.0, hi: 6.0 }),
        Just(Activation::LeakyRelu { slope: 0.1 }),
        Just(Activation::Hardswish),
        Just(Activation::Sigmoid),
    ];
    prop_oneof![
        4 => (0usize..2, any::<bool>()).prop_map(|(k, bias)| Step::Conv { kernel: 2 * k + 1, bias }),
        3 => Just(Step::BatchNorm),
        3 => activation.prop_map(Step::Activation),
        4 => Just(Step::Add),
        1 => Just(Step::Maximum),
        1 => Just(Step::Identity),
        1 => Just(Step::Mean),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Values are read from the last few, so that chains arise; any may be an output.
    #[test]
    fn no_pass_changes_a_value(
        steps in prop::collection::vec((steps(), 0usize..3, 0usize..6), 1..24),
        outputs in prop::collection::vec(0usize..24, 0..3),
    ) {
        let mut net = Net::new(&[&[1, 3, 2, 2], &[1, 3, 1, 1]]);
        let mut last = NodeId(1);
        for (step, near, far) in steps {
            let back = |distance: usize| NodeId(last.0.saturating_sub(distance));
            let (x, y) = (back(near.saturating_sub(1)), back(far));
            last = match step {
                Step::Conv { kernel, bias } => net.conv("conv", x, 3, kernel, bias),
                Step::BatchNorm => net.batch_norm("bn", x),
                Step::Activation(activation) => net.node("act", Op::Activation(activation), &[x]),
                Step::Add => net.node("add", ADD, &[x, y]),
                Step::Maximum => net.node("maximum", Op::Binary(ops::Binary::new(BinaryOp::Maximum)), &[x, y]),
                Step::Identity => net.node("dropout", Op::Identity(ops::Identity), &[x]),
                Step::Mean => net.builder.mean("mean", x, &[2, 3], true).unwrap(),
            };
        }
        net.builder.output(last).unwrap();
        for output in outputs {
            net.builder.output(NodeId(output.min(last.0))).unwrap();
        }
        let inputs = net.inputs();
        let shapes: Vec<_> = inputs.iter().map(|value| value.shape).collect();
        let traced = net.builder.traced();
        let expected = run(traced, &inputs);

        let mut graph = traced.clone();
        for (name, pass) in PASSES {
            graph = pass(&graph);
            prop_assert_eq!(graph.validate(), Ok(()), "after {}", name);
        }
        assert_same(&expected, &run(&graph, &inputs));
        prop_assert!(graph.nodes.len() <= traced.nodes.len());

        let split = split_broadcast_residuals(&graph, &shapes).unwrap();
        prop_assert_eq!(split.validate(), Ok(()));
        assert_same(&expected, &run(&split, &inputs));
        prop_assert_eq!(optimize(graph.clone()).describe(), graph.describe(), "once is enough");
    }
}

// --- the mean before the layer ----------------------------------------------------------

/// Operations after the first, in the order in which they are computed.
fn operations(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().skip(1).map(|node| node.op.name()).collect()
}

fn mean(dims: &[usize], keepdim: bool) -> Op {
    Op::Mean(ops::Mean { dims: dims.to_vec(), keepdim })
}

#[test]
fn the_mean_of_a_pointwise_convolution_is_taken_before_it() {
    let pooled = Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] });
    for op in [pooled, mean(&[2, 3], true), mean(&[2, 3], false), mean(&[3], true)] {
        let flattens = matches!(op, Op::Mean(ops::Mean { keepdim: false, .. }));
        let mut net = Net::new(&[PICTURE]);
        let y = net.conv("classifier", X, 7, 1, true);
        let y = net.batch_norm("bn", y);
        let y = net.node("mean", op.clone(), &[y]);
        let graph = net.finish(&[y]);
        let expected = if flattens { 3 } else { 2 };
        assert_eq!(operations(&graph).len(), expected, "{op:?}: {:?}", summary(&graph));
        assert!(matches!(graph.nodes[2].op, Op::Conv2d(_)), "{op:?}: {:?}", summary(&graph));
        assert_eq!(graph.nodes.last().unwrap().name, "mean");
    }
}

#[test]
fn the_mean_of_a_linear_layer_over_tokens_is_taken_before_it() {
    for (dims, keepdim) in [(&[1][..], false), (&[0, 1], false), (&[1], true)] {
        let mut net = Net::new(&[PICTURE]);
        let tokens = net.node("tokens", Op::Reshape(ops::Reshape { dims: vec![2, 20, 5] }), &[X]);
        let y = net.linear("head", tokens, 3);
        let y = net.node("mean", mean(dims, keepdim), &[y]);
        let graph = net.finish(&[y]);
        assert!(matches!(graph.nodes[2].op, Op::Mean(_)), "{:?}", summary(&graph));
        assert!(matches!(graph.nodes[3].op, Op::Linear(_)), "{:?}", summary(&graph));
    }
}

#[test]
fn a_mean_stays_behind_what_is_not_linear_or_has_other_readers() {
    type Build = fn(&mut Net) -> Vec<NodeId>;
    let cases: [(&str, Build); 7] = [
        ("an activation", |net| {
            let y = net.conv("conv", X, 7, 1, true);
            let y = net.node("relu", RELU, &[y]);
            vec![net.node("mean", mean(&[2, 3], false), &[y])]
        }),
        ("another reader", |net| {
            let y = net.conv("conv", X, 7, 1, true);
            vec![net.node("mean", mean(&[2, 3], false), &[y]), y]
        }),
        ("a residual", |net| {
            let y = net.conv("conv", X, 4, 1, true);
            let y = net.node("add", ADD, &[y, X]);
            vec![net.node("mean", mean(&[2, 3], false), &[y])]
        }),
        ("a larger kernel", |net| {
            let y = net.conv("conv", X, 7, 3, true);
            vec![net.node("mean", mean(&[2, 3], false), &[y])]
        }),
        ("channels", |net| {
            let y = net.conv("conv", X, 7, 1, true);
            vec![net.node("mean", mean(&[1, 2, 3], false), &[y])]
        }),
        ("several cells", |net| {
            let y = net.conv("conv", X, 7, 1, true);
            vec![net.node(
                "mean",
                Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(2), Some(1)] }),
                &[y],
            )]
        }),
        ("the features", |net| {
            let y = net.node("tokens", Op::Reshape(ops::Reshape { dims: vec![2, 20, 5] }), &[X]);
            let y = net.linear("head", y, 3);
            vec![net.node("mean", mean(&[2], false), &[y])]
        }),
    ];
    for (what, build) in cases {
        let mut net = Net::new(&[PICTURE]);
        let outputs = build(&mut net);
        let graph = net.finish(&outputs);
        let last = &graph.nodes[graph.outputs[0].0];
        let is_mean = matches!(last.op, Op::Mean(_) | Op::AdaptiveAvgPool2d(_));
        assert!(is_mean, "{what}: {:?}", summary(&graph));
    }
}
