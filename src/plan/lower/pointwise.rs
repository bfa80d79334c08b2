//! Lowering of elementwise operations.

use crate::error::Result;
use crate::graph::NodeId;
use crate::kernels::elementwise;
use crate::plan::values::{Compiler, Place};
use crate::plan::weights;
use crate::tensor::{Activation, BinaryOp};

impl Compiler<'_> {
    pub fn activation(&mut self, id: NodeId, activation: Activation) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let layout = self.pointwise_layout(id, from.view);
        let to = self.target_over(id, from, layout);
        let desc = elementwise::UnaryDesc { input: from.view, output: to.view, activation };
        let kernel = elementwise::prepare_unary(&desc, self.isa, self.threads);
        self.step(&node.name, kernel, &[from], to);
        to
    }

    pub fn batch_norm(&mut self, id: NodeId, eps: f64) -> Result<Place> {
        let node = self.node(id);
        let (scale, shift) = weights::batch_norm(node, eps);
        let (from, to, desc) = self.per_channel(id);
        let kernel = elementwise::prepare_affine(&desc, &scale, &shift, self.isa, self.threads)?;
        self.step(&node.name, kernel, &[from], to);
        Ok(to)
    }

    pub fn prelu(&mut self, id: NodeId) -> Result<Place> {
        let node = self.node(id);
        let slope = node.params[0].as_ref().expect("PReLU's weight");
        let (from, to, desc) = self.per_channel(id);
        let kernel = elementwise::prepare_prelu(&desc, &slope.data(), self.isa, self.threads)?;
        self.step(&node.name, kernel, &[from], to);
        Ok(to)
    }

    fn per_channel(&mut self, id: NodeId) -> (Place, Place, elementwise::ChannelDesc) {
        let from = self.place(self.node(id).inputs[0]);
        let layout = self.pointwise_layout(id, from.view);
        let to = self.target_over(id, from, layout);
        let activation = self.node(id).fused.activation;
        let desc = elementwise::ChannelDesc { input: from.view, output: to.view, activation };
        (from, to, desc)
    }

    pub fn binary(&mut self, id: NodeId, op: BinaryOp) -> Result<Place> {
        let [left, right] = [0, 1].map(|i| self.place(self.node(id).inputs[i]));
        self.with_operand(id, op, left, elementwise::Operand::View(right.view), false, &[left, right])
    }

    pub fn select(&mut self, id: NodeId) -> Result<Place> {
        let [condition, left, right] = [0, 1, 2].map(|i| self.place(self.node(id).inputs[i]));
        let to = self.target(id, self.layout(id));
        let desc = elementwise::WhereDesc {
            condition: condition.view,
            left: elementwise::Operand::View(left.view),
            right: elementwise::Operand::View(right.view),
            output: to.view,
            activation: Activation::Identity,
        };
        let kernel = elementwise::prepare_where(&desc, self.isa, self.threads)?;
        self.step(&self.node(id).name, kernel, &[condition, left, right], to);
        Ok(to)
    }

    pub fn binary_scalar(&mut self, id: NodeId, op: BinaryOp, scalar: f32, reversed: bool) -> Result<Place> {
        let from = self.place(self.node(id).inputs[0]);
        self.with_operand(id, op, from, elementwise::Operand::Scalar(scalar), reversed, &[from])
    }

    fn with_operand(
        &mut self,
        id: NodeId,
        op: BinaryOp,
        left: Place,
        right: elementwise::Operand,
        swapped: bool,
        operands: &[Place],
    ) -> Result<Place> {
        let layout = self.pointwise_layout(id, left.view);
        let to = self.target_over(id, left, layout);
        let activation = self.node(id).fused.activation;
        let desc =
            elementwise::BinaryDesc { op, left: left.view, right, swapped, output: to.view, activation };
        let kernel = elementwise::prepare_binary(&desc, self.isa, self.threads)?;
        self.step(&self.node(id).name, kernel, operands, to);
        Ok(to)
    }
}
