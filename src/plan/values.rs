//! The place of every value: views, in-place results, parts of concatenations, graph outputs.
//!
//! A node's value is a [`Place`]: a storage and a view of it. [`Compiler`] is the state of one
//! compilation: the places of the lowered values, and the steps that compute them. Identity,
//! permutations, slices and most reshapes are views of the same storage and cost nothing; parts of
//! a concatenation and graph outputs are written directly to their destination; a residual or
//! pointwise input that is no longer needed is overwritten by the result.

use super::layout::{layouts, orders};
use super::settings::Settings;
use super::weights::Epilogues;
use super::{Cost, Storage};
use std::sync::Arc;

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId};
use crate::kernels::{Kernel, copy};
use crate::simd::Isa;
use crate::tensor::{AlignedBuf, Param, Shape, View};

/// The storage of a node's value, and the view of it.
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

/// The state of a node's value during lowering (not the dense rewriter's `Value`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// It is at this place.
    At(Place),
    /// A feature map that was flattened to one vector per picture in torch's order, which is not
    /// its order in memory. A linear layer reads the map itself; other readers get a copy.
    Flat(Place),
}

/// An area of the arena.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Size in bytes.
    pub size: usize,
    /// First and last step that access it.
    pub steps: Option<(usize, usize)>,
    /// Remaining reads of all values in it.
    live: usize,
    /// Whether it is shared by the parts of a concatenation.
    joint: bool,
}

/// A [`super::Step`] while slots have no offset yet.
pub(super) struct PendingStep {
    pub name: String,
    pub kernel: Box<dyn Kernel>,
    pub inputs: Vec<Place>,
    pub output: Place,
    pub shared: Option<usize>,
    pub cost: Cost,
}

/// The state of one compilation.
pub(super) struct Compiler<'a> {
    pub graph: &'a Graph,
    pub epilogues: &'a Epilogues,
    pub isa: Isa,
    /// The name of the convolution kernel that the user forces.
    pub forced: Option<&'static str>,
    pub threads: usize,
    shapes: Vec<Shape>,
    /// The shapes for which kernels are chosen.
    chosen_for: Vec<Shape>,
    /// The default layout of each value.
    layouts: Vec<View>,
    /// Parameters that steps read unpacked.
    pub constants: Vec<Arc<AlignedBuf>>,
    /// How often each value is read, including graph outputs.
    readers: Vec<usize>,
    /// Values that must be written to a given place.
    wanted: Vec<Option<Place>>,
    values: Vec<Option<Value>>,
    pub slots: Vec<Slot>,
    pub steps: Vec<PendingStep>,
}

/// Bytes of the area that a view of float32 values needs.
fn area_bytes(view: &View) -> usize {
    view.end().saturating_mul(size_of::<f32>())
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
    /// The initial state. Values have these shapes; kernels are chosen for those of `chosen_for`.
    pub fn new(
        graph: &'a Graph,
        epilogues: &'a Epilogues,
        shapes: Vec<Shape>,
        chosen_for: Vec<Shape>,
        Settings { isa, forced }: Settings,
        threads: usize,
    ) -> Self {
        let count = graph.nodes.len();
        let mut readers = vec![0; count];
        for id in graph.nodes.iter().flat_map(|n| &n.inputs).chain(&graph.outputs) {
            readers[id.0] += 1;
        }
        Self {
            graph,
            epilogues,
            isa,
            forced,
            threads,
            layouts: layouts(graph, &shapes, &orders(graph, &shapes)),
            shapes,
            chosen_for,
            constants: Vec::new(),
            readers,
            wanted: vec![None; count],
            values: vec![None; count],
            slots: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// A node's shape.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.shapes[id.0]
    }

    /// The shape of a node's value for which kernels are chosen.
    pub fn chosen_shape(&self, id: NodeId) -> Shape {
        self.chosen_for[id.0]
    }

    /// The default layout of a node's value: in the node's order, with gaps between rows that would
    /// share a cache set.
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

    /// A new area of the arena with this layout.
    pub fn temporary(&mut self, view: View) -> Place {
        self.slots.push(Slot { size: area_bytes(&view), ..Slot::default() });
        Place { storage: Storage::Slot(self.slots.len() - 1), view }
    }

    /// The same for the parts of a concatenation.
    pub fn joint(&mut self, view: View) -> Place {
        self.slots.push(Slot { size: area_bytes(&view), joint: true, ..Slot::default() });
        Place { storage: Storage::Slot(self.slots.len() - 1), view }
    }

    /// The destination of a node's result: the requested place, else a new area with this layout.
    pub fn target(&mut self, id: NodeId, layout: View) -> Place {
        debug_assert_eq!(layout.shape, self.shapes[id.0]);
        self.wanted[id.0].unwrap_or_else(|| self.temporary(layout))
    }

    /// The destination of a node's result if it may overwrite `input`, which the node reads
    /// elementwise: the input's place, if it has no other remaining reader.
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

    /// The layout of an elementwise result: its input's, if neither has gaps.
    pub fn pointwise_layout(&self, id: NodeId, input: View) -> View {
        let layout = self.layout(id);
        let keeps = input.shape == layout.shape && input.is_dense() && layout.is_dense();
        if keeps { View { offset: 0, ..input } } else { layout }
    }

    /// The destination of the sum of a product and a residual: the residual's place, if this is its
    /// last use.
    pub fn target_of_sum(&mut self, id: NodeId, from: Place, residual: Option<Place>, layout: View) -> Place {
        match residual {
            // The input's pixels are reread while the output is written.
            Some(r) if r.storage != from.storage => self.target_over(id, r, layout),
            _ => self.target(id, layout),
        }
    }

    /// The place of a node's value.
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

    /// A copy of `from` in a new area with this layout.
    pub fn copy(&mut self, name: &str, from: Place, layout: View) -> Place {
        let to = self.temporary(layout);
        self.copy_to(name, from, to);
        to
    }

    fn copy_to(&mut self, name: &str, from: Place, to: Place) {
        let desc = copy::CopyDesc { input: from.view, output: to.view };
        self.step(name, copy::prepare(&desc, self.threads), &[from], to);
    }

    /// Copies a value to the place that a concatenation or an output requests, if it is not there.
    pub fn deliver(&mut self, name: &str, from: Place, to: Place) {
        if from.storage != to.storage || from.view != to.view {
            self.copy_to(name, from, to);
        }
    }

    /// This place with dense channels, by a copy if necessary.
    pub fn channels_last(&mut self, name: &str, place: Place) -> Place {
        if place.view.feature_map().channels_last() {
            return place;
        }
        self.copy(name, place, View::physical(place.view.shape))
    }

    /// Adds a step.
    pub fn step(&mut self, name: &str, kernel: Box<dyn Kernel>, inputs: &[Place], output: Place) {
        self.product_step(name, 0, kernel, inputs, output);
    }

    /// Adds a step with this number of multiply-adds.
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

    /// Adds a step whose cost does not follow from its operands. Steps without results (an empty
    /// batch) are omitted.
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

    /// Records a node's value.
    pub fn assign(&mut self, id: NodeId, value: Value) {
        let (Value::At(place) | Value::Flat(place)) = value;
        if let Storage::Slot(slot) = place.storage {
            self.slots[slot].live += self.readers[id.0];
        }
        self.values[id.0] = Some(value);
    }

    /// Records that a node's operands have been read once. Operands without a value of their own
    /// are skipped.
    pub fn read_operands(&mut self, id: NodeId) {
        for input in &self.graph.nodes[id.0].inputs {
            if let Some(Value::At(place) | Value::Flat(place)) = self.values[input.0]
                && let Storage::Slot(slot) = place.storage
            {
                self.slots[slot].live = self.slots[slot].live.saturating_sub(1);
            }
        }
    }

    /// Whether a node's value has a single reader, and no requested place.
    pub fn is_read_once(&self, id: NodeId) -> bool {
        self.readers[id.0] == 1 && self.wanted[id.0].is_none() && !self.graph.outputs.contains(&id)
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &'a Node {
        &self.graph.nodes[id.0]
    }

    /// Requests that this node's value is written to this place.
    pub fn want(&mut self, id: NodeId, place: Place) {
        self.wanted[id.0] = Some(place);
    }

    /// The place that a concatenation or an output requests for this node's value.
    pub fn wanted(&self, id: NodeId) -> Option<Place> {
        self.wanted[id.0]
    }
}
