//! Matrix products.

use super::attention::DENSE;
use super::context::Context;
use super::dense_form::DenseForm;
use super::operation::{Arity, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Matrix products `(..., M, K)` and `(..., K, N)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatMul;

impl Operation for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(2)
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let [left, right] = [inputs[0], inputs[1]];
        let (leads, [rows, depth]) = context.matrices(left)?;
        let (right_leads, [right_depth, columns]) = context.matrices(right)?;
        if depth != right_depth {
            return Err(context.mismatch("multiplied as (..., M, K) and (..., K, N)".into(), left, right));
        }
        context.shape(&[&context.broadcast(leads, right_leads)?, &[rows, columns][..]].concat())
    }

    fn rank(&self, _: &Context, inputs: &[Option<usize>]) -> Option<usize> {
        inputs[0].zip(inputs[1]).map(|(a, b)| a.max(b))
    }

    fn multiply_adds(&self, _: &Context, inputs: &[Shape], output: Shape) -> u64 {
        let depth = inputs.first().and_then(|left| left.last());
        depth.map_or(0, |&depth| output.product_with(&[depth]))
    }

    fn order(&self, _: &[Operand], output: Shape) -> Order {
        Order::logical(output.rank())
    }

    fn dense(&self) -> DenseForm<'_> {
        DENSE
    }
}
