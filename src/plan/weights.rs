//! Converts a convolution or linear node's parameters to a packed form and an epilogue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::graph::{Affine, Node};
use crate::kernels::Epilogue;
use crate::kernels::conv::{Candidate, ConvDesc};
use crate::tensor::{AlignedBuf, Packed};

/// The node's weight, packed for this candidate.
pub(super) fn packed(node: &Node, desc: &ConvDesc, part: &Candidate) -> Result<Packed> {
    part.packed(desc, node.params[0].as_ref().expect("a weight"))
}

/// Scale and shift of a network's layers, by name, for the epilogues of all its plans.
#[derive(Default)]
pub(super) struct Epilogues(Mutex<HashMap<String, [Option<Arc<AlignedBuf>>; 2]>>);

impl Epilogues {
    /// The node's bias, batch norm and activation as an epilogue.
    pub fn of(&self, node: &Node) -> Result<Epilogue> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some([scale, shift]) = known.get(&node.name) {
            let (scale, shift) = (scale.clone(), shift.clone());
            return Ok(Epilogue { scale, shift, activation: node.fused.activation });
        }
        let made = epilogue(node)?;
        known.insert(node.name.clone(), [made.scale.clone(), made.shift.clone()]);
        Ok(made)
    }
}

fn epilogue(node: &Node) -> Result<Epilogue> {
    let activation = node.fused.activation;
    let bias = node.params.get(1).and_then(Option::as_ref).map(|p| p.data());
    let Some(Affine { scale, shift }) = &node.fused.affine else {
        return Epilogue::new(None, bias.as_deref(), activation);
    };
    let shift = match (bias, shift, scale) {
        (None, shift, _) => shift.as_ref().map(|s| s.to_vec()),
        (Some(bias), shift, scale) => Some(
            bias.iter()
                .enumerate()
                .map(|(c, &b)| {
                    let scaled = f64::from(b) * scale.as_ref().map_or(1.0, |s| f64::from(s[c]));
                    (scaled + shift.as_ref().map_or(0.0, |s| f64::from(s[c]))) as f32
                })
                .collect(),
        ),
    };
    Epilogue::new(scale.as_deref(), shift.as_deref(), activation)
}

/// Scale and shift per channel of a separate batch norm: weight and bias (both optional), running
/// mean and variance.
pub(super) fn batch_norm(node: &Node, eps: f64) -> (Vec<f32>, Vec<f32>) {
    let param = |i: usize| node.params[i].as_ref().map(|p| p.data());
    let (weight, bias) = (param(0), param(1));
    let (mean, variance) = (param(2).expect("running mean"), param(3).expect("running variance"));
    mean.iter()
        .zip(variance.iter())
        .enumerate()
        .map(|(c, (&mean, &variance))| {
            let scale = weight.as_ref().map_or(1.0, |w| f64::from(w[c])) / (f64::from(variance) + eps).sqrt();
            let shift = bias.as_ref().map_or(0.0, |b| f64::from(b[c])) - f64::from(mean) * scale;
            (scale as f32, shift as f32)
        })
        .unzip()
}
