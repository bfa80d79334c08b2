//! Convolutions fused with the 2x2 max pool that reads them.

use crate::graph::ops::{self, Window};
use crate::graph::{NodeId, Op};
use crate::kernels::conv::{self, Candidate, ConvPoolDesc};
use crate::plan::values::Compiler;
use crate::tensor::{FeatureMap, View};

/// A pool fused with the convolution before it.
pub struct ConvPool {
    pub conv: NodeId,
    pub pool: NodeId,
    /// The convolution's candidate, whose packed weights the kernel reads.
    pub part: &'static Candidate,
}

impl ConvPool {
    /// The descriptor, for an input with this layout.
    pub fn desc(&self, compiler: &Compiler<'_>, input: FeatureMap) -> ConvPoolDesc {
        desc(compiler, self.conv, self.pool, input)
    }
}

/// The unit of a pool that is the only reader of a convolution, if there is a fused kernel.
pub fn find(compiler: &Compiler<'_>, id: NodeId) -> Option<ConvPool> {
    let Op::MaxPool2d(ops::MaxPool2d(window)) = &compiler.node(id).op else { return None };
    let inner = compiler.node(id).inputs[0];
    let Op::Conv2d(_) = compiler.node(inner).op else { return None };
    if !is_halving(window) || !compiler.is_read_once(inner) {
        return None;
    }
    let input = View::physical(compiler.shape(compiler.node(inner).inputs[0])).feature_map();
    let desc = desc(compiler, inner, id, input);
    let part = conv::choose(&compiler.chosen_desc(inner, &desc.conv), compiler.isa, None);
    desc.accepts(part).then_some(ConvPool { conv: inner, pool: id, part })
}

fn desc(compiler: &Compiler<'_>, inner: NodeId, pool: NodeId, input: FeatureMap) -> ConvPoolDesc {
    let output = View::physical(compiler.shape(inner)).feature_map();
    let residual = compiler.node(inner).fused.residual.then_some(output);
    let pooled = compiler.wanted(pool).map_or(compiler.layout(pool), |place| place.view);
    ConvPoolDesc { conv: compiler.conv_desc_to(inner, input, output, residual), output: pooled.feature_map() }
}

/// Whether windows have 2x2 pixels, are two apart, and do not extend beyond the edge.
fn is_halving(window: &Window) -> bool {
    let Window { kernel, stride, padding, dilation, ceil_mode: _ } = window;
    [kernel, stride] == [&[2, 2]; 2] && *padding == [0; 4] && *dilation == [1, 1]
}
