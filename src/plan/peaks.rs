//! The machine's peak rates with the threads and the instruction set of a run, measured on the
//! worker pool of runs.

use std::time::Duration;

use super::profile::time_phases;
use crate::error::Result;
use crate::kernels::{even_range, peak};
use crate::simd::Isa;
use crate::tensor::AlignedBuf;
use crate::threads::{self, Phase, Pool, Work};

/// Phases of one measurement, of which the fastest counts: one during which all workers were awake
/// and not preempted.
const PHASES: usize = 24;

/// Multiply-adds per second of all threads together: the upper bound of compute-bound kernels.
///
/// # Errors
/// If a variable that sets threads or instruction set is wrong; [`crate::Error::Interrupted`].
pub fn multiply_adds_per_second(interrupted: &mut dyn FnMut() -> bool) -> Result<f64> {
    /// About 0.1 ms, so that the time between two phases is negligible.
    const STEPS: usize = 20_000;
    let (isa, pool) = (Isa::current()?, threads::pool()?);
    let work = MultiplyAdds { isa, steps: STEPS };
    let fastest = fastest_phase(&pool, &work, pool.threads(), interrupted)?;
    let done = peak::multiply_adds(isa, 1) * STEPS * pool.threads();
    Ok(done as f64 / fastest.as_secs_f64())
}

/// Bytes per second that all threads together read from main memory: the upper bound of layers
/// whose weights or maps do not fit in a cache.
///
/// # Errors
/// As [`multiply_adds_per_second`]; [`crate::Error::OutOfMemory`] if 128 MiB cannot be allocated.
pub fn read_bytes_per_second(interrupted: &mut dyn FnMut() -> bool) -> Result<f64> {
    /// Four times the last-level cache of a large core complex (32 MiB), so that nothing is still
    /// cached.
    const FLOATS: usize = (128 << 20) / size_of::<f32>();
    /// Several chunks, so that a preempted worker leaves its share to the others.
    const CHUNKS_PER_THREAD: usize = 4;
    let (isa, pool) = (Isa::current()?, threads::pool()?);
    let mut values = AlignedBuf::zeroed(FLOATS, "measuring the memory's speed")?;
    // Pages that were never written all map to the same page of zeros.
    values.fill(1.0);
    let chunks = pool.threads() * CHUNKS_PER_THREAD;
    let work = Read { isa, values: &values, pieces: PHASES * chunks, chunks };
    let fastest = fastest_phase(&pool, &work, chunks, interrupted)?;
    // Pieces differ by at most one float.
    let bytes = FLOATS / PHASES * size_of::<f32>();
    Ok(bytes as f64 / fastest.as_secs_f64())
}

fn fastest_phase(
    pool: &Pool,
    work: &dyn Work,
    chunks: usize,
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<Duration> {
    let phases: Vec<_> = (0..PHASES).map(|_| Phase::new(chunks, pool.threads())).collect();
    let times = time_phases(pool, work, &phases, interrupted)?;
    // At least the clock's resolution, if a phase appears to take no time.
    Ok(times.into_iter().min().unwrap_or_default().max(Duration::from_nanos(1)))
}

/// A chunk is one thread's loop.
struct MultiplyAdds {
    isa: Isa,
    steps: usize,
}

impl Work for MultiplyAdds {
    fn chunk(&self, _phase: usize, _chunk: usize, _worker: usize) {
        peak::multiply_adds(self.isa, self.steps);
    }

    fn name(&self, _phase: usize) -> String {
        "measuring multiply-adds".into()
    }
}

/// A phase is a part of the memory, a chunk a piece of that.
struct Read<'a> {
    isa: Isa,
    values: &'a [f32],
    pieces: usize,
    chunks: usize,
}

impl Work for Read<'_> {
    fn chunk(&self, phase: usize, chunk: usize, _worker: usize) {
        let piece = even_range(self.values.len(), self.pieces, phase * self.chunks + chunk);
        peak::read(self.isa, &self.values[piece]);
    }

    fn name(&self, _phase: usize) -> String {
        "measuring the memory's speed".into()
    }
}
