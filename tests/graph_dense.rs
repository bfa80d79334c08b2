//! The dense form of classifiers: how each operation is rewritten, and what is refused.

use std::sync::Arc;

use rvision::graph::dense::{Dense, Reach, Squeeze, convolutionize};
use rvision::graph::ops::{self, Conv2d, ConvPadding, Window};
use rvision::graph::{Graph, GraphBuilder, NodeId, Op, infer_shapes};
use rvision::tensor::{Activation, BinaryOp, Param, Shape};

fn param(dims: &[usize]) -> Arc<Param> {
    Arc::new(Param::zeros(Shape::new(dims)).unwrap())
}

fn conv(stride: usize, padding: usize) -> Op {
    Op::Conv2d(Conv2d {
        stride: [stride; 2],
        padding: ConvPadding::Explicit([padding; 4]),
        dilation: [1, 1],
        groups: 1,
    })
}

fn window(kernel: usize, stride: usize, ceil_mode: bool) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 4], dilation: [1, 1], ceil_mode }
}

struct Net(GraphBuilder);

impl Net {
    fn new(side: usize) -> (Self, NodeId) {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", &[1, 3, side, side]).unwrap();
        (Self(builder), x)
    }

    fn add(&mut self, name: &str, op: Op, inputs: &[NodeId], params: Vec<Option<Arc<Param>>>) -> NodeId {
        self.0.add(name, op, inputs, params).unwrap()
    }

    fn conv(&mut self, x: NodeId, out: usize, kernel: usize, stride: usize, padding: usize) -> NodeId {
        let channels = self.0.shape(x).unwrap()[1];
        self.add(
            "conv",
            conv(stride, padding),
            &[x],
            vec![Some(param(&[out, channels, kernel, kernel])), Some(param(&[out]))],
        )
    }

    fn linear(&mut self, x: NodeId, out: usize) -> NodeId {
        let features = self.0.shape(x).unwrap()[1];
        self.add(
            "fc",
            Op::Linear(ops::Linear),
            &[x],
            vec![Some(param(&[out, features])), Some(param(&[out]))],
        )
    }

    fn flatten(&mut self, x: NodeId) -> NodeId {
        self.0.flatten("flatten", x, 1, -1).unwrap()
    }

    fn graph(mut self, output: NodeId) -> Graph {
        self.0.output(output).unwrap();
        self.0.traced().clone()
    }
}

fn dense(graph: &Graph, side: usize, stride: Option<usize>) -> Dense {
    let input = Shape::new(&[1, 3, side, side]);
    convolutionize(graph, input, stride.map(|s| [s; 2]), Squeeze::Refused).unwrap()
}

fn map_size(dense: &Dense, side: usize) -> [usize; 2] {
    let shapes = infer_shapes(&dense.graph, &[Shape::new(&[1, 3, side, side])]).unwrap();
    let out = shapes[dense.graph.outputs[0].0];
    [out[2], out[3]]
}

fn op<'g>(dense: &'g Dense, name: &str) -> &'g Op {
    &dense.graph.nodes.iter().find(|node| node.name == name).unwrap().op
}

/// 5x5 stride 2, pool 2, linear on the 3x3 map of a 15-pixel window.
fn small() -> Graph {
    let (mut net, x) = Net::new(15);
    let x = net.conv(x, 8, 5, 2, 0);
    let x = net.add("pool", Op::MaxPool2d(ops::MaxPool2d(window(2, 2, false))), &[x], vec![]);
    let x = net.flatten(x);
    let x = net.linear(x, 10);
    net.graph(x)
}

#[test]
fn a_linear_layer_becomes_a_convolution_over_its_map_with_the_same_memory() {
    let graph = small();
    let dense = dense(&graph, 15, None);
    assert_eq!((dense.geometry.stride, dense.geometry.native_stride), ([4, 4], [4, 4]));
    assert_eq!(map_size(&dense, 15), [1, 1]);
    assert_eq!(map_size(&dense, 15 + 4 * 3), [4, 4]);
    let weight = |graph: &Graph| {
        let node = graph.nodes.iter().find(|node| node.name == "fc").unwrap();
        let weight = node.param(0).unwrap();
        (weight.shape(), weight.data().as_ptr())
    };
    let (shape, memory) = weight(&dense.graph);
    assert_eq!(shape[..], [10, 8, 3, 3]);
    assert_eq!(memory, weight(&graph).1);
}

#[test]
fn what_a_cell_sees_is_counted_through_all_layers() {
    let geometry = dense(&small(), 15, None).geometry;
    // 5, then 2 of them 2 apart, then 3 of those 4 apart.
    assert_eq!(geometry.receptive_field, [Reach { start: 0, size: 5 + 2 + 2 * 4 }; 2]);
    assert_eq!(geometry.window, [15, 15]);
}

#[test]
fn strides_finer_than_asked_for_stay_and_others_become_dilations() {
    let graph = small();
    let two = dense(&graph, 15, Some(2));
    let Op::Conv2d(first) = op(&two, "conv") else { panic!() };
    let Op::MaxPool2d(ops::MaxPool2d(pool)) = op(&two, "pool") else { panic!() };
    let Op::Conv2d(last) = op(&two, "fc") else { panic!() };
    assert_eq!((first.stride, pool.stride, pool.dilation), ([2, 2], [1, 1], [1, 1]));
    assert_eq!((last.stride, last.dilation), ([1, 1], [2, 2]));
    assert_eq!(map_size(&two, 15 + 2 * 5), [6, 6]);

    let one = dense(&graph, 15, Some(1));
    let Op::Conv2d(first) = op(&one, "conv") else { panic!() };
    let Op::MaxPool2d(ops::MaxPool2d(pool)) = op(&one, "pool") else { panic!() };
    assert_eq!((first.stride, pool.stride, pool.dilation), ([1, 1], [1, 1], [2, 2]));
    assert_eq!(map_size(&one, 15 + 5), [6, 6]);

    // Coarser, and no multiple: what is not in the network moves the last window.
    let six = dense(&graph, 15, Some(6));
    let Op::Conv2d(last) = op(&six, "fc") else { panic!() };
    assert_eq!(last.stride, [3, 3]);
    assert_eq!(map_size(&six, 15 + 6 * 2), [3, 3]);
    assert_eq!(map_size(&dense(&graph, 15, Some(8)), 15 + 8), [2, 2]);
}

#[test]
fn padding_grows_with_the_dilation_and_a_ceiling_becomes_padding_below() {
    let (mut net, x) = Net::new(12);
    let x = net.conv(x, 4, 3, 2, 1);
    let x = net.add("pool", Op::MaxPool2d(ops::MaxPool2d(window(3, 2, true))), &[x], vec![]);
    let x = net.conv(x, 4, 3, 1, 1);
    let x =
        net.add("avg", Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1); 2] }), &[x], vec![]);
    let x = net.flatten(x);
    let graph = net.graph(x);
    let one = dense(&graph, 12, Some(1));
    let Op::MaxPool2d(ops::MaxPool2d(pool)) = op(&one, "pool") else { panic!() };
    assert_eq!((pool.padding, pool.dilation, pool.ceil_mode), ([0, 0, 2, 2], [2, 2], false));
    let Op::Conv2d(second) = op(&one, "conv_1") else { panic!() };
    assert_eq!((second.padding, second.dilation), (ConvPadding::Explicit([4; 4]), [4, 4]));
    let Op::AvgPool2d(ops::AvgPool2d { window: last, .. }) = op(&one, "avg") else { panic!() };
    assert_eq!((last.kernel, last.dilation, last.stride), ([3, 3], [4, 4], [1, 1]));
    // At the network's own stride nothing changes but the last pool.
    let own = dense(&graph, 12, None);
    let Op::MaxPool2d(ops::MaxPool2d(pool)) = op(&own, "pool") else { panic!() };
    assert!(pool.ceil_mode);
}

#[test]
fn padding_that_follows_the_picture_stays_what_it_was_for_the_window() {
    let (mut net, x) = Net::new(16);
    let same =
        Op::Conv2d(Conv2d { stride: [2, 2], padding: ConvPadding::SameUpper, dilation: [1, 1], groups: 1 });
    let x = net.add("conv", same, &[x], vec![Some(param(&[4, 3, 3, 3])), None]);
    let x = net.add("mean", Op::Mean(ops::Mean { dims: vec![2, 3], keepdim: false }), &[x], vec![]);
    let x = net.linear(x, 5);
    let dense = dense(&net.graph(x), 16, None);
    let Op::Conv2d(conv) = op(&dense, "conv") else { panic!() };
    assert_eq!(conv.padding, ConvPadding::Explicit([0, 0, 1, 1]));
    assert!(matches!(op(&dense, "mean"), Op::AvgPool2d(_)));
    assert_eq!(map_size(&dense, 18), [2, 2]);
}

#[test]
fn an_even_adaptive_pool_slides_and_an_uneven_one_goes_into_the_kernel() {
    let net = |side: usize| {
        let (mut net, x) = Net::new(side);
        let x = net.conv(x, 4, 1, 2, 0);
        let x = net.add(
            "avg",
            Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(3); 2] }),
            &[x],
            vec![],
        );
        let x = net.flatten(x);
        let x = net.linear(x, 5);
        net.graph(x)
    };
    let even = dense(&net(12), 12, None);
    assert_eq!(even.geometry.native_stride, [2, 2]);
    let Op::AvgPool2d(ops::AvgPool2d { window, .. }) = op(&even, "avg") else { panic!() };
    let Op::Conv2d(last) = op(&even, "fc") else { panic!() };
    assert_eq!((window.kernel, window.stride, last.dilation), ([2, 2], [1, 1], [2, 2]));
    assert_eq!(map_size(&even, 14), [2, 2]);

    let uneven = dense(&net(14), 14, None);
    let node = uneven.graph.nodes.iter().find(|node| node.name == "fc").unwrap();
    assert_eq!(node.param(0).unwrap().shape()[..], [5, 4, 7, 7]);
    assert!(matches!(op(&uneven, "avg"), Op::Identity(_)));

    // With something in between that is not linear, no kernel can take it.
    let (mut net, x) = Net::new(14);
    let x =
        net.add("avg", Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(3); 2] }), &[x], vec![]);
    let x = net.add("relu", Op::Activation(Activation::Relu), &[x], vec![]);
    let x = net.flatten(x);
    let x = net.linear(x, 5);
    let error = convolutionize(&net.graph(x), Shape::new(&[1, 3, 14, 14]), None, Squeeze::Refused);
    assert!(error.unwrap_err().to_string().starts_with("relu: "));
}

#[test]
fn squeeze_and_excitation_is_refused_or_shared() {
    let (mut net, x) = Net::new(8);
    let x = net.conv(x, 4, 3, 1, 1);
    let s = net.add(
        "squeeze",
        Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1); 2] }),
        &[x],
        vec![],
    );
    let s = net.conv(s, 4, 1, 1, 0);
    let x = net.add("scale", Op::Binary(ops::Binary::new(BinaryOp::Mul)), &[s, x], vec![]);
    let x = net.add("mean", Op::Mean(ops::Mean { dims: vec![2, 3], keepdim: false }), &[x], vec![]);
    let graph = net.graph(x);
    let input = Shape::new(&[1, 3, 8, 8]);
    let error = convolutionize(&graph, input, None, Squeeze::Refused).unwrap_err().to_string();
    assert!(error.starts_with("squeeze: ") && error.contains("squeeze='global'"), "{error}");
    let dense = convolutionize(&graph, input, None, Squeeze::Global).unwrap();
    assert!(matches!(op(&dense, "squeeze"), Op::AdaptiveAvgPool2d(_)));
    assert_eq!(map_size(&dense, 10), [3, 3]);
}

#[test]
fn what_is_no_classifier_is_refused_with_the_reason() {
    let (mut net, x) = Net::new(8);
    let x = net.conv(x, 4, 3, 1, 1);
    let input = Shape::new(&[1, 3, 8, 8]);
    let error = convolutionize(&net.graph(x), input, None, Squeeze::Refused).unwrap_err().to_string();
    assert!(error.contains("(1, 4, 8, 8), which is no vector of classes"), "{error}");
    let error = convolutionize(&small(), Shape::new(&[3, 15]), None, Squeeze::Refused);
    assert!(error.unwrap_err().to_string().contains("pictures (N, C, H, W)"));
    let error = convolutionize(&small(), Shape::new(&[1, 3, 15, 15]), Some([0, 1]), Squeeze::Refused);
    assert!(error.unwrap_err().to_string().contains("stride must be positive"));
}
