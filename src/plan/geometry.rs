//! Descriptors of convolutions between maps.

use super::values::Compiler;
use crate::graph::ops::{self, Conv2d};
use crate::graph::{Node, NodeId, Op};
use crate::kernels::conv::{ConvDesc, Padding};
use crate::tensor::{Activation, ElementType, FeatureMap, Shape};

/// The geometry of a convolution between two maps (not the dense predictor's `Geometry`).
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    groups: usize,
    weights: ElementType,
}

impl Geometry {
    /// The geometry of a convolution of a map of this shape.
    fn of(op: &Conv2d, node: &Node, input: Shape) -> Self {
        let weight = node.params[0].as_ref().expect("a convolution's weight");
        let kernel = [weight.shape()[2], weight.shape()[3]];
        let ([top, left, bottom, right], _) =
            ops::conv_geometry(op, kernel, [input[2], input[3]]).expect("shapes are inferred");
        Self {
            kernel,
            stride: op.stride,
            dilation: op.dilation,
            padding: Padding { top, left, bottom, right },
            groups: op.groups,
            weights: weight.element_type(),
        }
    }

    /// The descriptor of the convolution between these maps.
    pub fn desc(
        &self,
        input: FeatureMap,
        output: FeatureMap,
        residual: Option<FeatureMap>,
        activation: Activation,
    ) -> ConvDesc {
        let Self { kernel, stride, dilation, padding, groups, weights } = *self;
        ConvDesc { input, output, residual, kernel, stride, dilation, padding, groups, weights, activation }
    }

    /// A linear layer's kernel, which covers a whole map of this size.
    pub fn whole(node: &Node, kernel: [usize; 2]) -> Self {
        let weights = node.params[0].as_ref().expect("a linear layer's weight").element_type();
        Self { kernel, stride: [1, 1], dilation: [1, 1], padding: Padding::default(), groups: 1, weights }
    }
}

impl Compiler<'_> {
    /// A convolution's geometry.
    ///
    /// # Panics
    /// If the node is not a convolution.
    pub fn geometry(&self, id: NodeId) -> Geometry {
        let node = self.node(id);
        let Op::Conv2d(op) = &node.op else { unreachable!("a convolution") };
        Geometry::of(op, node, self.shape(node.inputs[0]))
    }

    /// A node's value as a map in its default layout.
    pub fn feature_map(&self, id: NodeId) -> FeatureMap {
        self.layout(id).feature_map()
    }

    /// The descriptor of a convolution that reads a map with this layout.
    pub fn conv_desc(&self, id: NodeId, input: FeatureMap, residual: Option<FeatureMap>) -> ConvDesc {
        let output = self.wanted(id).map_or_else(|| self.feature_map(id), |place| place.view.feature_map());
        self.conv_desc_to(id, input, output, residual)
    }

    /// The descriptor of a convolution between these maps.
    pub fn conv_desc_to(
        &self,
        id: NodeId,
        input: FeatureMap,
        output: FeatureMap,
        residual: Option<FeatureMap>,
    ) -> ConvDesc {
        self.geometry(id).desc(input, output, residual, self.node(id).fused.activation)
    }

    /// The convolution for which the kernel of a node's `desc` is chosen: that of the pictures
    /// `chosen_for`. Kernels of linear layers compute the same sums for any number of rows and do
    /// not need this.
    pub fn chosen_desc(&self, id: NodeId, desc: &ConvDesc) -> ConvDesc {
        let node = self.node(id);
        let [input, output] = [node.inputs[0], id].map(|id| self.chosen_shape(id));
        let Op::Conv2d(_) = node.op else { return *desc };
        if [input, output] == [self.shape(node.inputs[0]), self.shape(id)] {
            return *desc;
        }
        ConvDesc { input: resized(desc.input, input), output: resized(desc.output, output), ..*desc }
    }
}

/// A map of the same layout with the pictures of another shape.
pub fn resized(map: FeatureMap, shape: Shape) -> FeatureMap {
    let gap = map.row_stride.saturating_sub(map.width * map.pixel_stride);
    let (height, width) = (shape[2], shape[3]);
    FeatureMap { batch: shape[0], height, width, row_stride: width * map.pixel_stride + gap, ..map }
}
