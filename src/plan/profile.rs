//! The profile of runs: whole runs, with the instants at which their phases end.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::Plan;
use super::exec::Workspace;
use crate::error::Result;
use crate::tensor::Shape;
use crate::threads::{Phase, Pool, Work};

/// Times of several equal runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The median.
    pub median: Duration,
    /// The minimum.
    pub least: Duration,
}

/// A step of a plan, timed inside whole runs.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// The layer's name: the name under which the operation was traced, before fusion.
    pub name: String,
    /// The kernel's name.
    pub kernel: &'static str,
    /// Shape of the output.
    pub shape: Shape,
    /// Multiply-adds of a convolution or a matrix product by definition (a kernel such as
    /// Winograd's does fewer), else 0.
    pub macs: usize,
    /// Bytes of its operands, each value once: inputs, output, packed weights (also those of zero
    /// inputs).
    pub bytes: usize,
    /// From the end of the previous step to its own.
    pub times: Times,
}

/// The result of [`super::Network::profile`].
#[derive(Clone, Debug)]
pub struct Profile {
    /// In execution order.
    pub steps: Vec<StepTime>,
    /// Times of whole runs: the steps, and entering and leaving the pool.
    pub run: Times,
}

impl Plan {
    /// Runs `runs` times (at least once) after a warm-up run; otherwise as [`Plan::run`].
    pub(super) fn profile(
        &self,
        pool: &Pool,
        workspace: &mut Workspace,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
        runs: usize,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Profile> {
        let run = self.start(pool, workspace, inputs, outputs)?;
        pool.run(&run, run.phases, interrupted)?;
        let mut steps = vec![Vec::new(); self.steps.len()];
        let mut whole = Vec::new();
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            let phases = time_phases(pool, &run, run.phases, interrupted)?;
            whole.push(start.elapsed());
            let mut of_step = vec![Duration::ZERO; self.steps.len()];
            for (&(step, _), time) in self.phases.iter().zip(phases) {
                of_step[step] += time;
            }
            steps.iter_mut().zip(of_step).for_each(|(times, time)| times.push(time));
        }
        let steps = self.steps.iter().zip(steps).map(|(step, times)| StepTime {
            name: step.layer.clone(),
            kernel: step.kernel.name(),
            shape: step.output_shape,
            macs: step.cost.macs,
            bytes: step.cost.bytes,
            times: middle(times),
        });
        Ok(Profile { steps: steps.collect(), run: middle(whole) })
    }
}

/// Runs a job and returns the duration of each of its phases: the first from its first chunk, the
/// others from the end of the previous phase.
pub(super) fn time_phases(
    pool: &Pool,
    work: &dyn Work,
    phases: &[Phase],
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<Vec<Duration>> {
    let timed = Timed { work, begun: OnceLock::new(), ends: Mutex::new(Vec::with_capacity(phases.len())) };
    pool.run(&timed, phases, interrupted)?;
    let ends = timed.ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    let begins = timed.begun.get().into_iter().chain(&ends);
    Ok(begins.zip(&ends).map(|(begin, end)| end.duration_since(*begin)).collect())
}

/// A job that records when its phases end.
struct Timed<'a> {
    work: &'a dyn Work,
    begun: OnceLock<Instant>,
    ends: Mutex<Vec<Instant>>,
}

impl Work for Timed<'_> {
    fn chunk(&self, phase: usize, chunk: usize, worker: usize) {
        if phase == 0 {
            self.begun.get_or_init(Instant::now);
        }
        self.work.chunk(phase, chunk, worker);
    }

    fn ended(&self, phase: usize) {
        let now = Instant::now();
        // The first phase may have no chunks.
        self.begun.get_or_init(|| now);
        // This lock is never contended: phases end one after the other.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        self.work.ended(phase);
    }

    fn name(&self, phase: usize) -> String {
        self.work.name(phase)
    }
}

/// Median and minimum of at least one time.
fn middle(mut times: Vec<Duration>) -> Times {
    times.sort_unstable();
    let half = times.len() / 2;
    let median = if times.len() % 2 == 1 { times[half] } else { (times[half - 1] + times[half]) / 2 };
    Times { median, least: times[0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_times() {
        let of = |times: &[u64]| middle(times.iter().map(|&t| Duration::from_millis(t)).collect());
        assert_eq!(of(&[7]).median, Duration::from_millis(7));
        assert_eq!(of(&[9, 1, 4]).median, Duration::from_millis(4));
        assert_eq!(of(&[9, 1, 4, 6]).median, Duration::from_millis(5));
        assert_eq!(of(&[9, 1, 4, 6]).least, Duration::from_millis(1));
    }
}
