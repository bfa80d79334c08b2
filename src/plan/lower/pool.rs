//! Lowering of operations on windows of maps, and of reductions.

use crate::error::Result;
use crate::graph::NodeId;
use crate::graph::ops::{Interpolate, Window};
use crate::kernels::conv::Padding;
use crate::kernels::pool::{self, PoolOp, PoolWindow};
use crate::kernels::reduce::ReduceOp;
use crate::kernels::resize::{self, ResizeDesc};
use crate::kernels::{norm, reduce};
use crate::plan::values::{Compiler, Place};

impl Compiler<'_> {
    pub fn max_pool(&mut self, id: NodeId, window: &Window) -> Result<Place> {
        self.pool(id, PoolOp::Max, sliding(window))
    }

    pub fn adaptive_max_pool(&mut self, id: NodeId) -> Result<Place> {
        self.pool(id, PoolOp::Max, PoolWindow::Adaptive)
    }

    pub fn average_pool(
        &mut self,
        id: NodeId,
        window: &Window,
        include_padding: bool,
        divisor: Option<usize>,
    ) -> Result<Place> {
        let divisor = divisor.map(|d| i64::try_from(d).unwrap_or(i64::MAX));
        self.pool(id, PoolOp::Average { include_padding, divisor }, sliding(window))
    }

    pub fn adaptive_average_pool(&mut self, id: NodeId) -> Result<Place> {
        let op = PoolOp::Average { include_padding: false, divisor: None };
        self.pool(id, op, PoolWindow::Adaptive)
    }

    fn pool(&mut self, id: NodeId, op: PoolOp, window: PoolWindow) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let from = self.channels_last(&node.name, from);
        let to = self.target(id, self.layout(id));
        let desc =
            pool::PoolDesc { input: from.view.feature_map(), output: to.view.feature_map(), op, window };
        self.step(&node.name, pool::prepare(&desc, self.isa, self.threads)?, &[from], to);
        Ok(to)
    }

    pub fn interpolate(&mut self, id: NodeId, interpolate: &Interpolate) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let from = self.channels_last(&node.name, from);
        let to = self.target(id, self.layout(id));
        let desc = ResizeDesc {
            input: from.view.feature_map(),
            output: to.view.feature_map(),
            mode: interpolate.mode,
            scale_factors: interpolate.factors(),
        };
        self.step(&node.name, resize::prepare(&desc, self.isa, self.threads)?, &[from], to);
        Ok(to)
    }

    pub fn local_response_norm(&mut self, id: NodeId, size: usize, alpha: f32, beta: f32, k: f32) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let from = self.channels_last(&node.name, from);
        let to = self.target(id, self.layout(id));
        let desc = norm::LocalResponseNormDesc {
            input: from.view.feature_map(),
            output: to.view.feature_map(),
            size,
            alpha,
            beta,
            k,
        };
        self.step(&node.name, norm::prepare_local_response(&desc, self.isa, self.threads), &[from], to);
        to
    }

    pub fn reduce(&mut self, id: NodeId, dims: &[usize], op: ReduceOp) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        // For the kernel, the reduced dimensions have size 1.
        let mut kept = from.view.shape;
        for &dim in dims {
            kept[dim] = 1;
        }
        let view = to.view.reshape(kept).expect("a fresh value is dense");
        let desc = reduce::ReduceDesc { input: from.view, output: view, op };
        let kernel = reduce::prepare(&desc, self.isa, self.threads);
        self.step(&node.name, kernel, &[from], to.with(view));
        to
    }
}

fn sliding(window: &Window) -> PoolWindow {
    let Window { kernel, stride, padding: [top, left, bottom, right], dilation, ceil_mode: _ } = *window;
    PoolWindow::Sliding { kernel, stride, dilation, padding: Padding { top, left, bottom, right } }
}
