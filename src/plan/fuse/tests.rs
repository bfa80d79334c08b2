use std::sync::Arc;

use super::*;
use crate::graph::ops::{self, Conv2d, ConvPadding, Window};
use crate::graph::{Graph, GraphBuilder, Op, infer_shapes};
use crate::plan::settings::Settings;
use crate::plan::weights::Epilogues;
use crate::simd::Isa;
use crate::tensor::{BinaryOp, Param, Shape};

struct Draw(GraphBuilder);

impl Draw {
    fn param(shape: &[usize]) -> Arc<Param> {
        let shape = Shape::new(shape);
        Arc::new(Param::new(shape, &vec![1.0; shape.numel()]).unwrap())
    }

    fn conv(&mut self, name: &str, x: NodeId, outputs: usize, kernel: usize, groups: usize) -> NodeId {
        let inputs = self.0.shape(x).unwrap()[1] / groups;
        let padding = ConvPadding::Explicit([kernel / 2; 4]);
        let op = Op::Conv2d(Conv2d { stride: [1, 1], padding, dilation: [1, 1], groups });
        let weight = Self::param(&[outputs, inputs, kernel, kernel]);
        self.0.add(name, op, &[x], vec![Some(weight), None]).unwrap()
    }

    fn pool(&mut self, name: &str, x: NodeId, kernel: usize) -> NodeId {
        let [kernel, stride] = [[kernel; 2], [2; 2]];
        let window = Window { kernel, stride, padding: [0; 4], dilation: [1, 1], ceil_mode: false };
        self.0.add(name, Op::MaxPool2d(ops::MaxPool2d(window)), &[x], vec![]).unwrap()
    }
}

/// The names of the nodes of each unit with several nodes, covered nodes first.
fn joined(graph: &Graph, shape: &[usize], forced: Option<&'static str>) -> Vec<Vec<String>> {
    let shapes = infer_shapes(graph, &[Shape::new(shape)]).unwrap();
    let settings = Settings { isa: Isa::Portable16, forced };
    let epilogues = Epilogues::default();
    let compiler = Compiler::new(graph, &epilogues, shapes.clone(), shapes, settings, 2);
    let units = Units::find(&compiler);
    let mut seen = vec![0; graph.nodes.len()];
    let mut joined = Vec::new();
    for id in (0..graph.nodes.len()).map(NodeId) {
        let Some(unit) = units.of(id) else { continue };
        let nodes: Vec<NodeId> = unit.covered().into_iter().chain([id]).collect();
        for node in &nodes {
            seen[node.0] += 1;
        }
        if nodes.len() > 1 {
            joined.push(nodes.iter().map(|node| graph.nodes[node.0].name.clone()).collect());
        }
    }
    assert!(seen.iter().all(|&times| times == 1), "every node is in one unit: {seen:?}");
    joined
}

#[test]
fn every_node_is_in_one_unit() {
    let mut draw = Draw(GraphBuilder::new());
    let x = draw.0.input("x", &[1, 24, 60, 60]).unwrap();
    // Two inverted residuals: the first projection is the second one's input, not its expansion.
    let wide = draw.conv("expand", x, 96, 1, 1);
    let deep = draw.conv("depthwise", wide, 96, 3, 96);
    let narrow = draw.conv("project", deep, 24, 1, 1);
    let wide = draw.conv("wide", narrow, 96, 1, 1);
    let deep = draw.conv("deep", wide, 96, 3, 96);
    // Factors and a batch norm before 1x1 convolutions.
    let gate = Op::AdaptiveAvgPool2d(ops::AdaptiveAvgPool2d { output: [Some(1), Some(1)] });
    let gate = draw.0.add("gate", gate, &[deep], vec![]).unwrap();
    let scaled = draw.0.add("scaled", ops::Binary::new(BinaryOp::Mul), &[gate, deep], vec![]).unwrap();
    let y = draw.conv("after_gate", scaled, 32, 1, 1);
    let norm = [0; 4].map(|_| Some(Draw::param(&[32]))).to_vec();
    let y = draw.0.add("norm", ops::BatchNorm { eps: 1e-5 }, &[y], norm).unwrap();
    let y = draw.conv("after_norm", y, 32, 1, 1);
    // Pools of convolutions; the second one's windows overlap.
    let y = draw.conv("conv", y, 32, 3, 1);
    let y = draw.pool("halved", y, 2);
    let y = draw.conv("other", y, 32, 3, 1);
    let y = draw.pool("pooled", y, 3);
    draw.0.output(y).unwrap();
    let graph = draw.0.traced().clone();
    let expected = [
        &["expand", "depthwise", "project"][..],
        &["wide", "deep"],
        &["scaled", "after_gate"],
        &["norm", "after_norm"],
        &["conv", "halved"],
    ];
    assert_eq!(joined(&graph, &[2, 24, 60, 60], None), expected);
    // A forced kernel computes single convolutions.
    assert!(joined(&graph, &[2, 24, 60, 60], Some("f32_im2col_matrixmultiply")).is_empty());
}

#[test]
fn a_value_that_others_read_is_computed() {
    let mut draw = Draw(GraphBuilder::new());
    let x = draw.0.input("x", &[1, 24, 60, 60]).unwrap();
    let wide = draw.conv("expand", x, 96, 1, 1);
    let deep = draw.conv("depthwise", wide, 96, 3, 96);
    let y = draw.conv("project", deep, 32, 1, 1);
    let halved = draw.pool("halved", y, 2);
    for id in [wide, deep, halved, y] {
        draw.0.output(id).unwrap();
    }
    assert!(joined(&draw.0.traced().clone(), &[1, 24, 60, 60], None).is_empty());
}
