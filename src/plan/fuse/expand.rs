//! Fused convolutions: a 1x1 convolution with the depthwise one that reads it, and these with the
//! 1x1 convolution after them.

use crate::graph::{NodeId, Op};
use crate::kernels::conv::{Candidate, ConvDesc, ExpandDepthwiseDesc, ProjectDesc};
use crate::plan::values::Compiler;
use crate::tensor::FeatureMap;

/// A depthwise convolution fused with the 1x1 convolution before it.
pub struct ExpandDepthwise {
    pub expand: NodeId,
    pub depthwise: NodeId,
    /// The candidates of both, whose packed weights the kernel reads.
    pub parts: [&'static Candidate; 2],
}

impl ExpandDepthwise {
    /// The descriptor, for an input with this layout.
    pub fn desc(&self, compiler: &Compiler<'_>, input: FeatureMap) -> ExpandDepthwiseDesc {
        expand_depthwise_desc(compiler, self.expand, self.depthwise, input)
    }
}

/// A 1x1 convolution fused with the depthwise one before it, and with the 1x1 convolution before
/// that if there is one.
pub struct Project {
    pub expand: Option<NodeId>,
    pub depthwise: NodeId,
    /// The 1x1 convolution after the depthwise one.
    pub last: NodeId,
    /// The candidates of these, in order.
    pub parts: Vec<&'static Candidate>,
}

impl Project {
    /// The descriptor, for operands and a result with these layouts.
    pub fn desc(
        &self,
        compiler: &Compiler<'_>,
        input: FeatureMap,
        output: FeatureMap,
        residual: Option<FeatureMap>,
    ) -> ProjectDesc {
        project_desc(compiler, [self.depthwise, self.last], self.expand, input, output, residual)
    }

    /// The convolutions in order.
    pub fn convolutions(&self) -> Vec<NodeId> {
        self.expand.into_iter().chain([self.depthwise, self.last]).collect()
    }
}

/// The unit of a depthwise convolution, if the 1x1 convolution before it can be fused with it.
pub fn expand_depthwise(compiler: &Compiler<'_>, id: NodeId) -> Option<ExpandDepthwise> {
    let expand = read_by(compiler, id)?;
    if compiler.node(id).fused.residual {
        return None;
    }
    let input = compiler.feature_map(compiler.node(expand).inputs[0]);
    let parts = expand_depthwise_desc(compiler, expand, id, input).parts(compiler.isa)?;
    Some(ExpandDepthwise { expand, depthwise: id, parts })
}

/// The unit of a 1x1 convolution, if fusing it with the depthwise one before it pays off.
/// `expansion` returns the 1x1 convolution that a depthwise one is already fused with.
pub fn project(
    compiler: &Compiler<'_>,
    id: NodeId,
    expansion: impl Fn(NodeId) -> Option<NodeId>,
) -> Option<Project> {
    let depthwise = read_by(compiler, id)?;
    let expand = expansion(depthwise);
    let input = compiler.feature_map(compiler.node(expand.unwrap_or(depthwise)).inputs[0]);
    let output = compiler.feature_map(id);
    let residual = compiler.node(id).fused.residual.then_some(output);
    let desc = project_desc(compiler, [depthwise, id], expand, input, output, residual);
    let parts = desc.parts(compiler.isa).filter(|_| desc.pays(compiler.isa, compiler.threads))?;
    Some(Project { expand, depthwise, last: id, parts })
}

/// The convolution without a residual whose only reader is this convolution.
fn read_by(compiler: &Compiler<'_>, id: NodeId) -> Option<NodeId> {
    let Op::Conv2d(_) = compiler.node(id).op else { return None };
    let inner = compiler.node(id).inputs[0];
    let Op::Conv2d(_) = compiler.node(inner).op else { return None };
    (compiler.is_read_once(inner) && !compiler.node(inner).fused.residual).then_some(inner)
}

fn expand_depthwise_desc(
    compiler: &Compiler<'_>,
    expand: NodeId,
    depthwise: NodeId,
    input: FeatureMap,
) -> ExpandDepthwiseDesc {
    ExpandDepthwiseDesc {
        expand: compiler.conv_desc(expand, input, None),
        depthwise: compiler.conv_desc(depthwise, compiler.feature_map(expand), None),
    }
}

fn project_desc(
    compiler: &Compiler<'_>,
    [depthwise, project]: [NodeId; 2],
    expand: Option<NodeId>,
    input: FeatureMap,
    output: FeatureMap,
    residual: Option<FeatureMap>,
) -> ProjectDesc {
    let wide = expand.map_or(input, |expand| compiler.feature_map(expand));
    let project = compiler.conv_desc(project, compiler.feature_map(depthwise), residual);
    ProjectDesc {
        expand: expand.map(|expand| compiler.conv_desc(expand, input, None)),
        depthwise: compiler.conv_desc(depthwise, wide, None),
        project: ConvDesc { output, ..project },
    }
}
