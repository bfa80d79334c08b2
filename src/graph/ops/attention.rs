//! Attention.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::{DenseForm, PER_WINDOW};
use super::operation::{Arity, Operand, Operation};
use crate::error::Result;
use crate::tensor::{Order, Shape};

/// Operations that relate each part of a picture to all others have no dense form.
pub const DENSE: DenseForm<'static> = DenseForm::Refused {
    what: "attention, which relates each part of the picture to all others, in a dense form",
    advice: PER_WINDOW,
};

/// `softmax(scale Q K^T + mask) V`. Inputs: queries `(..., L, E)`, keys `(..., S, E)`, values
/// `(..., S, F)`, and, if masked, a value that is added to the scores and broadcasts to
/// `(..., L, S)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Factor of the scores; `None` is `1 / sqrt(E)`.
    pub scale: Option<f32>,
    /// Whether there is a fourth input.
    pub masked: bool,
}

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn arity(&self) -> Arity {
        Arity::Exactly(3 + usize::from(self.masked))
    }

    fn check(&self, context: &Context) -> Result<()> {
        context.is("scale", "a finite number", self.scale, self.scale.is_none_or(f32::is_finite))
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let [query, key, value] = [inputs[0], inputs[1], inputs[2]];
        let (leads, [queries, depth]) = context.matrices(query)?;
        let (key_leads, [keys, key_depth]) = context.matrices(key)?;
        let (value_leads, [values, width]) = context.matrices(value)?;
        if key.rank() != query.rank() || key_depth != depth {
            return Err(context.mismatch("queries (..., L, E) and keys (..., S, E)".into(), query, key));
        }
        if value.rank() != query.rank() || values != keys {
            return Err(context.mismatch("keys (..., S, E) and values (..., S, F)".into(), key, value));
        }
        let leads = context.broadcast(context.broadcast(leads, key_leads)?, value_leads)?;
        let scores = context.shape(&[&leads, &[queries, keys][..]].concat())?;
        if let Some(&mask) = inputs.get(3) {
            context.broadcast_to(mask, scores, "a mask and scores (..., L, S)")?;
        }
        context.shape(&[&leads, &[queries, width][..]].concat())
    }

    /// Scores (L, S) from E features each, then outputs (L, F) from S values each.
    fn multiply_adds(&self, _: &Context, inputs: &[Shape], output: Shape) -> u64 {
        let [queries, keys, ..] = inputs else { return 0 };
        let ([.., features], [.., places, _], [rows @ .., _]) = (&**queries, &**keys, &*output) else {
            return 0;
        };
        Shape::new(rows).product_with(&[*places, *features]).saturating_add(output.product_with(&[*places]))
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        self.scale.map_or(Ok(()), |scale| write!(out, " scale {scale}"))
    }

    /// A token's features of all heads are contiguous.
    fn order(&self, _: &[Operand], output: Shape) -> Order {
        match output.rank() {
            rank @ 3.. => Order::new((0..rank - 3).chain([rank - 2, rank - 3, rank - 1])),
            rank => Order::logical(rank),
        }
    }

    fn dense(&self) -> DenseForm<'_> {
        DENSE
    }
}
