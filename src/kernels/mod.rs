//! Kernels: descriptors in, prepared kernels out.
//!
//! A kernel is chosen and prepared when a plan is made; it then holds its shapes, its packed
//! weights and its epilogue. A run passes only pointers. Work is split into *phases*, and a phase
//! into *chunks* that may run in any order on any thread; all chunks of a phase are done before the
//! next phase starts. How work is split may depend on the number of threads; **the order of every
//! sum may not**: it depends only on the layer's shape, not on the batch, the picture's position in
//! it, or the threads.

pub mod activation;
pub mod attention;
pub mod conv;
pub mod copy;
pub mod elementwise;
pub mod epilogue;
pub mod gemm;
pub mod math;
pub mod matmul;
mod names;
mod nest;
pub mod norm;
pub mod peak;
pub mod pool;
pub mod reduce;
#[cfg(test)]
pub(crate) mod reference;
pub mod resize;
pub mod softmax;
#[cfg(test)]
pub(crate) mod testing;

pub use epilogue::Epilogue;

/// Scratch memory that a kernel requests when planning, in bytes. Its contents are initially
/// undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchSize {
    /// One area shared by all chunks of a run, preserved between the kernel's phases.
    pub shared: usize,
    /// One area per worker thread, valid during one chunk.
    pub local: usize,
}

impl ScratchSize {
    /// Areas for this many float32 values.
    pub const fn floats(shared: usize, local: usize) -> Self {
        let bytes = size_of::<f32>();
        Self { shared: shared.saturating_mul(bytes), local: local.saturating_mul(bytes) }
    }
}

/// The requested memory, 64-byte aligned.
#[derive(Clone, Copy, Debug)]
pub struct Scratch {
    shared: *mut u8,
    local: *mut u8,
}

impl Scratch {
    /// Areas of [`ScratchSize::shared`] and [`ScratchSize::local`] bytes, 64-byte aligned.
    pub const fn new(shared: *mut u8, local: *mut u8) -> Self {
        Self { shared, local }
    }

    /// The start of the shared area, for elements of this type.
    #[inline(always)]
    pub const fn shared<T>(self) -> *mut T {
        self.shared.cast()
    }

    /// The start of this thread's area, for elements of this type.
    #[inline(always)]
    pub const fn local<T>(self) -> *mut T {
        self.local.cast()
    }
}

/// The pointers of a run: each points to the first element of its view.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// The inputs in the order of the kernel's descriptor; a convolution's residual is its second.
    pub inputs: &'a [*const f32],
    /// The output. It does not overlap an input, except where the descriptor's documentation allows
    /// it.
    pub output: *mut f32,
}

/// A prepared kernel.
pub trait Kernel: Send + Sync {
    /// The kernel's name, as in tests and profiles, such as `f32_winograd_f4_3x3_avx2`.
    fn name(&self) -> &'static str;

    /// The number of chunks of each phase, none of them zero.
    fn phases(&self) -> &[usize];

    /// The scratch memory to allocate.
    fn scratch(&self) -> ScratchSize {
        ScratchSize::default()
    }

    /// Computes one chunk.
    ///
    /// # Safety
    /// `io` and `scratch` point to memory as the descriptor and [`Self::scratch`] require; phases
    /// run in order, each chunk once; during the run nothing else writes the inputs or accesses the
    /// output or the shared scratch; the local scratch belongs to this thread only.
    unsafe fn run(&self, phase: usize, chunk: usize, io: &Io<'_>, scratch: Scratch);
}

/// The approximate number of chunks of a phase of `items` equal pieces: several per thread, so that
/// a preempted thread leaves its share to the others.
pub fn chunks_for(items: usize, threads: usize) -> usize {
    /// Enough for load balance; a chunk's fixed cost is about 0.1 us.
    const CHUNKS_PER_THREAD: usize = 4;
    items.min(if threads == 1 { 1 } else { threads * CHUNKS_PER_THREAD }).max(1)
}

/// The `index`-th of `parts` nearly equal ranges of `0..total`: lengths differ by at most one, and
/// so do the total lengths of equally many consecutive parts, such as a worker's share.
#[inline]
pub fn even_range(total: usize, parts: usize, index: usize) -> std::ops::Range<usize> {
    index * total / parts..(index + 1) * total / parts
}

/// The `index`-th of `0..size` in the order 0, step, 2 step, ..., 1, 1 + step, ...: for a dilated
/// operation, output rows that read the same input rows are consecutive.
#[inline]
pub fn phase_order(index: usize, size: usize, step: usize) -> usize {
    // The first phases have one row more.
    let (rows, longer) = (size / step, size % step);
    let first = longer * (rows + 1);
    if index < first {
        index / (rows + 1) + index % (rows + 1) * step
    } else {
        let index = index - first;
        longer + index / rows + index % rows * step
    }
}

/// Runs a prepared kernel on this thread, chunk after chunk: for tests and benches.
///
/// # Safety
/// As [`Kernel::run`], without the scratch, which is allocated here.
///
/// # Panics
/// If the scratch cannot be allocated.
pub unsafe fn run_alone(kernel: &dyn Kernel, io: &Io<'_>) {
    let size = kernel.scratch();
    let floats = |bytes: usize| {
        let len = bytes.div_ceil(size_of::<f32>());
        crate::tensor::AlignedBuf::<f32>::zeroed(len, "scratch").expect("scratch")
    };
    let (mut shared, mut local) = (floats(size.shared), floats(size.local));
    // NaN exposes a kernel that reads scratch that it has not written.
    shared.fill(f32::NAN);
    local.fill(f32::NAN);
    let scratch = Scratch::new(shared.as_mut_ptr().cast(), local.as_mut_ptr().cast());
    for (phase, &chunks) in kernel.phases().iter().enumerate() {
        for chunk in 0..chunks {
            // SAFETY: the caller's contract, with scratch of the requested size.
            unsafe { kernel.run(phase, chunk, io, scratch) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::phase_order;

    #[test]
    fn rows_by_phase() {
        let order = |size, step| (0..size).map(|i| phase_order(i, size, step)).collect::<Vec<_>>();
        assert_eq!(order(7, 3), [0, 3, 6, 1, 4, 2, 5]);
        assert_eq!(order(4, 1), [0, 1, 2, 3]);
        assert_eq!(order(3, 8), [0, 1, 2]);
    }
}
