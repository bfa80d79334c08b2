//! Where every value lies: views, in-place results, parts of concatenations, graph outputs.
//!
//! Nodes are lowered in the graph's order. A value is a [`Place`]: a storage and a view of it.
//! Identity, permutations, slices and most reshapes are other views of the same storage and cost
//! nothing; parts of a concatenation and results that are graph outputs are written where they
//! belong; a residual or pointwise input that dies is overwritten by the result.

use super::layout::{layouts, orders};
use super::memory::{Lifetime, place};
use super::rows;
use super::{Cost, Operand, Plan, Step, Storage};
use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Result;
use crate::graph::ops;
use crate::graph::passes::split_broadcast_residuals;
use crate::graph::{Graph, Node, NodeId, Op, infer_shapes};
use crate::kernels::{Kernel, copy};
use crate::simd::Isa;
use crate::tensor::{AlignedBuf, Param, Shape, View};

/// A value's storage and where in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub storage: Storage,
    pub view: View,
}

impl Place {
    /// Another view of the same storage.
    pub fn with(self, view: View) -> Self {
        Self { view, ..self }
    }
}

/// What is known of a node's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// It lies there.
    At(Place),
    /// A feature map that was flattened to one vector per picture, in torch's order, which is not
    /// the order it lies in. A linear layer reads the map itself; others get a copy.
    Flat(Place),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    size: usize,
    /// First and last step that touch it.
    steps: Option<(usize, usize)>,
    /// Reads that are still to come, of all values in it.
    live: usize,
    /// Shared by the parts of a concatenation.
    joint: bool,
}

struct PendingStep {
    name: String,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Place>,
    output: Place,
    shared: Option<usize>,
    cost: Cost,
}

/// The state of one compilation.
pub(super) struct Compiler<'a> {
    pub graph: &'a Graph,
    pub isa: Isa,
    pub threads: usize,
    shapes: Vec<Shape>,
    /// The shapes for which kernels are chosen.
    chosen_for: Vec<Shape>,
    /// How each value lies, if nothing else decides.
    layouts: Vec<View>,
    /// Parameters that steps read as they are.
    constants: Vec<Arc<AlignedBuf>>,
    /// How often each value is read, graph outputs included.
    readers: Vec<usize>,
    /// Values that must be written to a certain place.
    wanted: Vec<Option<Place>>,
    values: Vec<Option<Value>>,
    /// Nodes that are computed with the one that reads them, and have no value of their own.
    inner: Vec<bool>,
    slots: Vec<Slot>,
    steps: Vec<PendingStep>,
}

impl Plan {
    /// A plan of `graph` for inputs of these shapes, with the kernels that inputs of the shapes
    /// `chosen_for` would have, which are the same or larger pictures.
    ///
    /// # Errors
    /// If the shapes do not fit, or memory for packed weights cannot be had.
    pub(super) fn compile(
        graph: &Graph,
        inputs: &[Shape],
        chosen_for: &[Shape],
        isa: Isa,
        threads: usize,
    ) -> Result<Self> {
        let graph = split_broadcast_residuals(graph, inputs)?;
        let shapes = infer_shapes(&graph, inputs)?;
        let chosen = if chosen_for == inputs { shapes.clone() } else { infer_shapes(&graph, chosen_for)? };
        let mut compiler = Compiler::new(&graph, shapes, chosen, isa, threads);
        compiler.want_outputs();
        compiler.want_concat_parts();
        compiler.inner = compiler.find_inner();
        for id in compiler.find_prologues().into_iter().chain(compiler.find_pooled()?) {
            compiler.inner[id.0] = true;
        }
        for id in (0..graph.nodes.len()).map(NodeId) {
            if compiler.is_inner(id) {
                continue;
            }
            let value = compiler.lower(id)?;
            compiler.assign(id, value);
        }
        compiler.deliver_outputs();
        Ok(compiler.finish(inputs, chosen_for))
    }
}

/// Whether a node's kernel writes its result to a view that lies like this.
fn writes_to(op: &Op, view: &View) -> bool {
    match op {
        Op::Concat(_) | Op::Softmax(_) | Op::Mean(_) | Op::Pad(_) | Op::Roll(_) => true,
        Op::Conv2d(_)
        | Op::MaxPool2d(_)
        | Op::AvgPool2d(_)
        | Op::AdaptiveAvgPool2d(_)
        | Op::AdaptiveMaxPool2d(_)
        | Op::LocalResponseNorm(_) => view.feature_map().channels_last(),
        Op::Linear(_) => rows::are_rows(view, 1),
        Op::LayerNorm(ops::LayerNorm { shape, .. }) => rows::are_rows(view, shape.len()),
        Op::Normalize(ops::Normalize { dim, .. }) => rows::are_rows(&rows::with_last(view, *dim), 1),
        Op::Attention(_) | Op::MatMul(_) => {
            view.shape.last().is_none_or(|&size| size <= 1) || view.strides().last() == Some(&1)
        }
        op => is_pointwise(op),
    }
}

/// Whether a node works element by element, so that any layout will do.
fn is_pointwise(op: &Op) -> bool {
    matches!(op, Op::Activation(_) | Op::PRelu(_) | Op::BatchNorm(_) | Op::Binary(_) | Op::BinaryScalar(_))
}

/// Bytes of a step's operands, each value once.
fn operand_bytes(inputs: &[Place], output: &Place) -> usize {
    let same = |a: &Place, b: &Place| a.storage == b.storage && a.view == b.view;
    let read = |(i, place): (usize, &Place)| {
        if inputs[..i].iter().any(|before| same(before, place)) { 0 } else { place.view.distinct() }
    };
    let values = inputs.iter().enumerate().map(read).sum::<usize>() + output.view.distinct();
    values * size_of::<f32>()
}

impl<'a> Compiler<'a> {
    fn new(graph: &'a Graph, shapes: Vec<Shape>, chosen_for: Vec<Shape>, isa: Isa, threads: usize) -> Self {
        let count = graph.nodes.len();
        let mut readers = vec![0; count];
        for id in graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
            readers[id.0] += 1;
        }
        Self {
            graph,
            isa,
            threads,
            layouts: layouts(graph, &shapes, &orders(graph, &shapes)),
            shapes,
            chosen_for,
            constants: Vec::new(),
            readers,
            wanted: vec![None; count],
            values: vec![None; count],
            inner: vec![false; count],
            slots: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// A node's shape.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.shapes[id.0]
    }

    /// The shape that a node's value has where kernels are chosen.
    pub fn chosen_shape(&self, id: NodeId) -> Shape {
        self.chosen_for[id.0]
    }

    /// How a node's value lies, if nothing else decides: in the node's order, with gaps between rows
    /// that would share a cache set.
    pub fn layout(&self, id: NodeId) -> View {
        self.layouts[id.0]
    }

    /// A parameter as a value.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`] if it must be widened.
    pub fn constant(&mut self, param: &Param) -> Result<Place> {
        let values = param.floats()?;
        let known = self.constants.iter().position(|other| Arc::ptr_eq(other, &values));
        let index = known.unwrap_or_else(|| {
            self.constants.push(values);
            self.constants.len() - 1
        });
        Ok(Place { storage: Storage::Constant(index), view: View::contiguous(param.shape()) })
    }

    /// Results that can be written straight into the returned arrays.
    fn want_outputs(&mut self) {
        for (i, &id) in self.graph.outputs.iter().enumerate() {
            let view = View::contiguous(self.shapes[id.0]);
            let op = &self.graph.nodes[id.0].op;
            // Kernels of pictures write channels last, which is also C order for one channel or
            // one pixel.
            let in_order = is_pointwise(op) || self.layout(id).is_contiguous();
            if in_order && writes_to(op, &view) && self.wanted[id.0].is_none() && !matches!(op, Op::Concat(_))
            {
                self.wanted[id.0] = Some(Place { storage: Storage::Output(i), view });
            }
        }
    }

    /// Branches of a concatenation write into its memory. Outer ones come first, so that an inner
    /// one's parts land in the outer one.
    fn want_concat_parts(&mut self) {
        for id in (0..self.graph.nodes.len()).rev() {
            let node = &self.graph.nodes[id];
            let Op::Concat(ops::Concat { dim }) = node.op else { continue };
            let whole = if let Some(place) = self.wanted[id] {
                place
            } else {
                let place = self.temporary(self.layout(NodeId(id)));
                if let Storage::Slot(slot) = place.storage {
                    self.slots[slot].joint = true;
                }
                self.wanted[id] = Some(place);
                place
            };
            let mut start = 0;
            for &part in &node.inputs {
                let len = self.shapes[part.0][dim];
                let once = node.inputs.iter().filter(|&&other| other == part).count() == 1;
                let view = whole.view.slice(dim, start, len, 1);
                if once && self.wanted[part.0].is_none() && writes_to(&self.graph.nodes[part.0].op, &view) {
                    self.wanted[part.0] = Some(whole.with(view));
                }
                start += len;
            }
        }
    }

    /// A new area of the arena with this layout.
    pub fn temporary(&mut self, view: View) -> Place {
        self.slots.push(Slot { size: view.end(), ..Slot::default() });
        Place { storage: Storage::Slot(self.slots.len() - 1), view }
    }

    /// Where a node's result goes: where it is wanted, else to a new area of this layout.
    pub fn target(&mut self, id: NodeId, layout: View) -> Place {
        debug_assert_eq!(layout.shape, self.shapes[id.0]);
        self.wanted[id.0].unwrap_or_else(|| self.temporary(layout))
    }

    /// Where a node's result goes if it may overwrite `input`, which the node reads element by
    /// element: there, if nobody else reads it any more.
    pub fn target_over(&mut self, id: NodeId, input: Place, layout: View) -> Place {
        if self.wanted[id.0].is_none()
            && input.view.same_layout(&layout)
            && let Storage::Slot(slot) = input.storage
            && self.slots[slot].live == 1
            && !self.slots[slot].joint
        {
            return input;
        }
        self.target(id, layout)
    }

    /// Where a node's value lies.
    pub fn place(&mut self, id: NodeId) -> Place {
        match self.values[id.0].expect("values are lowered in order") {
            Value::At(place) => place,
            Value::Flat(map) => {
                // One row per picture, in torch's order.
                let dense = self.copy(&self.graph.nodes[id.0].name, map, View::contiguous(map.view.shape));
                let view = dense.view.reshape(self.shapes[id.0]).expect("a dense view has any shape");
                let place = dense.with(view);
                self.assign(id, Value::At(place));
                place
            }
        }
    }

    /// A node's value without making a copy of a flattened map.
    pub fn value(&self, id: NodeId) -> Value {
        self.values[id.0].expect("values are lowered in order")
    }

    /// A copy of `from` in a new area of that layout.
    pub fn copy(&mut self, name: &str, from: Place, layout: View) -> Place {
        let to = self.temporary(layout);
        self.copy_to(name, from, to);
        to
    }

    fn copy_to(&mut self, name: &str, from: Place, to: Place) {
        let desc = copy::CopyDesc { input: from.view, output: to.view };
        self.step(name, copy::prepare(&desc, self.threads), &[from], to);
    }

    /// Copy a value to where a concatenation or an output wants it, if it is not there.
    pub fn deliver(&mut self, name: &str, from: Place, to: Place) {
        if from.storage != to.storage || from.view != to.view {
            self.copy_to(name, from, to);
        }
    }

    /// This place with its pixels' channels side by side, by a copy if need be.
    pub fn channels_last(&mut self, name: &str, place: Place) -> Place {
        if place.view.feature_map().channels_last() {
            return place;
        }
        self.copy(name, place, View::physical(place.view.shape))
    }

    /// Add a step.
    pub fn step(&mut self, name: &str, kernel: Box<dyn Kernel>, inputs: &[Place], output: Place) {
        self.product_step(name, 0, kernel, inputs, output);
    }

    /// Add a step of so many multiply-adds.
    pub fn product_step(
        &mut self,
        name: &str,
        macs: usize,
        kernel: Box<dyn Kernel>,
        inputs: &[Place],
        output: Place,
    ) {
        let cost = Cost { macs, bytes: operand_bytes(inputs, &output) };
        self.costed_step(name, cost, kernel, inputs, output);
    }

    /// Add a step whose cost is more than what its operands show. Steps without results (an empty
    /// batch) are left out.
    pub fn costed_step(
        &mut self,
        name: &str,
        cost: Cost,
        kernel: Box<dyn Kernel>,
        inputs: &[Place],
        output: Place,
    ) {
        if output.view.shape.numel() == 0 {
            return;
        }
        let scratch = kernel.scratch();
        let shared = (scratch.shared > 0).then(|| {
            self.slots.push(Slot { size: scratch.shared, ..Slot::default() });
            self.slots.len() - 1
        });
        let at = self.steps.len();
        let touched = inputs.iter().chain([&output]).filter_map(|p| match p.storage {
            Storage::Slot(slot) => Some(slot),
            _ => None,
        });
        for slot in touched.chain(shared) {
            let (first, _) = self.slots[slot].steps.unwrap_or((at, at));
            self.slots[slot].steps = Some((first, at));
        }
        self.steps.push(PendingStep {
            name: name.to_owned(),
            kernel,
            inputs: inputs.to_vec(),
            output,
            shared,
            cost,
        });
    }

    /// Record a node's value, and that its operands have been read once.
    fn assign(&mut self, id: NodeId, value: Value) {
        let (Value::At(place) | Value::Flat(place)) = value;
        if let Storage::Slot(slot) = place.storage {
            self.slots[slot].live += self.readers[id.0];
        }
        let materialised = self.values[id.0].replace(value).is_some();
        if materialised {
            return;
        }
        // What nodes without a value of their own read is read here.
        let mut read = self.graph.nodes[id.0].inputs.clone();
        let mut at = 0;
        while at < read.len() {
            if self.is_inner(read[at]) {
                read.extend(&self.graph.nodes[read[at].0].inputs);
            }
            at += 1;
        }
        for input in read {
            if let Some(Value::At(place) | Value::Flat(place)) = self.values[input.0]
                && let Storage::Slot(slot) = place.storage
            {
                self.slots[slot].live = self.slots[slot].live.saturating_sub(1);
            }
        }
    }

    fn deliver_outputs(&mut self) {
        for (i, &id) in self.graph.outputs.iter().enumerate() {
            let from = self.place(id);
            let to = Place { storage: Storage::Output(i), view: View::contiguous(self.shapes[id.0]) };
            let name = &self.graph.nodes[id.0].name;
            self.deliver(name, from, to);
        }
    }

    /// Give every slot its place in the arena.
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
        let operand = |p: &Place| Operand { storage: p.storage, offset: p.view.offset };
        let layers: HashMap<_, _> =
            self.graph.nodes.iter().map(|node| (node.name.as_str(), node.traced_name())).collect();
        let mut local = 0;
        let mut phases = Vec::new();
        let mut steps = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.into_iter().enumerate() {
            // A multiple of a cache line, so that every worker's part begins on one.
            local = local.max(step.kernel.scratch().local.next_multiple_of(16));
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
            outputs: self.graph.outputs.iter().map(|id| self.shapes[id.0]).collect(),
        }
    }

    /// Whether a node is computed with the one that reads it.
    pub fn is_inner(&self, id: NodeId) -> bool {
        self.inner[id.0]
    }

    /// Whether a node's value has one reader, and no place where it must be.
    pub fn is_read_once(&self, id: NodeId) -> bool {
        self.readers[id.0] == 1 && self.wanted[id.0].is_none() && !self.graph.outputs.contains(&id)
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &'a Node {
        &self.graph.nodes[id.0]
    }

    /// The place that a concatenation or an output wants this node's value at.
    pub fn wanted(&self, id: NodeId) -> Option<Place> {
        self.wanted[id.0]
    }
}
