//! Lowering of operations that only move values: views of the same storage if possible, else
//! copies.

use crate::error::Result;
use crate::graph::NodeId;
use crate::graph::ops::Slice;
use crate::kernels::copy::{self, edges};
use crate::plan::Storage;
use crate::plan::values::{Compiler, Place, Value};
use crate::tensor::{EdgeMode, MAX_RANK, View};

impl Compiler<'_> {
    /// An array passed by the caller.
    pub fn input(&mut self, id: NodeId) -> Place {
        let index = self.graph.inputs.iter().position(|&input| input == id).expect("inputs are listed");
        Place { storage: Storage::Input(index), view: View::contiguous(self.shape(id)) }
    }

    pub fn permute(&mut self, id: NodeId, dims: &[usize]) -> Place {
        let from = self.place(self.node(id).inputs[0]);
        from.with(from.view.permute(dims))
    }

    pub fn slice(&mut self, id: NodeId, slice: &Slice) -> Place {
        let (from, dim) = (self.place(self.node(id).inputs[0]), slice.dim);
        let (start, _) = slice.bounds(from.view.shape[dim]);
        from.with(from.view.slice(dim, start, self.shape(id)[dim], slice.step))
    }

    pub fn expand(&mut self, id: NodeId) -> Place {
        let from = self.place(self.node(id).inputs[0]);
        from.with(from.view.broadcast(self.shape(id)))
    }

    /// A reshape: a view if the memory order allows it.
    pub fn reshape(&mut self, id: NodeId) -> Value {
        let node = self.node(id);
        let shape = self.shape(id);
        let from = self.place(node.inputs[0]);
        if let Some(view) = from.view.reshape(shape) {
            return Value::At(from.with(view));
        }
        let whole_pictures =
            from.view.shape.rank() == 4 && shape.rank() == 2 && shape[0] == from.view.shape[0];
        if whole_pictures && from.view.feature_map().channels_last() {
            return Value::Flat(from);
        }
        // The order that readers expect, if the elements of the old shape can be copied into it.
        let layout = self.layout(id);
        let (layout, view) = match layout.reshape(from.view.shape) {
            Some(old) => (old, layout),
            None => (View::contiguous(from.view.shape), View::contiguous(shape)),
        };
        let dense = self.copy(&node.name, from, layout);
        Value::At(dense.with(view))
    }

    pub fn concat(&mut self, id: NodeId, dim: usize) -> Place {
        let node = self.node(id);
        let whole = self.wanted(id).expect("every concatenation has its memory");
        let mut start = 0;
        for &part in &node.inputs {
            let from = self.place(part);
            let len = from.view.shape[dim];
            let to = whole.with(whole.view.slice(dim, start, len, 1));
            self.deliver(&node.name, from, to);
            start += len;
        }
        whole
    }

    pub fn pad(&mut self, id: NodeId, pads: &[[usize; 2]], value: f32) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        let desc = copy::PadDesc { input: from.view, output: to.view, before: before(pads), value };
        self.step(&node.name, copy::prepare_pad(&desc, self.threads), &[from], to);
        to
    }

    pub fn pad_edges(&mut self, id: NodeId, pads: &[[usize; 2]], mode: EdgeMode) -> Result<Place> {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        let desc = edges::EdgePadDesc { input: from.view, output: to.view, before: before(pads), mode };
        self.step(&node.name, edges::prepare_edge_pad(&desc, self.threads)?, &[from], to);
        Ok(to)
    }

    /// Copies the pieces into which the shifts split the dimensions.
    pub fn roll(&mut self, id: NodeId, shifts: &[(usize, i64)]) -> Place {
        let node = self.node(id);
        let from = self.place(node.inputs[0]);
        let to = self.target(id, self.layout(id));
        let mut pieces = vec![(from.view, to.view)];
        for &(dim, shift) in shifts {
            let size = from.view.shape[dim];
            let front = shift.rem_euclid(size as i64) as usize;
            let mut cut = Vec::with_capacity(2 * pieces.len());
            for (from, to) in pieces {
                cut.push((from.slice(dim, 0, size - front, 1), to.slice(dim, front, size - front, 1)));
                if front > 0 {
                    cut.push((from.slice(dim, size - front, front, 1), to.slice(dim, 0, front, 1)));
                }
            }
            pieces = cut;
        }
        for (input, output) in pieces {
            let kernel = copy::prepare(&copy::CopyDesc { input, output }, self.threads);
            self.step(&node.name, kernel, &[from.with(input)], to.with(output));
        }
        to
    }
}

/// Elements before each dimension.
fn before(pads: &[[usize; 2]]) -> [usize; MAX_RANK] {
    let mut before = [0; MAX_RANK];
    for (before, pad) in before.iter_mut().zip(pads) {
        *before = pad[0];
    }
    before
}
