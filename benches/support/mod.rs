//! Code that the convolution benchmarks share.

use std::time::Instant;

use rvision::kernels::conv::{Candidate, ConvDesc};
use rvision::kernels::{Epilogue, Io, Kernel, Scratch};
use rvision::tensor::{AlignedBuf, FeatureMap, Packed, Values};
use rvision::threads::{Phase, Work, pool, set_num_threads};

/// A planar map (NCHW), like a network's input from Python.
pub fn planar(map: FeatureMap) -> FeatureMap {
    let plane = map.height * map.width;
    FeatureMap { pixel_stride: 1, row_stride: map.width, channel_stride: plane, ..map }
}

/// If all copies of the weights have this size, they come from memory: twice a large last-level
/// cache.
const CACHES: usize = 64 << 20;
/// The most copies of a layer's weights: small ones stay in the last-level cache, like those of a
/// small network.
const MOST_COPIES: usize = 16;

/// A prepared kernel with its own memory.
pub struct Prepared {
    /// Instances of the same kernel, each with a copy of the weights; runs alternate between them.
    kernels: Vec<Box<dyn Kernel>>,
    /// The instance that runs next.
    next: usize,
    input: AlignedBuf,
    output: AlignedBuf,
    shared: AlignedBuf<u8>,
    locals: Vec<AlignedBuf<u8>>,
}

impl Prepared {
    /// For `threads` threads, with weights that are neither zero nor denormal, and as warm as the
    /// caches allow.
    #[allow(dead_code, reason = "one bench wants them warm, the other cold")]
    pub fn warm(candidate: &Candidate, desc: &ConvDesc, threads: usize) -> Self {
        Self::new(candidate, desc, threads, |_| 1)
    }

    /// The same with weights that come from the last-level cache or from memory, as in a whole
    /// network.
    #[allow(dead_code, reason = "one bench wants them warm, the other cold")]
    pub fn cold(candidate: &Candidate, desc: &ConvDesc, threads: usize) -> Self {
        Self::new(candidate, desc, threads, |bytes| (CACHES / bytes.max(1)).clamp(1, MOST_COPIES))
    }

    fn new(candidate: &Candidate, desc: &ConvDesc, threads: usize, copies: impl Fn(usize) -> usize) -> Self {
        let buffer = |len| AlignedBuf::zeroed(len, "a bench").expect("memory");
        let bytes = |len| AlignedBuf::<u8>::zeroed(len, "a bench").expect("memory");
        let number = |i: usize| ((i * 7919) % 2048) as f32 / 1024.0 - 1.0;
        let weights: Vec<f32> = (0..desc.output.channels * desc.depth()).map(number).collect();
        let shift: Vec<f32> = (0..desc.output.channels).map(number).collect();
        let packed = candidate.pack_values(desc, Values::F32(&weights)).expect("memory");
        let epilogue = Epilogue::new(Some(&shift), Some(&shift), desc.activation).expect("memory");
        let copy = |packed: &Packed| {
            let Packed::F32(values) = packed else { unreachable!("packed from float32") };
            let mut copy = AlignedBuf::resident(values.len(), "a bench").expect("memory");
            copy.copy_from_slice(values);
            Packed::from(copy)
        };
        let kernels: Vec<Box<dyn Kernel>> = (0..copies(packed.bytes()))
            .map(|_| (candidate.prepare)(desc, copy(&packed), epilogue.clone(), threads).expect("memory"))
            .collect();
        let mut input = buffer(desc.input.view().end());
        // Half of them are zero, as after a ReLU: some kernels skip zeros.
        input.iter_mut().enumerate().for_each(|(i, x)| *x = number(i).max(0.0));
        let output = buffer(desc.output.view().end());
        let shared = bytes(kernels[0].scratch().shared);
        let locals = (0..threads).map(|_| bytes(kernels[0].scratch().local)).collect();
        Self { kernels, next: 0, input, output, shared, locals }
    }

    /// Nanoseconds per run, over `repeats` runs in one job of the pool.
    pub fn time(&mut self, repeats: usize) -> f64 {
        let threads = self.locals.len();
        set_num_threads(threads).expect("threads");
        let pool = pool().expect("the pool");
        let chunks = self.kernels[0].phases();
        let phases: Vec<Phase> =
            (0..repeats).flat_map(|_| chunks).map(|&chunks| Phase::new(chunks, threads)).collect();
        let work = Repeated {
            kernels: &self.kernels,
            first: self.next,
            input: &self.input,
            output: self.output.as_mut_ptr(),
            shared: self.shared.as_mut_ptr(),
            locals: self.locals.iter_mut().map(|local| local.as_mut_ptr()).collect(),
        };
        let start = Instant::now();
        pool.run(&work, &phases, &mut || false).expect("a run");
        self.next += repeats;
        start.elapsed().as_nanos() as f64 / repeats as f64
    }

    /// The number of runs that take about `job` nanoseconds.
    pub fn repeats(&mut self, job: f64) -> usize {
        self.time(1);
        ((job / self.time(1)) as usize).clamp(1, 1000)
    }
}

/// A kernel with its memory, run several times as one job.
struct Repeated<'a> {
    kernels: &'a [Box<dyn Kernel>],
    /// The index of the first run.
    first: usize,
    input: &'a AlignedBuf,
    output: *mut f32,
    shared: *mut u8,
    locals: Vec<*mut u8>,
}

// SAFETY: chunks write disjoint parts of the output and the shared scratch.
unsafe impl Sync for Repeated<'_> {}

impl Work for Repeated<'_> {
    fn chunk(&self, phase: usize, chunk: usize, worker: usize) {
        let phases = self.kernels[0].phases().len();
        let kernel = &self.kernels[(self.first + phase / phases) % self.kernels.len()];
        let io = Io { inputs: &[self.input.as_ptr()], output: self.output };
        let scratch = Scratch::new(self.shared, self.locals[worker]);
        // SAFETY: the memory has the required sizes, and the phases run in order.
        unsafe { kernel.run(phase % phases, chunk, &io, scratch) };
    }
    fn name(&self, _phase: usize) -> String {
        self.kernels[0].name().into()
    }
}
