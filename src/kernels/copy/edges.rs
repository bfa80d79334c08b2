//! Padding with the input's own values: torch's `pad` with mode reflect, replicate or circular.

use crate::error::Result;
use crate::kernels::names::names;
use crate::kernels::{Io, Kernel, Scratch, chunks_for, even_range};
use crate::tensor::{EdgeMode, MAX_RANK, View, reserved};

/// The index in an input of `size` values of the value at `at`, which may be outside.
fn source(mode: EdgeMode, at: isize, size: usize) -> usize {
    let last = size as isize - 1;
    let index = match mode {
        EdgeMode::Reflect if at < 0 => -at,
        EdgeMode::Reflect if at > last => 2 * last - at,
        EdgeMode::Reflect => at,
        EdgeMode::Replicate => at.clamp(0, last),
        EdgeMode::Circular => at.rem_euclid(size as isize),
    };
    index as usize
}

/// A copy into a larger view whose other elements are set to values of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgePadDesc {
    /// What is read.
    pub input: View,
    /// What is written; at least as large in each dimension, and not overlapping the input.
    pub output: View,
    /// Elements before the input, per dimension; the remaining padding is after it.
    pub before: [usize; MAX_RANK],
    /// The values of the padding.
    pub mode: EdgeMode,
}

/// The padding kernel. It copies bits, so it is the same on every instruction set.
///
/// # Panics
/// If the input does not fit, or has too few values for the padding.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn prepare_edge_pad(desc: &EdgePadDesc, threads: usize) -> Result<Box<dyn Kernel>> {
    let EdgePadDesc { input, output, before, mode } = *desc;
    let rank = output.shape.rank();
    assert_eq!(input.shape.rank(), rank, "padding keeps the rank");
    for (&before, (&size, &padded)) in before.iter().zip(input.shape.iter().zip(output.shape.iter())) {
        let after = padded.checked_sub(before + size);
        let fits = after.is_some_and(|after| before.max(after) <= mode.most(size));
        assert!(fits, "{} padding of {} to {}", mode.name(), input.shape, output.shape);
    }
    let mut dims: Vec<usize> = (0..rank).filter(|&d| output.shape[d] != 1).collect();
    dims.sort_by_key(|&d| std::cmp::Reverse(output.strides[d]));
    // Dimensions without padding that are dense in both views are merged into one block.
    let mut block = 1;
    while let Some(&d) = dims.last() {
        let size = input.shape[d];
        if size != output.shape[d] || [input.strides[d], output.strides[d]] != [block; 2] {
            break;
        }
        block *= size;
        dims.pop();
    }
    let index = |d: usize, o: usize| source(mode, o as isize - before[d] as isize, input.shape[d]);
    let what = "where a padding's values come from";
    let mut runs: Vec<Run> = Vec::new();
    let row = dims.pop();
    if let Some(d) = row {
        runs = reserved(output.shape[d], what)?;
        for o in 0..output.shape[d] {
            let from = index(d, o);
            match runs.last_mut() {
                Some(run) if run.from + run.len == from => run.len += 1,
                _ => runs.push(Run { to: o, from, len: 1 }),
            }
        }
    } else {
        runs.push(Run { to: 0, from: 0, len: 1 });
    }
    let steps = row.map_or([block; 2], |d| [output.strides[d], input.strides[d]]);
    let mut outer = Vec::with_capacity(dims.len());
    for d in dims {
        let mut from = reserved(output.shape[d], what)?;
        from.extend((0..output.shape[d]).map(|o| index(d, o) * input.strides[d]));
        outer.push(Outer { to_step: output.strides[d], from });
    }
    let rows: usize = outer.iter().map(|dim| dim.from.len()).product();
    let phases = match output.shape.numel() {
        0 => vec![],
        elements => vec![chunks_for(rows.min(elements.div_ceil(WORTH_SHARING)), threads)],
    };
    Ok(Box::new(EdgePad { outer, rows, runs, steps, block, phases }))
}

/// Elements from which a second thread is worth waking.
const WORTH_SHARING: usize = 4096;

/// Adjacent elements of a row whose values are adjacent in the input, too.
#[derive(Clone, Copy)]
struct Run {
    to: usize,
    from: usize,
    len: usize,
}

/// A dimension around the rows.
struct Outer {
    to_step: usize,
    /// Offset in the input of each of the output's indices.
    from: Vec<usize>,
}

struct EdgePad {
    /// From the outermost.
    outer: Vec<Outer>,
    /// Number of rows.
    rows: usize,
    /// The runs of each row.
    runs: Vec<Run>,
    /// Distance between adjacent elements of a row, in the output and in the input.
    steps: [usize; 2],
    /// Floats that are copied together.
    block: usize,
    phases: Vec<usize>,
}

impl Kernel for EdgePad {
    fn name(&self) -> &'static str {
        names!(any: "pad_edges")
    }

    fn phases(&self) -> &[usize] {
        &self.phases
    }

    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, _: Scratch) {
        let [to_step, from_step] = self.steps;
        for row in even_range(self.rows, self.phases[phase], chunk) {
            let (mut rest, mut to, mut from) = (row, 0, 0);
            for dim in self.outer.iter().rev() {
                let index = rest % dim.from.len();
                rest /= dim.from.len();
                to += index * dim.to_step;
                from += dim.from[index];
            }
            for run in &self.runs {
                // SAFETY: the tables stay inside the views, which are valid by contract.
                unsafe {
                    let to = io.output.add(to + run.to * to_step);
                    let from = io.inputs[0].add(from + run.from * from_step);
                    if [to_step, from_step] == [self.block; 2] {
                        std::ptr::copy_nonoverlapping(from, to, run.len * self.block);
                        continue;
                    }
                    for i in 0..run.len {
                        let (from, to) = (from.add(i * from_step), to.add(i * to_step));
                        std::ptr::copy_nonoverlapping(from, to, self.block);
                    }
                }
            }
        }
    }
}
