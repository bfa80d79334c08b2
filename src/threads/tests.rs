//! The pool under load, under panics, interrupted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Phase, Pool, Work};
use crate::error::Error;

/// Counts chunks and checks that no chunk starts before the phases before it are done.
struct Ordered {
    chunks: Vec<usize>,
    done: Vec<AtomicUsize>,
    ended: AtomicUsize,
    pause: Duration,
    panic_at: Option<usize>,
}

impl Ordered {
    fn new(chunks: &[usize]) -> Self {
        let done = chunks.iter().map(|_| AtomicUsize::new(0)).collect();
        Self {
            chunks: chunks.to_vec(),
            done,
            ended: AtomicUsize::new(0),
            pause: Duration::ZERO,
            panic_at: None,
        }
    }

    fn phases(&self, workers: usize) -> Vec<Phase> {
        self.chunks.iter().map(|&c| Phase::new(c, workers)).collect()
    }
}

impl Work for Ordered {
    fn chunk(&self, phase: usize, _chunk: usize, _worker: usize) {
        for before in 0..phase {
            assert_eq!(self.done[before].load(Ordering::SeqCst), self.chunks[before]);
        }
        assert_eq!(self.ended.load(Ordering::SeqCst), phase, "phases that have ended");
        assert_ne!(self.panic_at, Some(phase), "asked to");
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
        self.done[phase].fetch_add(1, Ordering::SeqCst);
    }
    fn ended(&self, phase: usize) {
        assert_eq!(self.done[phase].load(Ordering::SeqCst), self.chunks[phase]);
        assert_eq!(self.ended.fetch_add(1, Ordering::SeqCst), phase);
    }
    fn name(&self, phase: usize) -> String {
        format!("phase {phase}")
    }
}

#[test]
fn every_chunk_once_and_phases_in_order() {
    for threads in 1..=4 {
        let pool = Pool::new(threads).unwrap();
        let work = Ordered::new(&[1, 7, 2, 64, 1, 3].repeat(20));
        pool.run(&work, &work.phases(threads), &mut || false).unwrap();
        for (done, chunks) in work.done.iter().zip(&work.chunks) {
            assert_eq!(done.load(Ordering::SeqCst), *chunks);
        }
        assert_eq!(work.ended.load(Ordering::SeqCst), work.chunks.len());
    }
}

#[test]
fn phases_without_chunks_end_at_once() {
    for chunks in [&[0][..], &[0, 0], &[0, 3], &[3, 0], &[0, 0, 5, 0, 0, 1, 0]] {
        for threads in 1..=3 {
            let pool = Pool::new(threads).unwrap();
            let work = Ordered::new(chunks);
            // A run that never ends is interrupted.
            let start = Instant::now();
            let mut late = || start.elapsed() > Duration::from_secs(20);
            pool.run(&work, &work.phases(threads), &mut late).unwrap();
            assert_eq!(work.ended.load(Ordering::SeqCst), chunks.len(), "{chunks:?}");
        }
    }
}

#[test]
fn counters_serve_several_jobs() {
    let pool = Pool::new(2).unwrap();
    let mut phases = vec![Phase::new(2, 2), Phase::new(0, 3)];
    for chunks in [[5, 1], [0, 7], [64, 64], [1, 0]] {
        let work = Ordered::new(&chunks);
        for (phase, chunks) in phases.iter_mut().zip(chunks) {
            phase.reset(chunks, 2);
        }
        pool.run(&work, &phases, &mut || false).unwrap();
        assert_eq!(work.ended.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn eight_callers_share_two_workers() {
    let pool = Pool::new(2).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let work = Ordered::new(&[3, 1, 8]);
                    pool.run(&work, &work.phases(2), &mut || false).unwrap();
                    assert_eq!(work.done[2].load(Ordering::SeqCst), 8);
                }
            });
        }
    });
}

#[test]
fn a_panic_is_an_error_and_the_pool_goes_on() {
    let pool = Pool::new(2).unwrap();
    let mut work = Ordered::new(&[4, 4, 4]);
    work.panic_at = Some(1);
    let error = pool.run(&work, &work.phases(2), &mut || false).unwrap_err();
    assert!(
        matches!(&error, Error::WorkerPanic { step, message }
        if step == "phase 1" && message.contains("asked to")),
        "{error}"
    );
    let work = Ordered::new(&[4, 4]);
    pool.run(&work, &work.phases(2), &mut || false).unwrap();
}

#[test]
fn an_interrupt_stops_soon() {
    let pool = Pool::new(2).unwrap();
    let mut work = Ordered::new(&[1000]);
    work.pause = Duration::from_millis(10);
    let start = Instant::now();
    let error = pool.run(&work, &work.phases(2), &mut || true).unwrap_err();
    assert!(matches!(error, Error::Interrupted));
    // The whole job would take five seconds.
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_caller_interrupted_in_the_queue_lets_the_others_go_on() {
    let pool = Pool::new(2).unwrap();
    let mut long = Ordered::new(&[40]);
    long.pause = Duration::from_millis(20);
    std::thread::scope(|scope| {
        scope.spawn(|| pool.run(&long, &long.phases(2), &mut || false).unwrap());
        std::thread::sleep(Duration::from_millis(50));
        let work = Ordered::new(&[1]);
        let error = pool.run(&work, &work.phases(2), &mut || true).unwrap_err();
        assert!(matches!(error, Error::Interrupted));
        assert_eq!(work.done[0].load(Ordering::SeqCst), 0);
    });
    let work = Ordered::new(&[4]);
    pool.run(&work, &work.phases(2), &mut || false).unwrap();
}

#[test]
fn a_signal_handler_may_run_a_job_of_its_own() {
    let pool = Pool::new(2).unwrap();
    let mut outer = Ordered::new(&[30]);
    outer.pause = Duration::from_millis(10);
    let mut handled = 0;
    let mut handler = || {
        let inner = Ordered::new(&[3]);
        pool.run(&inner, &inner.phases(2), &mut || false).unwrap();
        handled += 1;
        false
    };
    pool.run(&outer, &outer.phases(2), &mut handler).unwrap();
    assert!(handled > 0);
    assert_eq!(outer.done[0].load(Ordering::SeqCst), 30);
}

#[test]
#[cfg(target_os = "linux")]
fn a_caller_who_was_moved_keeps_its_processors() {
    fn processors() -> Vec<usize> {
        // SAFETY: an all-zero cpu_set_t is the empty set, filled by the kernel up to its size.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set), 0);
            (0..libc::CPU_SETSIZE as usize).filter(|&p| libc::CPU_ISSET(p, &set)).collect()
        }
    }
    let before = processors();
    let pool = Pool::new(3).unwrap();
    // A worker that sleeps in a chunk is not running, and the others have nothing to do, so they
    // change places with it all the time.
    let mut work = Ordered::new(&[1, 2, 1, 3, 1].repeat(20));
    work.pause = Duration::from_millis(1);
    pool.run(&work, &work.phases(3), &mut || false).unwrap();
    assert_eq!(work.ended.load(Ordering::SeqCst), work.chunks.len());
    assert_eq!(processors(), before);
}

#[test]
fn denormals_are_zero_during_a_run_only() {
    struct Tiny(Mutex<Vec<f32>>);
    impl Work for Tiny {
        fn chunk(&self, _: usize, _: usize, _: usize) {
            let tiny = std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
            self.0.lock().unwrap().push(tiny);
        }
        fn name(&self, _: usize) -> String {
            String::new()
        }
    }
    let work = Tiny(Mutex::default());
    Pool::new(2).unwrap().run(&work, &[Phase::new(8, 2)], &mut || false).unwrap();
    assert_eq!(*work.0.lock().unwrap(), [0.0; 8]);
    assert!(std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5) > 0.0);
}
