//! Padding with a value's own elements.

use std::fmt::{self, Write};

use super::context::Context;
use super::dense_form::{DenseForm, PER_WINDOW};
use super::operation::Operation;
use crate::error::Result;
use crate::tensor::{EdgeMode, Shape};

/// Elements of a value, added before and after each of its dimensions: torch's `pad` with mode
/// reflect, replicate or circular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PadEdges {
    /// Elements before and after, one pair per dimension.
    pub pads: Vec<[usize; 2]>,
    /// Which elements.
    pub mode: EdgeMode,
}

impl Operation for PadEdges {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, context: &Context, inputs: &[Shape]) -> Result<Shape> {
        let (x, Self { pads, mode }) = (inputs[0], self);
        if pads.len() != x.rank() {
            return Err(context.attribute("pads", format!("one pair per dimension of the input {x}"), pads));
        }
        // As in torch, also where nothing is padded.
        if *mode != EdgeMode::Circular && x.iter().skip(1).any(|&size| size == 0) {
            return Err(context.rank("an input of which only the first size may be 0", x));
        }
        let mut dims = Vec::with_capacity(pads.len());
        for (dim, (&size, pad)) in x.iter().zip(pads).enumerate() {
            if pad.iter().any(|&side| side > mode.most(size)) {
                let most = match mode {
                    EdgeMode::Reflect => format!("less than the size {size}"),
                    EdgeMode::Replicate => format!("0 for the size {size}"),
                    EdgeMode::Circular => format!("at most the size {size}"),
                };
                let expected = format!("{most} of dimension {dim} of the input {x} in mode {}", mode.name());
                return Err(context.attribute("padding", expected, pad));
            }
            dims.push(size.saturating_add(pad[0]).saturating_add(pad[1]));
        }
        context.shape(&dims)
    }

    fn rank(&self, _: &Context, _: &[Option<usize>]) -> Option<usize> {
        Some(self.pads.len())
    }

    fn attributes(&self, out: &mut String) -> fmt::Result {
        write!(out, " by {:?} {}", self.pads, self.mode.name())
    }

    fn dense(&self) -> DenseForm<'_> {
        DenseForm::Refused {
            what: "padding with the map's own values, which differ from window to window, in a dense form",
            advice: PER_WINDOW,
        }
    }
}
