//! Compiles a plan: every node is lowered in the graph's order.

use super::fuse::Units;
use super::memory::{ALIGNMENT, Lifetime, place};
use super::settings::Settings;
use super::values::{Compiler, Place};
use super::weights::Epilogues;
use super::writes::{is_pointwise, writes_to};
use super::{Operand, Plan, Step, Storage};
use std::collections::HashMap;

use crate::error::Result;
use crate::graph::ops::{self};
use crate::graph::passes::split_broadcast_residuals;
use crate::graph::{Graph, NodeId, Op, infer_shapes};
use crate::tensor::{Shape, View};

impl Plan {
    /// A plan of `graph` for inputs of these shapes, with the kernels that would be chosen for
    /// inputs of the shapes `chosen_for`, which are the same or larger pictures.
    ///
    /// # Errors
    /// If the shapes do not fit, or memory for packed weights cannot be allocated.
    pub(super) fn compile(
        graph: &Graph,
        epilogues: &Epilogues,
        inputs: &[Shape],
        chosen_for: &[Shape],
        settings: Settings,
        threads: usize,
    ) -> Result<Self> {
        let graph = split_broadcast_residuals(graph, inputs)?;
        let shapes = infer_shapes(&graph, inputs)?;
        let chosen = if chosen_for == inputs { shapes.clone() } else { infer_shapes(&graph, chosen_for)? };
        let mut compiler = Compiler::new(&graph, epilogues, shapes, chosen, settings, threads);
        compiler.want_outputs();
        compiler.want_concat_parts();
        let units = Units::find(&compiler);
        for id in (0..graph.nodes.len()).map(NodeId) {
            let Some(unit) = units.of(id) else { continue };
            let value = compiler.lower(id, unit)?;
            compiler.assign(id, value);
            for node in unit.covered().into_iter().chain([id]) {
                compiler.read_operands(node);
            }
        }
        compiler.deliver_outputs();
        Ok(compiler.finish(inputs, chosen_for))
    }
}

impl Compiler<'_> {
    /// Requests that results are written directly into the returned arrays, where possible.
    fn want_outputs(&mut self) {
        for (i, &id) in self.graph.outputs.iter().enumerate() {
            let view = View::contiguous(self.shape(id));
            let op = &self.node(id).op;
            // Kernels of pictures write channels last, which equals C order for one channel or one
            // pixel.
            let in_order = is_pointwise(op) || self.layout(id).is_contiguous();
            if in_order && writes_to(op, &view) && self.wanted(id).is_none() && !matches!(op, Op::Concat(_)) {
                self.want(id, Place { storage: Storage::Output(i), view });
            }
        }
    }

    /// Requests that the branches of a concatenation write into its memory. Outer concatenations
    /// come first, so that an inner one's parts are written into the outer one.
    fn want_concat_parts(&mut self) {
        for id in (0..self.graph.nodes.len()).rev().map(NodeId) {
            let node = self.node(id);
            let Op::Concat(ops::Concat { dim }) = node.op else { continue };
            let whole = self.wanted(id).unwrap_or_else(|| self.joint(self.layout(id)));
            self.want(id, whole);
            let mut start = 0;
            for &part in &node.inputs {
                let len = self.shape(part)[dim];
                let once = node.inputs.iter().filter(|&&other| other == part).count() == 1;
                let view = whole.view.slice(dim, start, len, 1);
                if once && self.wanted(part).is_none() && writes_to(&self.node(part).op, &view) {
                    self.want(part, whole.with(view));
                }
                start += len;
            }
        }
    }

    fn deliver_outputs(&mut self) {
        for (i, &id) in self.graph.outputs.iter().enumerate() {
            let from = self.place(id);
            let to = Place { storage: Storage::Output(i), view: View::contiguous(self.shape(id)) };
            self.deliver(&self.node(id).name, from, to);
        }
    }

    /// Assigns every slot its offset in the arena.
    fn finish(self, inputs: &[Shape], chosen_for: &[Shape]) -> Plan {
        let lifetimes: Vec<Lifetime> = self
            .slots
            .iter()
            .map(|slot| match slot.steps {
                Some((first, last)) => Lifetime { size: slot.size, first, last },
                None => Lifetime { size: 0, first: 0, last: 0 },
            })
            .collect();
        let (slots, arena) = place(&lifetimes);
        let outputs = self.graph.outputs.iter().map(|&id| self.shape(id)).collect();
        let operand = |p: &Place| Operand { storage: p.storage, offset: p.view.offset };
        let layers: HashMap<_, _> =
            self.graph.nodes.iter().map(|node| (node.name.as_str(), node.traced_name())).collect();
        let mut local = 0;
        let mut phases = Vec::new();
        let mut steps = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.into_iter().enumerate() {
            // A multiple of a cache line, so that every worker's part is aligned to one.
            let needed = step.kernel.scratch().local.checked_next_multiple_of(ALIGNMENT);
            local = local.max(needed.unwrap_or(usize::MAX));
            phases.extend((0..step.kernel.phases().len()).map(|phase| (index, phase)));
            steps.push(Step {
                layer: layers.get(step.name.as_str()).map_or_else(|| step.name.clone(), |&s| s.to_owned()),
                name: step.name,
                inputs: step.inputs.iter().map(operand).collect(),
                output: operand(&step.output),
                output_shape: step.output.view.shape,
                shared: step.shared,
                cost: step.cost,
                kernel: step.kernel,
            });
        }
        Plan {
            steps,
            phases,
            slots,
            arena,
            local,
            constants: self.constants,
            threads: self.threads,
            inputs: inputs.to_vec(),
            chosen_for: chosen_for.to_vec(),
            outputs,
        }
    }
}
