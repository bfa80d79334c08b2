//! Running a plan: pointers, workspaces, and the one call into the kernels.

use super::{Operand, Plan, Storage};
use crate::error::{Error, Result};
use crate::kernels::{Io, Scratch};
use crate::tensor::{AlignedBuf, Shape, check_room};
use crate::threads::{Phase, Pool, Work};

/// More inputs than any kernel reads.
const MOST_INPUTS: usize = 4;

/// Bytes beyond four times a run's needs that are no reason to give memory back.
const SPARE: usize = 64 << 20;

/// Runs in a row with far too much memory before it is given back. Sizes that take turns keep it.
const PATIENCE: u32 = 8;

/// The mutable memory of a run: grows to the largest plan's size, and is used by one run at a time.
#[derive(Default)]
pub(super) struct Workspace {
    arena: Option<AlignedBuf<u8>>,
    local: Option<AlignedBuf<u8>>,
    /// Runs in a row that needed far less.
    oversized: u32,
    /// The counters of phases, as many as the plan with the most of them had.
    phases: Vec<Phase>,
}

impl Workspace {
    /// Makes room for `plan`.
    fn fit(&mut self, plan: &Plan) -> Result<()> {
        let needed = plan.workspace_bytes();
        let oversized = self.size() > needed.saturating_mul(4).saturating_add(SPARE);
        self.oversized = if oversized { self.oversized + 1 } else { 0 };
        if self.oversized == PATIENCE {
            (self.arena, self.local, self.oversized) = (None, None, 0);
        }
        fit(&mut self.arena, plan.arena, "a network's intermediate values")?;
        fit(&mut self.local, plan.local.saturating_mul(plan.threads), "the kernels' scratch memory")?;
        self.phases.resize_with(self.phases.len().max(plan.phases.len()), || Phase::new(0, plan.threads));
        for (counters, &(step, phase)) in self.phases.iter_mut().zip(&plan.phases) {
            counters.reset(plan.steps[step].kernel.phases()[phase], plan.threads);
        }
        Ok(())
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.arena.as_ref().map_or(0, |b| b.len()) + self.local.as_ref().map_or(0, |b| b.len())
    }
}

fn fit(buffer: &mut Option<AlignedBuf<u8>>, size: usize, what: &'static str) -> Result<()> {
    if buffer.as_ref().is_none_or(|b| b.len() < size) {
        // The old buffer is freed first: both together need not fit in memory.
        *buffer = None;
        *buffer = Some(AlignedBuf::zeroed(size, what)?);
    }
    Ok(())
}

/// A plan with the memory of one run.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    /// The counters of its phases.
    pub phases: &'a [Phase],
    inputs: Vec<*const f32>,
    outputs: Vec<*mut f32>,
    arena: *mut u8,
    local: *mut u8,
}

// SAFETY: the pointers are to memory that the run's caller borrows for the whole run; the plan
// determines which step writes what, and when.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    /// The start of a slot, for elements of this type.
    fn slot<T>(&self, slot: usize) -> *mut T {
        self.arena.wrapping_add(self.plan.slots[slot]).cast()
    }

    fn read(&self, operand: Operand) -> *const f32 {
        let base = match operand.storage {
            Storage::Input(i) => self.inputs[i],
            Storage::Output(i) => self.outputs[i].cast_const(),
            Storage::Slot(i) => self.slot::<f32>(i).cast_const(),
            Storage::Constant(i) => self.plan.constants[i].as_ptr(),
        };
        base.wrapping_add(operand.offset)
    }

    fn write(&self, operand: Operand) -> *mut f32 {
        let base = match operand.storage {
            Storage::Input(_) | Storage::Constant(_) => unreachable!("a step that writes its input"),
            Storage::Output(i) => self.outputs[i],
            Storage::Slot(i) => self.slot(i),
        };
        base.wrapping_add(operand.offset)
    }
}

impl Work for Run<'_> {
    fn chunk(&self, phase: usize, chunk: usize, worker: usize) {
        let (step, phase) = self.plan.phases[phase];
        let step = &self.plan.steps[step];
        let mut inputs = [std::ptr::null(); MOST_INPUTS];
        for (pointer, &operand) in inputs.iter_mut().zip(&step.inputs) {
            *pointer = self.read(operand);
        }
        let io = Io { inputs: &inputs[..step.inputs.len()], output: self.write(step.output) };
        let shared = step.shared.map_or(std::ptr::null_mut(), |slot| self.slot(slot));
        let scratch = Scratch::new(shared, self.local.wrapping_add(worker * self.plan.local));
        // SAFETY: `Plan::run` has checked that every array has its plan's size and that the
        // workspace fits; the compiler gave overlapping lifetimes disjoint memory; the pool runs
        // phases in order, each chunk once, and numbers its workers below `threads`.
        unsafe { step.kernel.run(phase, chunk, &io, scratch) };
    }

    fn name(&self, phase: usize) -> String {
        let step = &self.plan.steps[self.plan.phases[phase].0];
        format!("{} ({})", step.name, step.kernel.name())
    }
}

impl Plan {
    /// Checks the arrays, and collects all pointers.
    pub(super) fn start<'a>(
        &'a self,
        pool: &Pool,
        workspace: &'a mut Workspace,
        inputs: &'a [&[f32]],
        outputs: &'a mut [&mut [f32]],
    ) -> Result<Run<'a>> {
        check("input", &self.inputs, inputs.iter().map(|a| a.len()))?;
        check("output", &self.outputs, outputs.iter().map(|a| a.len()))?;
        assert_eq!(self.threads, pool.threads(), "a plan made for another pool");
        let arrays = inputs.iter().map(|a| a.len()).chain(outputs.iter().map(|a| a.len())).sum::<usize>();
        let bytes = self.workspace_bytes().saturating_add(arrays * size_of::<f32>());
        check_room(bytes, "a network's inputs, outputs and intermediate values together")?;
        workspace.fit(self)?;
        Ok(Run {
            plan: self,
            phases: &workspace.phases[..self.phases.len()],
            inputs: inputs.iter().map(|a| a.as_ptr()).collect(),
            outputs: outputs.iter_mut().map(|a| a.as_mut_ptr()).collect(),
            arena: workspace.arena.as_mut().map_or(std::ptr::null_mut(), |b| b.as_mut_ptr()),
            local: workspace.local.as_mut().map_or(std::ptr::null_mut(), |b| b.as_mut_ptr()),
        })
    }

    /// Runs on C-contiguous arrays of the plan's shapes. The outputs' previous contents do not
    /// matter.
    ///
    /// # Errors
    /// [`Error::Input`] for an array of another size, [`Error::Interrupted`],
    /// [`Error::WorkerPanic`], [`Error::OutOfMemory`].
    pub(super) fn run(
        &self,
        pool: &Pool,
        workspace: &mut Workspace,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let run = self.start(pool, workspace, inputs, outputs)?;
        pool.run(&run, run.phases, interrupted)
    }
}

fn check(kind: &str, shapes: &[Shape], lengths: impl ExactSizeIterator<Item = usize>) -> Result<()> {
    let wrong = |what: String, expected: String, found: String| Err(Error::Input { what, expected, found });
    if lengths.len() != shapes.len() {
        return wrong(format!("the {kind}s"), shapes.len().to_string(), lengths.len().to_string());
    }
    for (i, (shape, length)) in shapes.iter().zip(lengths).enumerate() {
        if shape.numel() != length {
            return wrong(
                format!("{kind} {i}"),
                format!("an array of shape {shape}"),
                format!("{length} values"),
            );
        }
    }
    Ok(())
}
