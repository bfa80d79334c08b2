//! Graphs of tokens: random ones are compared with the oracle, because views, joint memory and
//! orders combine in too many ways to list; and what must not cost a copy.

mod graph_oracle;

use std::sync::Arc;

use graph_oracle::Value;
use rvision::graph::ops::{self, Conv2d, ConvPadding};
use rvision::graph::passes::optimize;
use rvision::graph::{Graph, GraphBuilder, NodeId, Op};
use rvision::plan::Network;
use rvision::tensor::{Activation, BinaryOp, MAX_RANK, Param, Shape};

/// Draws numbers and graphs.
struct Draw {
    state: u64,
    builder: GraphBuilder,
    nodes: usize,
}

impl Draw {
    fn new(seed: u64, input: &[usize]) -> (Self, NodeId) {
        let mut draw = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            builder: GraphBuilder::new(),
            nodes: 0,
        };
        let x = draw.builder.input("x", input).unwrap();
        (draw, x)
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % end
    }

    fn number(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }

    fn param(&mut self, shape: &[usize], scale: f32) -> Arc<Param> {
        let shape = Shape::new(shape);
        let data: Vec<f32> = (0..shape.numel()).map(|_| scale * self.number()).collect();
        Arc::new(Param::new(shape, &data).unwrap())
    }

    fn add(&mut self, op: Op, inputs: &[NodeId], params: Vec<Option<Arc<Param>>>) -> NodeId {
        self.nodes += 1;
        self.builder.add(&format!("node{}", self.nodes), op, inputs, params).unwrap()
    }

    fn shape(&self, id: NodeId) -> Shape {
        self.builder.shape(id).unwrap()
    }

    fn constant(&mut self, shape: &[usize]) -> NodeId {
        let value = self.param(shape, 1.0);
        self.add(Op::Constant(ops::Constant), &[], vec![Some(value)])
    }

    fn linear(&mut self, x: NodeId, outputs: usize) -> NodeId {
        let inputs = *self.shape(x).last().unwrap();
        let weight = self.param(&[outputs, inputs], (3.0 / inputs as f32).sqrt());
        let bias = (self.below(2) == 0).then(|| self.param(&[outputs], 1.0));
        self.add(Op::Linear(ops::Linear), &[x], vec![Some(weight), bias])
    }

    fn conv(&mut self, x: NodeId, outputs: usize, kernel: usize) -> NodeId {
        let inputs = self.shape(x)[1];
        let conv = Conv2d {
            stride: [1, 1],
            padding: ConvPadding::Explicit([kernel / 2; 4]),
            dilation: [1, 1],
            groups: 1,
        };
        let weight = self.param(&[outputs, inputs, kernel, kernel], (3.0 / (inputs * kernel) as f32).sqrt());
        self.add(Op::Conv2d(conv), &[x], vec![Some(weight), None])
    }

    fn layer_norm(&mut self, x: NodeId, trailing: usize) -> NodeId {
        let shape = self.shape(x);
        let shape = shape[shape.rank() - trailing..].to_vec();
        let params = (0..2).map(|_| (self.below(3) > 0).then(|| self.param(&shape, 1.0))).collect::<Vec<_>>();
        self.add(Op::LayerNorm(ops::LayerNorm { shape, eps: 0.1 }), &[x], params)
    }

    fn permutation(&mut self, rank: usize) -> Vec<usize> {
        let mut dims: Vec<_> = (0..rank).collect();
        for i in (1..rank).rev() {
            dims.swap(i, self.below(i + 1));
        }
        dims
    }

    /// One more operation on `x`, of which `others` are earlier values.
    fn grow(&mut self, x: NodeId, others: &[NodeId]) -> NodeId {
        let shape = self.shape(x);
        let rank = shape.rank();
        let dim = self.below(rank.max(1));
        let alike: Vec<_> = others.iter().copied().filter(|&id| self.shape(id) == shape).collect();
        match self.below(21) {
            0 | 1 => {
                let dims = self.permutation(rank);
                self.add(Op::Permute(ops::Permute { dims }), &[x], vec![])
            }
            2 | 3 if rank >= 2 => {
                let start = self.below(rank - 1);
                let end = start + 1 + self.below(rank - 1 - start);
                self.add(Op::Flatten(ops::Flatten { start, end }), &[x], vec![])
            }
            4 | 5 if rank < MAX_RANK => {
                let factor = (2..=shape[dim]).find(|f| shape[dim].is_multiple_of(*f)).unwrap_or(1);
                let sizes =
                    if self.below(2) == 0 { vec![-1, factor as i64] } else { vec![factor as i64, -1] };
                self.add(Op::Unflatten(ops::Unflatten { dim, sizes }), &[x], vec![])
            }
            6 if shape[dim] > 1 => {
                let start = Some(self.below(shape[dim] - 1) as i64);
                let step = 1 + self.below(2);
                self.add(Op::Slice(ops::Slice { dim, start, stop: None, step, index: false }), &[x], vec![])
            }
            7 => {
                let other = self.below(rank);
                let mut shifts = vec![(dim, self.below(7) as i64 - 3)];
                if other != dim {
                    shifts.push((other, self.below(7) as i64 - 3));
                }
                self.add(Op::Roll(ops::Roll { shifts }), &[x], vec![])
            }
            8 if shape.numel() < 1000 => {
                let pads = (0..rank).map(|_| [self.below(2), self.below(2)]).collect();
                self.add(Op::Pad(ops::Pad { pads, value: 0.5 }), &[x], vec![])
            }
            9 | 10 => {
                let outputs = [8, 12, 5][self.below(3)];
                self.linear(x, outputs)
            }
            11 => {
                let trailing = 1 + self.below(rank.min(2));
                self.layer_norm(x, trailing)
            }
            12 => self.add(Op::Normalize(ops::Normalize { dim, eps: 0.1 }), &[x], vec![]),
            13 if !alike.is_empty() => {
                let other = alike[self.below(alike.len())];
                self.add(Op::Binary(ops::Binary::new(BinaryOp::Add)), &[x, other], vec![])
            }
            14 => {
                // A factor for each index of one dimension, as a layer scale is.
                let mut size = vec![1; rank - dim];
                size[0] = shape[dim];
                let factor = self.constant(&size);
                let operands = if self.below(2) == 0 { [x, factor] } else { [factor, x] };
                self.add(Op::Binary(ops::Binary::new(BinaryOp::Mul)), &operands, vec![])
            }
            15 if shape.numel() < 1000 && !alike.is_empty() => {
                let other = alike[self.below(alike.len())];
                self.add(Op::Concat(ops::Concat { dim }), &[x, other], vec![])
            }
            16 if rank >= 2 && shape[rank - 2] < 40 => {
                let mut dims: Vec<_> = (0..rank).collect();
                dims.swap(rank - 1, rank - 2);
                // Here and below, products of values that do not grow with every operation.
                let x = self.add(Op::Normalize(ops::Normalize { dim: rank - 1, eps: 0.1 }), &[x], vec![]);
                let turned = self.add(Op::Permute(ops::Permute { dims }), &[x], vec![]);
                self.add(Op::MatMul(ops::MatMul), &[x, turned], vec![])
            }
            17 | 18 if rank >= 2 && shape[rank - 2] < 60 => {
                let x = self.add(Op::Normalize(ops::Normalize { dim: rank - 1, eps: 0.1 }), &[x], vec![]);
                let masked = self.below(2) == 0;
                let tokens = shape[rank - 2];
                let mask = masked.then(|| self.constant(&[tokens, tokens]));
                let inputs: Vec<_> = [x, x, x].into_iter().chain(mask).collect();
                self.add(Op::Attention(ops::Attention { scale: Some(0.3), masked }), &inputs, vec![])
            }
            19 if rank == 4 => {
                let kernel = [1, 3][self.below(2)];
                self.conv(x, 8, kernel)
            }
            20 if shape.numel() < 500 && rank < MAX_RANK => {
                let mut sizes = vec![-1; rank + 1];
                sizes[0] = 2;
                self.add(Op::Expand(ops::Expand { sizes, like: false }), &[x], vec![])
            }
            _ => self.add(Op::Activation(Activation::Tanh), &[x], vec![]),
        }
    }

    fn traced(mut self, outputs: &[NodeId]) -> Graph {
        for &id in outputs {
            self.builder.output(id).unwrap();
        }
        self.builder.traced().clone()
    }
}

fn run(network: &Network, shape: Shape, input: &[f32]) -> Vec<Vec<f32>> {
    let plan = network.plan(&[shape]).unwrap();
    let mut outputs: Vec<Vec<f32>> = plan.outputs().iter().map(|s| vec![f32::NAN; s.numel()]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    network.run(&plan, &[input], &mut slices, &mut || false).unwrap();
    outputs
}

/// Compares random graphs with inputs of that shape with the oracle.
fn drawn_graphs(seeds: std::ops::Range<u64>, shape: &[usize]) {
    for seed in seeds {
        let (mut draw, x) = Draw::new(seed, shape);
        let mut values = vec![x];
        for _ in 0..3 + draw.below(10) {
            // Mostly a chain, with branches from earlier values.
            let from =
                if draw.below(4) == 0 { values[draw.below(values.len())] } else { values[values.len() - 1] };
            let earlier = values.clone();
            values.push(draw.grow(from, &earlier));
        }
        let mut outputs = vec![values[values.len() - 1]];
        if draw.below(2) == 0 {
            outputs.push(values[draw.below(values.len())]);
        }
        let shape = draw.shape(x);
        let input: Vec<f32> = (0..shape.numel()).map(|_| draw.number()).collect();
        let traced = draw.traced(&outputs);
        let value = Value { shape, data: input.iter().map(|&v| f64::from(v)).collect() };
        let expected = graph_oracle::run(&traced, &[value]);
        let network = Network::new(optimize(traced.clone())).unwrap();
        for (found, expected) in run(&network, shape, &input).iter().zip(&expected) {
            let largest = expected.data.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            for (&found, &expected) in found.iter().zip(&expected.data) {
                assert!(
                    (f64::from(found) - expected).abs() <= 1e-4 * largest,
                    "seed {seed}: {found}, expected {expected}, in\n{traced}\n{}",
                    network.plan(&[shape]).unwrap(),
                );
            }
        }
    }
}

#[test]
fn drawn_graphs_compute_what_their_nodes_mean() {
    drawn_graphs(0..1500, &[2, 6, 4, 6]);
}

/// Rows of these sizes are spread apart if their readers take rows.
#[test]
fn drawn_graphs_of_rows_that_share_cache_sets() {
    drawn_graphs(100..160, &[2, 3, 2, 512]);
    drawn_graphs(160..220, &[1, 512, 3, 2]);
    drawn_graphs(220..280, &[2, 3, 1024]);
}

/// A block of a vision transformer: norm, attention, sum, norm, two linear layers, sum.
fn transformer_block(draw: &mut Draw, x: NodeId, heads: i64) -> NodeId {
    let features = draw.shape(x)[2];
    let normed = draw.layer_norm(x, 1);
    let joint = draw.linear(normed, 3 * features);
    let joint =
        draw.add(Op::Unflatten(ops::Unflatten { dim: 2, sizes: vec![3, heads, -1] }), &[joint], vec![]);
    let joint = draw.add(Op::Permute(ops::Permute { dims: vec![2, 0, 3, 1, 4] }), &[joint], vec![]);
    let parts: Vec<_> = (0..3)
        .map(|i| {
            let part =
                Op::Slice(ops::Slice { dim: 0, start: Some(i), stop: Some(i + 1), step: 1, index: true });
            let part = draw.add(part, &[joint], vec![]);
            draw.add(Op::Flatten(ops::Flatten { start: 0, end: 1 }), &[part], vec![])
        })
        .collect();
    let attended = draw.add(Op::Attention(ops::Attention { scale: None, masked: false }), &parts, vec![]);
    let attended = draw.add(Op::Permute(ops::Permute { dims: vec![0, 2, 1, 3] }), &[attended], vec![]);
    let attended = draw.add(Op::Flatten(ops::Flatten { start: 2, end: 3 }), &[attended], vec![]);
    let projected = draw.linear(attended, features);
    let x = draw.add(Op::Binary(ops::Binary::new(BinaryOp::Add)), &[projected, x], vec![]);
    let normed = draw.layer_norm(x, 1);
    let wide = draw.linear(normed, 4 * features);
    let wide = draw.add(Op::Activation(Activation::Gelu), &[wide], vec![]);
    let narrow = draw.linear(wide, features);
    draw.add(Op::Binary(ops::Binary::new(BinaryOp::Add)), &[x, narrow], vec![])
}

/// The kernels of a plan, without the instruction set.
fn kernels(network: &Network, shape: Shape) -> Vec<String> {
    let plan = network.plan(&[shape]).unwrap().to_string();
    let kernel = |line: &str| {
        let name = line.split_whitespace().find(|word| word.starts_with("f32_"))?;
        Some(
            name.rsplit_once('_')
                .map_or(name, |(name, isa)| if isa == "copy" { "f32_copy" } else { name })
                .to_owned(),
        )
    };
    plan.lines().filter_map(kernel).collect()
}

#[test]
fn a_transformer_block_is_seven_steps() {
    for shape in [[2, 50, 64], [2, 9, 512]] {
        let (mut draw, x) = Draw::new(1, &shape);
        let y = transformer_block(&mut draw, x, 4);
        let network = Network::new(optimize(draw.traced(&[y]))).unwrap();
        let found = kernels(&network, Shape::new(&shape));
        let product = &found[1];
        let expected =
            ["f32_layer_norm", product, "f32_attention", product, "f32_layer_norm", product, product];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_sequence_has_the_same_bits_in_any_batch() {
    let (mut draw, x) = Draw::new(1, &[1, 50, 64]);
    let y = transformer_block(&mut draw, x, 4);
    let input: Vec<f32> = (0..5 * 50 * 64).map(|_| draw.number()).collect();
    let network = Network::new(optimize(draw.traced(&[y]))).unwrap();
    let together = run(&network, Shape::new(&[5, 50, 64]), &input).remove(0);
    for (n, (input, together)) in input.chunks(50 * 64).zip(together.chunks(50 * 64)).enumerate() {
        let alone = run(&network, Shape::new(&[1, 50, 64]), input).remove(0);
        assert!(alone.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()), "sequence {n}");
    }
}

/// A block of `ConvNeXt`: convolution, permutation, norm, two linear layers, permutation, scale,
/// sum.
#[test]
fn a_block_that_permutes_and_scales_copies_nothing() {
    let shape = [2, 16, 6, 5];
    let (mut draw, x) = Draw::new(1, &shape);
    let x = draw.conv(x, 16, 1);
    let y = draw.conv(x, 16, 3);
    let y = draw.add(Op::Permute(ops::Permute { dims: vec![0, 2, 3, 1] }), &[y], vec![]);
    let y = draw.layer_norm(y, 1);
    let y = draw.linear(y, 64);
    let y = draw.add(Op::Activation(Activation::Gelu), &[y], vec![]);
    let y = draw.linear(y, 16);
    let y = draw.add(Op::Permute(ops::Permute { dims: vec![0, 3, 1, 2] }), &[y], vec![]);
    let scale = draw.constant(&[16, 1, 1]);
    let y = draw.add(Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[scale, y], vec![]);
    let y = draw.add(Op::Binary(ops::Binary::new(BinaryOp::Add)), &[y, x], vec![]);
    let z = draw.conv(y, 16, 1);
    let network = Network::new(optimize(draw.traced(&[z]))).unwrap();
    let found = kernels(&network, Shape::new(&shape));
    let copies = found.iter().filter(|name| *name == "f32_copy").count();
    // The copies at the input and the output.
    assert!(copies <= 2 && found.len() <= 8, "{found:?}");
    assert!(!found.iter().any(|name| name.contains("add") || name.contains("mul")), "{found:?}");
}

#[test]
fn a_channel_shuffle_is_one_copy() {
    let shape = [2, 16, 6, 5];
    let (mut draw, x) = Draw::new(1, &shape);
    let x = draw.conv(x, 16, 1);
    let y = draw.add(Op::Unflatten(ops::Unflatten { dim: 1, sizes: vec![2, -1] }), &[x], vec![]);
    let y = draw.add(Op::Permute(ops::Permute { dims: vec![0, 2, 1, 3, 4] }), &[y], vec![]);
    let y = draw.add(Op::Flatten(ops::Flatten { start: 1, end: 2 }), &[y], vec![]);
    let z = draw.conv(y, 16, 3);
    let whole = Network::new(optimize(draw.traced(&[z]))).unwrap();
    let (mut draw, x) = Draw::new(1, &shape);
    let x = draw.conv(x, 16, 1);
    let z = draw.conv(x, 16, 3);
    let plain = Network::new(optimize(draw.traced(&[z]))).unwrap();
    let count = |network: &Network| kernels(network, Shape::new(&shape)).len();
    assert_eq!(count(&whole), count(&plain) + 1);
}
