//! Whole graphs: passes, views, in-place results and shared memory must not change the results.

use std::sync::Arc;

use rvision::graph::ops::{self, Conv2d, ConvPadding, Window};
use rvision::graph::passes::optimize;
use rvision::graph::{Graph, GraphBuilder, NodeId, Op};
use rvision::plan::{Network, Workspaces};
use rvision::tensor::{Activation, BinaryOp, Param, Shape};

/// Reproducible values between -1 and 1.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Builds graphs with drawn parameters.
struct Draw {
    builder: GraphBuilder,
    params: Vec<Arc<Param>>,
    nodes: usize,
}

impl Draw {
    fn new() -> Self {
        Self { builder: GraphBuilder::new(), params: Vec::new(), nodes: 0 }
    }

    fn param(&mut self, shape: &[usize], scale: f32, offset: f32) -> Arc<Param> {
        let shape = Shape::new(shape);
        let data: Vec<f32> =
            noise(shape.numel(), 7 + self.params.len() as u64).iter().map(|x| x * scale + offset).collect();
        let param = Arc::new(Param::new(shape, &data).unwrap());
        self.params.push(Arc::clone(&param));
        param
    }

    fn add(&mut self, op: Op, inputs: &[NodeId], params: Vec<Option<Arc<Param>>>) -> NodeId {
        self.nodes += 1;
        self.builder.add(&format!("node{}", self.nodes), op, inputs, params).unwrap()
    }

    fn channels(&self, x: NodeId) -> usize {
        self.builder.shape(x).unwrap()[1]
    }

    fn conv_with(&mut self, x: NodeId, oc: usize, kernel: usize, op: Conv2d) -> NodeId {
        let ic = self.channels(x) / op.groups;
        let scale = (3.0 / (ic * kernel * kernel) as f32).sqrt();
        let weight = self.param(&[oc, ic, kernel, kernel], scale, 0.0);
        let bias = self.param(&[oc], 0.1, 0.0);
        self.add(Op::Conv2d(op), &[x], vec![Some(weight), Some(bias)])
    }

    fn conv(&mut self, x: NodeId, oc: usize, kernel: usize, stride: usize) -> NodeId {
        self.conv_with(x, oc, kernel, plain(stride, kernel / 2))
    }

    fn bn(&mut self, x: NodeId) -> NodeId {
        let c = self.channels(x);
        let [weight, bias] = [self.param(&[c], 0.2, 1.0), self.param(&[c], 0.2, 0.0)];
        let [mean, var] = [self.param(&[c], 0.2, 0.0), self.param(&[c], 0.3, 1.0)];
        let params = vec![Some(weight), Some(bias), Some(mean), Some(var)];
        self.add(Op::BatchNorm(ops::BatchNorm { eps: 1e-5 }), &[x], params)
    }

    fn relu(&mut self, x: NodeId) -> NodeId {
        self.add(Op::Activation(Activation::Relu), &[x], vec![])
    }

    fn plus(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.add(Op::Binary(ops::Binary::new(BinaryOp::Add)), &[a, b], vec![])
    }

    fn cat(&mut self, parts: &[NodeId]) -> NodeId {
        self.add(Op::Concat(ops::Concat { dim: 1 }), parts, vec![])
    }

    fn linear(&mut self, x: NodeId, out: usize) -> NodeId {
        let k = *self.builder.shape(x).unwrap().last().unwrap();
        let weight = self.param(&[out, k], (3.0 / k as f32).sqrt(), 0.0);
        let bias = self.param(&[out], 0.1, 0.0);
        self.add(Op::Linear(ops::Linear), &[x], vec![Some(weight), Some(bias)])
    }

    fn traced(mut self, outputs: &[NodeId]) -> Graph {
        for &id in outputs {
            self.builder.output(id).unwrap();
        }
        self.builder.traced().clone()
    }
}

fn plain(stride: usize, padding: usize) -> Conv2d {
    Conv2d { stride: [stride; 2], padding: ConvPadding::Explicit([padding; 4]), dilation: [1, 1], groups: 1 }
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

fn run(network: &Network, shapes: &[Shape], inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    run_chosen_for(network, shapes, shapes, inputs)
}

fn run_chosen_for(
    network: &Network,
    shapes: &[Shape],
    chosen_for: &[Shape],
    inputs: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let plan = network.plan_chosen_for(shapes, chosen_for).unwrap();
    let mut outputs: Vec<Vec<f32>> = plan.outputs().iter().map(|s| vec![f32::NAN; s.numel()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    network.run(&plan, &inputs, &mut slices, &mut || false).unwrap();
    outputs
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f32, d| if m.is_nan() || m > d { m } else { d })
        / largest
}

/// A small network with everything that passes and plans transform: stem, pool, residual blocks
/// with and without a projection, branches, nested branches, dropout, flatten, linear layers.
fn everything() -> Graph {
    let mut d = Draw::new();
    let x = d.builder.input("x", &[1, 3, 33, 40]).unwrap();
    let c = d.conv(x, 24, 7, 2);
    let c = d.bn(c);
    let c = d.relu(c);
    let p = d.add(Op::MaxPool2d(ops::MaxPool2d(window(3, 2, 1))), &[c], vec![]);
    // A residual block with the identity as shortcut, then one with a projection.
    let a = d.conv(p, 24, 3, 1);
    let a = d.bn(a);
    let a = d.relu(a);
    let a = d.conv(a, 24, 3, 1);
    let a = d.bn(a);
    let s = d.plus(a, p);
    let s = d.relu(s);
    let b = d.conv(s, 40, 3, 2);
    let b = d.bn(b);
    let b = d.relu(b);
    let b = d.conv(b, 40, 1, 1);
    let b = d.bn(b);
    let short = d.conv(s, 40, 1, 2);
    let short = d.bn(short);
    let s = d.plus(b, short);
    let s = d.relu(s);
    // A convolution that reads what is added to it.
    let t = d.conv(s, 40, 3, 1);
    let t = d.plus(t, s);
    // Branches, one of them a concatenation itself, one a plain value with other readers.
    let b1 = d.conv(t, 16, 1, 1);
    let b1 = d.relu(b1);
    let b2 = d.conv(t, 17, 3, 1);
    let b3 = d.add(
        Op::AvgPool2d(ops::AvgPool2d {
            window: window(3, 1, 1),
            count_include_pad: true,
            divisor_override: None,
        }),
        &[t],
        vec![],
    );
    let inner = d.cat(&[b2, b3]);
    let joint = d.cat(&[b1, inner, t, b1]);
    let n = d.bn(joint);
    let n = d.add(Op::Activation(Activation::Silu), &[n], vec![]);
    let n = d.add(Op::Identity(ops::Identity), &[n], vec![]);
    let pooled =
        d.add(Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(3), Some(2)] }), &[n], vec![]);
    let flat = d.builder.flatten("flat", pooled, 1, -1).unwrap();
    let h = d.linear(flat, 50);
    let h = d.add(Op::Activation(Activation::Tanh), &[h], vec![]);
    let y = d.linear(h, 10);
    let total = d.add(
        Op::BinaryScalar(ops::BinaryScalar { op: BinaryOp::Sub, scalar: 2.0, reversed: true }),
        &[flat],
        vec![],
    );
    d.traced(&[y, joint, total, t, y, x])
}

#[test]
fn fused_graphs_compute_what_the_traced_ones_do() {
    let traced = everything();
    let fused = optimize(traced.clone());
    assert!(fused.nodes.len() + 12 < traced.nodes.len());
    let (traced, fused) = (Network::new(traced).unwrap(), Network::new(fused).unwrap());
    for shape in [[1, 3, 33, 40], [2, 3, 64, 47], [3, 3, 224, 224]] {
        let shape = Shape::new(&shape);
        let x = noise(shape.numel(), 3);
        let expected = run(&traced, &[shape], std::slice::from_ref(&x));
        let found = run(&fused, &[shape], &[x]);
        assert_eq!(found.len(), 6);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(difference(found, expected) < 2e-5, "{}", difference(found, expected));
        }
    }
}

#[test]
fn a_pictures_bits_do_not_depend_on_its_batch() {
    let network = Network::new(optimize(everything())).unwrap();
    let one = Shape::new(&[1, 3, 56, 45]);
    let pictures: Vec<Vec<f32>> = (0..5).map(|i| noise(one.numel(), i)).collect();
    let together = run(&network, &[Shape::new(&[5, 3, 56, 45])], &[pictures.concat()]);
    for (i, picture) in pictures.iter().enumerate() {
        for (joint, alone) in together.iter().zip(run(&network, &[one], std::slice::from_ref(picture))) {
            assert_eq!(joint[i * alone.len()..(i + 1) * alone.len()], alone);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_threads() {
    let network = Network::new(optimize(everything())).unwrap();
    let shape = Shape::new(&[2, 3, 61, 80]);
    let x = noise(shape.numel(), 1);
    let results: Vec<_> = [1, 2, 3, 5]
        .into_iter()
        .map(|threads| {
            rvision::threads::set_num_threads(threads).unwrap();
            run(&network, &[shape], std::slice::from_ref(&x))
        })
        .collect();
    assert!(results.iter().all(|r| *r == results[0]));
}

#[test]
fn a_profile_has_every_step_in_time_of_the_runs() {
    let graph = everything();
    let network = Network::new(optimize(graph.clone())).unwrap();
    let shape = Shape::new(&[1, 3, 33, 40]);
    let plan = network.plan(&[shape]).unwrap();
    let input = noise(shape.numel(), 5);
    let expected = run(&network, &[shape], std::slice::from_ref(&input));
    let mut outputs: Vec<Vec<f32>> = plan.outputs().iter().map(|s| vec![f32::NAN; s.numel()]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    let profile = network.profile(&plan, &[&input], &mut slices, 3, &mut || false).unwrap();
    assert_eq!(outputs, expected);
    let text = plan.to_string();
    assert_eq!(profile.steps.len(), text.lines().count() - 1);
    for (step, line) in profile.steps.iter().zip(text.lines()) {
        assert_eq!(line.split_whitespace().nth(1), Some(step.kernel));
        // Under its own name, and not that of a batch norm or activation that was fused into it.
        let norm_or_activation = |name: &str| {
            graph
                .nodes
                .iter()
                .any(|node| node.name == name && matches!(node.op, Op::BatchNorm(_) | Op::Activation(_)))
        };
        assert!(step.macs == 0 || !norm_or_activation(&step.name), "{}", step.name);
        assert!(step.bytes >= step.shape.numel() * size_of::<f32>());
        assert!(step.times.least <= step.times.median);
    }
    assert!(profile.steps.iter().any(|step| step.macs > 0));
    let least: std::time::Duration = profile.steps.iter().map(|step| step.times.least).sum();
    assert!(!least.is_zero() && least <= profile.run.least && profile.run.least <= profile.run.median);
}

#[test]
fn packed_weights_are_shared_by_sizes_and_graphs() {
    let mut d = Draw::new();
    let x = d.builder.input("x", &[1, 32, 28, 28]).unwrap();
    let c = d.conv(x, 32, 3, 1);
    let params = d.params.clone();
    let graph = d.traced(&[c]);
    let networks = [Network::new(graph.clone()).unwrap(), Network::new(optimize(graph)).unwrap()];
    for network in &networks {
        for size in [28, 30, 56, 112] {
            let shape = Shape::new(&[1, 32, size, size]);
            run(network, &[shape], &[noise(shape.numel(), 5)]);
        }
    }
    assert_eq!(params[0].forms().len(), 1, "{:?}", params[0].forms());
}

#[test]
fn an_empty_batch_is_computed_at_once() {
    let network = Network::new(optimize(everything())).unwrap();
    let outputs = run(&network, &[Shape::new(&[0, 3, 33, 40])], &[vec![]]);
    assert!(outputs.iter().all(Vec::is_empty));
}

/// The definition of a convolution for one picture, in f64.
fn naive(
    x: &[f32],
    [ic, ih, iw]: [usize; 3],
    w: &Param,
    bias: &[f32],
    op: &Conv2d,
    pad: [usize; 2],
    out: [usize; 2],
) -> Vec<f32> {
    let [oc, icg, kh, kw] = [w.shape()[0], w.shape()[1], w.shape()[2], w.shape()[3]];
    let mut y = Vec::new();
    for (o, &bias) in bias.iter().enumerate().take(oc) {
        let first = o / (oc / op.groups) * icg;
        assert!(first + icg <= ic);
        for oy in 0..out[0] {
            for ox in 0..out[1] {
                let mut sum = f64::from(bias);
                for i in 0..icg {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let row = (oy * op.stride[0] + ky * op.dilation[0]).checked_sub(pad[0]);
                            let column = (ox * op.stride[1] + kx * op.dilation[1]).checked_sub(pad[1]);
                            let (Some(row), Some(column)) = (row, column) else { continue };
                            if row < ih && column < iw {
                                let a = f64::from(x[((first + i) * ih + row) * iw + column]);
                                sum += a * f64::from(w.data()[((o * icg + i) * kh + ky) * kw + kx]);
                            }
                        }
                    }
                }
                y.push(sum as f32);
            }
        }
    }
    y
}

#[test]
fn dilated_grouped_and_asymmetrically_padded() {
    let cases = [
        (
            20,
            24,
            3,
            Conv2d {
                stride: [1, 2],
                padding: ConvPadding::Explicit([0, 2, 3, 1]),
                dilation: [2, 1],
                groups: 1,
            },
        ),
        (
            32,
            32,
            3,
            Conv2d {
                stride: [1, 1],
                padding: ConvPadding::Explicit([1, 0, 0, 1]),
                dilation: [1, 1],
                groups: 1,
            },
        ),
        (16, 32, 3, Conv2d { stride: [2, 2], padding: ConvPadding::SameUpper, dilation: [1, 1], groups: 4 }),
        (
            3,
            16,
            5,
            Conv2d {
                stride: [2, 1],
                padding: ConvPadding::Explicit([4, 1, 0, 5]),
                dilation: [1, 2],
                groups: 1,
            },
        ),
        (
            24,
            24,
            5,
            Conv2d { stride: [1, 1], padding: ConvPadding::Explicit([2; 4]), dilation: [1, 1], groups: 24 },
        ),
    ];
    for (ic, oc, kernel, op) in cases {
        let mut d = Draw::new();
        let x = d.builder.input("x", &[1, ic, 19, 23]).unwrap();
        let y = d.conv_with(x, oc, kernel, op);
        let params = d.params.clone();
        let (_, _, oh, ow) = {
            let s = d.builder.shape(y).unwrap();
            (s[0], s[1], s[2], s[3])
        };
        let pad = match op.padding {
            ConvPadding::Explicit(p) => [p[0], p[1]],
            // 19 and 23 at stride 2: 10 and 12 windows need 21 and 25, one zero before.
            ConvPadding::SameUpper => [1, 1],
        };
        let network = Network::new(optimize(d.traced(&[y]))).unwrap();
        let data = noise(ic * 19 * 23, 11);
        let expected = naive(&data, [ic, 19, 23], &params[0], &params[1].data(), &op, pad, [oh, ow]);
        let found = run(&network, &[Shape::new(&[1, ic, 19, 23])], &[data]);
        assert!(difference(&found[0], &expected) < 1e-5, "{op:?}: {}", difference(&found[0], &expected));
    }
}

#[test]
fn thousands_of_shapes_take_no_more_memory() {
    let network = Network::new(optimize(everything())).unwrap();
    let sizes = |i: usize| Shape::new(&[1, 3, 33 + i * 7 % 50, 33 + i * 11 % 60]);
    for i in 0..2000 {
        let shape = sizes(i);
        run(&network, &[shape], &[noise(shape.numel(), 2)]);
    }
    let largest = Shape::new(&[1, 3, 82, 92]);
    let most = network.plan(&[largest]).unwrap().workspace_bytes();
    assert!(network.idle_bytes() <= most, "{} against {most}", network.idle_bytes());
}

#[test]
fn networks_that_take_turns_share_their_memory() {
    let shared = Arc::new(Workspaces::default());
    let shapes = [Shape::new(&[1, 3, 40, 40]), Shape::new(&[1, 3, 60, 50])];
    let networks = shapes.map(|_| Network::sharing(optimize(everything()), Arc::clone(&shared)).unwrap());
    let mut most = 0;
    for (network, shape) in networks.iter().zip(shapes) {
        let alone = run(&Network::new(optimize(everything())).unwrap(), &[shape], &[noise(shape.numel(), 2)]);
        assert_eq!(run(network, &[shape], &[noise(shape.numel(), 2)]), alone);
        most = most.max(network.plan(&[shape]).unwrap().workspace_bytes());
    }
    assert_eq!(networks[0].idle_bytes(), networks[1].idle_bytes());
    assert!(networks[0].idle_bytes() <= most, "{} against {most}", networks[0].idle_bytes());
}

fn dilated(dilation: usize, padding: usize) -> Conv2d {
    Conv2d { dilation: [dilation; 2], ..plain(1, padding) }
}

fn average(window: Window) -> Op {
    Op::AvgPool2d(ops::AvgPool2d { window, count_include_pad: true, divisor_override: None })
}

/// Rows of the only output of rank 4, all channels and columns.
fn rows(values: &[f32], shape: Shape, rows: std::ops::Range<usize>) -> Vec<u32> {
    let [_, channels, height, width] = [shape[0], shape[1], shape[2], shape[3]];
    let of = |c: usize| &values[(c * height + rows.start) * width..(c * height + rows.end) * width];
    (0..channels).flat_map(of).map(|x| x.to_bits()).collect()
}

/// A band of a picture that is computed with the kernels of the whole has the same bits as the
/// whole, except near the band's edges.
#[test]
fn bands_have_the_bits_of_the_whole() {
    // Kernels that are chosen by size; large and dilated windows.
    let mut d = Draw::new();
    let x = d.builder.input("x", &[1, 3, 384, 128]).unwrap();
    let y = d.conv(x, 24, 3, 2);
    let y = d.relu(y);
    let y = d.conv(y, 24, 3, 1);
    let y = d.add(Op::MaxPool2d(ops::MaxPool2d(window(2, 2, 0))), &[y], vec![]);
    let y = d.conv_with(y, 24, 3, Conv2d { groups: 24, ..plain(1, 1) });
    let y = d.add(average(window(2, 2, 0)), &[y], vec![]);
    let y = d.conv(y, 110, 1, 1);
    let y = d.conv(y, 100, 3, 1);
    let strided = d.traced(&[y]);
    let mut d = Draw::new();
    let x = d.builder.input("x", &[1, 3, 384, 128]).unwrap();
    let y = d.conv(x, 24, 3, 4);
    let y = d.conv_with(y, 24, 3, Conv2d { groups: 24, ..dilated(2, 2) });
    let y = d.add(average(window(7, 1, 3)), &[y], vec![]);
    let y = d.conv_with(y, 20, 3, dilated(2, 2));
    let dense = d.traced(&[y]);
    let whole = Shape::new(&[1, 3, 384, 128]);
    let picture = noise(whole.numel(), 21);
    for (graph, start, height, stride, inside) in [(strided, 64, 96, 8, 4..8), (dense, 64, 256, 4, 16..48)] {
        let network = Network::new(optimize(graph)).unwrap();
        let expected = run(&network, &[whole], std::slice::from_ref(&picture));
        let shape = network.plan(&[whole]).unwrap().outputs()[0];
        let band = Shape::new(&[1, 3, height, 128]);
        let values = |c: usize| &picture[(c * 384 + start) * 128..(c * 384 + start + height) * 128];
        let values: Vec<f32> = (0..3).flat_map(values).copied().collect();
        let found = run_chosen_for(&network, &[band], &[whole], &[values]);
        let band_shape = network.plan_chosen_for(&[band], &[whole]).unwrap().outputs()[0];
        let in_whole = start / stride + inside.start..start / stride + inside.end;
        assert!(rows(&found[0], band_shape, inside) == rows(&expected[0], shape, in_whole));
        let kernels = |chosen_for: Shape| {
            let plan = network.plan_chosen_for(&[band], &[chosen_for]).unwrap().to_string();
            plan.lines()
                .map(|line| line.split_whitespace().nth(1).unwrap_or("").to_owned())
                .collect::<Vec<_>>()
        };
        if stride == 8 {
            assert_ne!(kernels(whole), kernels(band), "the band alone would have other kernels");
        }
    }
}

#[test]
fn kernels_are_chosen_for_larger_pictures_only() {
    let mut d = Draw::new();
    let x = d.builder.input("x", &[1, 3, 16, 16]).unwrap();
    let y = d.conv(x, 4, 3, 1);
    let network = Network::new(d.traced(&[y])).unwrap();
    let inputs = [Shape::new(&[1, 3, 16, 16])];
    for wrong in [&[1, 3, 15, 16][..], &[1, 4, 16, 16], &[3, 16, 16]] {
        let message = network.plan_chosen_for(&inputs, &[Shape::new(wrong)]).err().unwrap().to_string();
        assert!(message.contains("chosen_for[0]"), "{message}");
    }
    assert!(network.plan_chosen_for(&inputs, &[]).is_err());
}

/// Pools of dense networks: averages with dilation, and windows that extend far beyond the edge.
#[test]
fn pools_that_only_passes_make() {
    let pools = [
        (Window { dilation: [3, 2], ..window(2, 1, 0) }, false),
        (Window { dilation: [2, 3], padding: [1, 0, 5, 4], ..window(7, 1, 0) }, false),
        (Window { dilation: [2, 2], padding: [0, 0, 4, 4], ..window(3, 1, 0) }, true),
    ];
    for (window, is_max) in pools {
        let mut d = Draw::new();
        let x = d.builder.input("x", &[1, 3, 20, 23]).unwrap();
        let y = d.add(average(self::window(1, 1, 0)), &[x], vec![]);
        let mut graph = d.traced(&[y]);
        graph.nodes[y.0].op = if is_max { Op::MaxPool2d(ops::MaxPool2d(window)) } else { average(window) };
        let network = Network::new(graph).unwrap();
        let shape = Shape::new(&[1, 3, 20, 23]);
        let out = network.plan(&[shape]).unwrap().outputs()[0];
        let x = noise(shape.numel(), 4);
        let found = run(&network, &[shape], std::slice::from_ref(&x));
        let mut expected = Vec::new();
        for (c, oy, ox) in
            (0..3).flat_map(|c| (0..out[2]).flat_map(move |oy| (0..out[3]).map(move |ox| (c, oy, ox))))
        {
            let (mut sum, mut largest) = (0.0_f64, f32::NEG_INFINITY);
            for (ky, kx) in (0..window.kernel[0]).flat_map(|ky| (0..window.kernel[1]).map(move |kx| (ky, kx)))
            {
                let row = (oy + ky * window.dilation[0]).wrapping_sub(window.padding[0]);
                let column = (ox + kx * window.dilation[1]).wrapping_sub(window.padding[1]);
                if row < 20 && column < 23 {
                    let value = x[(c * 20 + row) * 23 + column];
                    sum += f64::from(value);
                    largest = largest.max(value);
                }
            }
            let count = (window.kernel[0] * window.kernel[1]) as f64;
            expected.push(if is_max { largest } else { (sum / count) as f32 });
        }
        assert!(difference(&found[0], &expected) < 1e-6, "{window:?}");
    }
}

/// A pool after a 3x3 convolution is fused with it, unless the convolution's value has another
/// reader or the windows are different. The bits are the same in both cases.
#[test]
fn a_pool_goes_with_its_convolution() {
    let network = |wanted: bool, ceil_mode: bool| {
        let mut d = Draw::new();
        let x = d.builder.input("x", &[1, 3, 40, 31]).unwrap();
        let c = d.conv(x, 24, 3, 1);
        let c = d.conv(c, 40, 3, 1);
        let c = d.bn(c);
        let c = d.relu(c);
        let window = Window { kernel: [2, 2], stride: [2, 2], padding: [0; 4], dilation: [1, 1], ceil_mode };
        let y = d.add(Op::MaxPool2d(ops::MaxPool2d(window)), &[c], vec![]);
        let y = d.conv(y, 7, 1, 1);
        let outputs: &[NodeId] = if wanted { &[y, c] } else { &[y] };
        Network::new(optimize(d.traced(outputs))).unwrap()
    };
    let vectors = rvision::simd::Isa::current().unwrap() != rvision::simd::Isa::Portable;
    for shape in [[2, 3, 40, 31], [1, 3, 29, 30], [1, 3, 6, 6]] {
        let shape = Shape::new(&shape);
        let x = noise(shape.numel(), 9);
        let even = shape[2].is_multiple_of(2) && shape[3].is_multiple_of(2);
        for ceil_mode in [false, true] {
            let [together, apart] = [false, true].map(|wanted| {
                let network = network(wanted, ceil_mode);
                let fused = network.plan(&[shape]).unwrap().to_string().contains("3x3_max_pool");
                assert_eq!(fused, vectors && !wanted && (even || !ceil_mode));
                run(&network, &[shape], std::slice::from_ref(&x)).swap_remove(0)
            });
            assert_eq!(together, apart);
        }
    }
}

/// The 1x1 convolution of an inverted residual is fused with the depthwise one after it, unless its
/// value has another reader. The bits are the same in both cases, also if the block's input is
/// added and overwritten at the end.
#[test]
fn an_expansion_goes_with_its_depthwise_convolution() {
    let block = |wanted: bool, stride: usize| {
        let mut d = Draw::new();
        let x = d.builder.input("x", &[1, 3, 40, 31]).unwrap();
        let c = d.conv(x, 24, 3, 2);
        let wide = d.conv(c, 100, 1, 1);
        let wide = d.bn(wide);
        let wide = d.relu(wide);
        let deep = d.conv_with(wide, 100, 3, Conv2d { groups: 100, ..plain(stride, 1) });
        let deep = d.relu(deep);
        let mut y = d.conv(deep, 24, 1, 1);
        if stride == 1 {
            y = d.plus(y, c);
        }
        let outputs: &[NodeId] = if wanted { &[y, wide] } else { &[y] };
        Network::new(optimize(d.traced(outputs))).unwrap()
    };
    let vectors = rvision::simd::Isa::current().unwrap() != rvision::simd::Isa::Portable;
    for (stride, shape) in [(1, [2, 3, 40, 31]), (2, [1, 3, 40, 31]), (1, [1, 3, 130, 97])] {
        let shape = Shape::new(&shape);
        let x = noise(shape.numel(), 9);
        let [together, apart] = [false, true].map(|wanted| {
            let network = block(wanted, stride);
            let fused = network.plan(&[shape]).unwrap().to_string().contains("expand_depthwise");
            assert_eq!(fused, vectors && !wanted);
            run(&network, &[shape], std::slice::from_ref(&x)).swap_remove(0)
        });
        assert_eq!(together, apart);
    }
}

/// The 1x1 convolution after a depthwise one is fused with it, with or without an expansion in
/// front, unless its input has another reader. The bits are the same in all cases, whether the
/// residual is the block's input or a value that the sum overwrites.
#[test]
fn a_projection_goes_with_its_depthwise_convolution() {
    #[derive(Clone, Copy, Debug)]
    enum Added {
        Nothing,
        Input,
        Other,
    }
    let block = |wanted: bool, stride: usize, expanded: bool, added: Added| {
        let mut d = Draw::new();
        let x = d.builder.input("x", &[1, 3, 40, 31]).unwrap();
        let c = d.conv(x, 24, 3, 2);
        let (mut wide, channels) = (c, if expanded { 100 } else { 24 });
        if expanded {
            wide = d.conv(wide, channels, 1, 1);
            wide = d.relu(wide);
        }
        let deep = d.conv_with(wide, channels, 3, Conv2d { groups: channels, ..plain(stride, 1) });
        let deep = d.bn(deep);
        let deep = d.relu(deep);
        let y = d.conv(deep, 24, 1, 1);
        let y = d.bn(y);
        let y = match added {
            Added::Nothing => y,
            Added::Input => d.plus(y, c),
            Added::Other => {
                let other = d.conv(x, 24, 3, 2 * stride);
                d.plus(y, other)
            }
        };
        let y = d.relu(y);
        let y = d.conv(y, 5, 3, 1);
        let outputs: &[NodeId] = if wanted { &[y, deep] } else { &[y] };
        Network::new(optimize(d.traced(outputs))).unwrap()
    };
    let vectors = rvision::simd::Isa::current().unwrap() != rvision::simd::Isa::Portable;
    // With many threads, the bands are too short to pay off.
    let few = rvision::threads::pool().unwrap().threads() <= 4;
    let added = |stride: usize| {
        let input = (stride == 1).then_some(Added::Input);
        [Added::Nothing, Added::Other].into_iter().chain(input)
    };
    for (stride, shape) in [(1, [2, 3, 90, 71]), (2, [1, 3, 130, 97]), (1, [1, 3, 210, 230])] {
        let shape = Shape::new(&shape);
        let x = noise(shape.numel(), 9);
        for (added, expanded) in added(stride).flat_map(|added| [(added, true), (added, false)]) {
            let [together, apart] = [false, true].map(|wanted| {
                let network = block(wanted, stride, expanded, added);
                let plan = network.plan(&[shape]).unwrap().to_string();
                let fused = plan.contains("depthwise_project");
                // Without an expansion only large maps gain.
                let pays = expanded || shape[2] > 200;
                assert!(fused == (vectors && pays && !wanted) || !few, "{plan}");
                run(&network, &[shape], std::slice::from_ref(&x)).swap_remove(0)
            });
            assert_eq!(together, apart, "stride {stride}, {added:?} added, expansion: {expanded}");
        }
    }
}
