//! Batch norms and factors before 1x1 convolutions, in whole graphs: they are fused with the
//! convolution if it is their only reader, and the bits are those of separate steps.

use std::sync::Arc;

use rvision::graph::ops::{self, Conv2d, ConvPadding};
use rvision::graph::passes::optimize;
use rvision::graph::{GraphBuilder, NodeId, Op};
use rvision::plan::Network;
use rvision::tensor::{Activation, BinaryOp, Param, Shape};

/// Builds graphs with drawn parameters.
struct Draw {
    builder: GraphBuilder,
    state: u64,
    nodes: usize,
}

impl Draw {
    fn new() -> (Self, NodeId) {
        let mut draw = Self { builder: GraphBuilder::new(), state: 0x9E37_79B9_7F4A_7C15, nodes: 0 };
        let x = draw.builder.input("x", &[1, 3, 40, 31]).unwrap();
        (draw, x)
    }

    fn number(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn param(&mut self, shape: &[usize], scale: f32, offset: f32) -> Arc<Param> {
        let shape = Shape::new(shape);
        let data: Vec<f32> = (0..shape.numel()).map(|_| scale * self.number() + offset).collect();
        Arc::new(Param::new(shape, &data).unwrap())
    }

    fn add(&mut self, op: Op, inputs: &[NodeId], params: Vec<Option<Arc<Param>>>) -> NodeId {
        self.nodes += 1;
        self.builder.add(&format!("node{}", self.nodes), op, inputs, params).unwrap()
    }

    fn channels(&self, x: NodeId) -> usize {
        self.builder.shape(x).unwrap()[1]
    }

    fn conv(&mut self, x: NodeId, outputs: usize, kernel: usize, groups: usize) -> NodeId {
        let inputs = self.channels(x) / groups;
        let weight = self.param(
            &[outputs, inputs, kernel, kernel],
            (3.0 / (inputs * kernel * kernel) as f32).sqrt(),
            0.0,
        );
        let bias = self.param(&[outputs], 0.1, 0.0);
        let padding = ConvPadding::Explicit([kernel / 2; 4]);
        let op = Conv2d { stride: [1, 1], padding, dilation: [1, 1], groups };
        self.add(Op::Conv2d(op), &[x], vec![Some(weight), Some(bias)])
    }

    fn activation(&mut self, x: NodeId, activation: Activation) -> NodeId {
        self.add(Op::Activation(activation), &[x], vec![])
    }

    fn norm(&mut self, x: NodeId, relu: bool) -> NodeId {
        let c = [self.channels(x)];
        let params = [
            self.param(&c, 0.2, 1.0),
            self.param(&c, 0.2, 0.0),
            self.param(&c, 0.2, 0.0),
            self.param(&c, 0.3, 1.0),
        ];
        let y = self.add(Op::BatchNorm(ops::BatchNorm { eps: 1e-5 }), &[x], params.map(Some).to_vec());
        if relu { self.activation(y, Activation::Relu) } else { y }
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::Binary(ops::Binary::new(op)), &[a, b], vec![])
    }

    /// Adds a squeeze-and-excitation block and returns its result.
    fn excited(&mut self, x: NodeId, gate_first: bool) -> NodeId {
        let channels = self.channels(x);
        let s = self.add(
            Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] }),
            &[x],
            vec![],
        );
        let s = self.conv(s, 6, 1, 1);
        let s = self.activation(s, Activation::Relu);
        let s = self.conv(s, channels, 1, 1);
        let s = self.activation(s, Activation::Sigmoid);
        if gate_first { self.binary(BinaryOp::Mul, s, x) } else { self.binary(BinaryOp::Mul, x, s) }
    }

    fn network(mut self, outputs: &[NodeId]) -> Network {
        for &id in outputs {
            self.builder.output(id).unwrap();
        }
        Network::new(optimize(self.builder.traced().clone())).unwrap()
    }
}

fn run(network: &Network, shape: Shape) -> Vec<f32> {
    let (mut draw, _) = Draw::new();
    let x: Vec<f32> = (0..shape.numel()).map(|_| draw.number()).collect();
    let plan = network.plan(&[shape]).unwrap();
    let mut outputs: Vec<Vec<f32>> = plan.outputs().iter().map(|s| vec![f32::NAN; s.numel()]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    network.run(&plan, &[&x], &mut slices, &mut || false).unwrap();
    outputs.swap_remove(0)
}

/// `build` makes a network and returns its result and the values before its 1x1 convolutions.
/// If these are outputs too, they are stored.
fn check(build: impl Fn(&mut Draw, NodeId) -> (NodeId, Vec<NodeId>)) {
    let vectors = rvision::simd::Isa::current().unwrap() != rvision::simd::Isa::Portable;
    for shape in [[1, 3, 40, 31], [3, 3, 9, 11], [2, 3, 65, 50]] {
        let shape = Shape::new(&shape);
        let [together, apart] = [false, true].map(|wanted| {
            let (mut draw, x) = Draw::new();
            let (y, fronts) = build(&mut draw, x);
            let outputs: Vec<NodeId> = [y].into_iter().chain(fronts.iter().copied()).collect();
            let network = draw.network(if wanted { &outputs } else { &outputs[..1] });
            let fused = network.plan(&[shape]).unwrap().to_string().matches("prologue_igemm").count();
            assert_eq!(fused, if vectors && !wanted { fronts.len() } else { 0 });
            run(&network, shape)
        });
        assert!(together.iter().all(|x| x.is_finite()));
        assert_eq!(together, apart);
    }
}

/// Each layer reads a part of the joint memory that the next layers are written to.
#[test]
fn a_dense_block_has_the_bits_of_separate_norms() {
    check(|d, x| {
        let mut features = d.conv(x, 24, 3, 1);
        let mut fronts = Vec::new();
        for _ in 0..3 {
            let front = d.norm(features, true);
            let y = d.conv(front, 48, 1, 1);
            let y = d.norm(y, true);
            let y = d.conv(y, 12, 3, 1);
            features = d.add(Op::Concat(ops::Concat { dim: 1 }), &[features, y], vec![]);
            fronts.push(front);
        }
        let front = d.norm(features, false);
        fronts.push(front);
        (d.conv(front, 20, 1, 1), fronts)
    });
}

/// The block's input is added and overwritten at the end; the factors may be either operand.
#[test]
fn an_inverted_residual_has_the_bits_of_separate_factors() {
    for gate_first in [false, true] {
        check(|d, x| {
            let mut y = d.conv(x, 20, 3, 1);
            let mut fronts = Vec::new();
            for _ in 0..2 {
                let wide = d.conv(y, 70, 1, 1);
                let wide = d.activation(wide, Activation::Hardswish);
                let deep = d.conv(wide, 70, 5, 70);
                let deep = d.activation(deep, Activation::Hardswish);
                let front = d.excited(deep, gate_first);
                let narrow = d.conv(front, 20, 1, 1);
                y = d.binary(BinaryOp::Add, narrow, y);
                fronts.push(front);
            }
            (d.conv(y, 8, 3, 1), fronts)
        });
    }
}

/// Values that have other readers, or that the convolution does not read pixel by pixel.
#[test]
fn others_keep_their_values() {
    check(|d, x| {
        let y = d.conv(x, 24, 3, 1);
        // Two readers.
        let front = d.norm(y, true);
        let a = d.conv(front, 24, 1, 1);
        let b = d.binary(BinaryOp::Add, a, front);
        // A kernel of more than one pixel, groups, another activation, factors of pixels.
        let front = d.norm(b, true);
        let front = d.binary(BinaryOp::Maximum, front, b);
        let front = d.norm(front, true);
        let c = d.conv(front, 24, 3, 1);
        let front = d.binary(BinaryOp::Maximum, c, b);
        let front = d.norm(front, true);
        let e = d.conv(front, 24, 1, 2);
        let front = d.binary(BinaryOp::Maximum, e, b);
        let front = d.norm(front, false);
        let front = d.activation(front, Activation::Silu);
        let f = d.conv(front, 24, 1, 1);
        let front = d.binary(BinaryOp::Mul, f, b);
        (d.conv(front, 8, 1, 1), vec![])
    });
}
