//! Checks whether the plan picks the best convolution kernel for every layer of the networks with
//! published weights.
//!
//! `cargo bench --bench choice -- [--isa=avx2] [--from=N] [FILTER...]` runs every candidate that
//! accepts a layer, with one and with two threads. It covers the layers of `zoo_layers.csv` from
//! the N-th on whose line contains one of the filters (for example a network's name). If the pick
//! is slower than the best candidate by a significant ratio and time, both are measured again, in
//! turn. If this confirms the loss, the layer is listed, and the exit status is 1. The whole list
//! took five minutes on two cores. Of its 3328 picks, seven were listed, but none of those in three
//! more runs: small layers depend on what else the machine does.
//!
//! Maps are as warm as the caches allow. Weights are not: runs alternate between copies of them, so
//! that they come from memory or the last-level cache as in a network. Warm weights would favour
//! Winograd's larger tiles.

mod support;

use std::fmt;
use std::process::ExitCode;

use rvision::kernels::conv::{Candidate, ConvDesc, Padding, candidates, choose};
use rvision::simd::Isa;
use rvision::tensor::{Activation, ElementType, FeatureMap};
use support::{Prepared, planar};

/// Written by `benches/python/zoo_layers.py`.
const LAYERS: &str = include_str!("zoo_layers.csv");

/// A pick may take this many times the time of the best candidate.
const SHARE: f64 = 1.05;
/// A pick may take this many nanoseconds longer than the best.
const TIME: f64 = 3e3;
/// Duration of a job in nanoseconds; a short kernel runs many times in it.
const JOB: f64 = 5e5;
/// The number of jobs per candidate; the least time counts.
const SAMPLES: usize = 4;
/// The same for the confirmation of a bad pick.
const CONFIRMING: usize = 20;
/// Candidates this many times slower than the best are not run again.
const HOPELESS: f64 = 1.5;

/// A line of the list.
struct Layer {
    desc: ConvDesc,
    networks: &'static str,
}

impl Layer {
    fn parse(line: &'static str) -> Self {
        let (numbers, networks) = line.rsplit_once(',').expect("networks at the end");
        let numbers: Vec<usize> = numbers.split(',').map(|n| n.parse().expect("a number")).collect();
        let [
            kernel_h,
            kernel_w,
            stride_h,
            stride_w,
            top,
            left,
            dilation_h,
            dilation_w,
            groups,
            inputs,
            outputs,
            in_h,
            in_w,
            out_h,
            out_w,
            is_planar,
        ] = numbers[..]
        else {
            panic!("benches/zoo_layers.csv: expected 16 numbers, got {}: {line}", numbers.len());
        };
        // In the layout that a plan uses.
        let map = |h: usize, w: usize, channels: usize| {
            FeatureMap::nhwc(1, h, w, channels).view().spread().feature_map()
        };
        let input = map(in_h, in_w, inputs);
        let behind =
            |out: usize, stride: usize, kernel: usize, dilation: usize, size: usize, before: usize| {
                ((out - 1) * stride + (kernel - 1) * dilation + 1).saturating_sub(size + before)
            };
        let desc = ConvDesc {
            input: if is_planar == 1 { planar(FeatureMap::nhwc(1, in_h, in_w, inputs)) } else { input },
            output: map(out_h, out_w, outputs),
            residual: None,
            kernel: [kernel_h, kernel_w],
            stride: [stride_h, stride_w],
            dilation: [dilation_h, dilation_w],
            padding: Padding {
                top,
                left,
                bottom: behind(out_h, stride_h, kernel_h, dilation_h, in_h, top),
                right: behind(out_w, stride_w, kernel_w, dilation_w, in_w, left),
            },
            groups,
            weights: ElementType::F32,
            activation: Activation::Relu,
        };
        Self { desc, networks }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConvDesc { input, output, kernel, stride, groups, .. } = &self.desc;
        write!(f, "{}-{}@{}x{} ", input.channels, output.channels, input.height, input.width)?;
        write!(f, "{}x{}/{}", kernel[0], kernel[1], stride[0])?;
        if *groups > 1 {
            write!(f, " g{groups}")?;
        }
        Ok(())
    }
}

/// A candidate's kernel and its least time.
struct Entry {
    candidate: &'static Candidate,
    kernel: Prepared,
    least: f64,
}

impl Entry {
    fn new(candidate: &'static Candidate, desc: &ConvDesc, threads: usize) -> Self {
        Self { candidate, kernel: Prepared::cold(candidate, desc, threads), least: f64::INFINITY }
    }

    fn run(&mut self, repeats: usize) {
        self.least = self.least.min(self.kernel.time(repeats));
    }
}

/// A pick and the better candidate.
struct Failure {
    pick: (&'static str, f64),
    best: (&'static str, f64),
}

fn is_worse(pick: f64, best: f64) -> bool {
    pick > best * SHARE && pick - best > TIME
}

/// Run every candidate; return the pick's loss if another one is better.
fn check(desc: &ConvDesc, isa: Isa, threads: usize) -> Option<Failure> {
    let pick = choose(desc, isa, None).name;
    let usable = candidates().filter(|c| c.takes(desc, isa) || c.takes(desc, Isa::Portable));
    let mut entries: Vec<Entry> = usable.map(|candidate| Entry::new(candidate, desc, threads)).collect();
    let pick = entries.iter().position(|entry| entry.candidate.name == pick).expect("it accepts the layer");
    // The same number for all: a candidate that runs more often in a job would find more of its
    // weights in the last-level cache.
    let repeats = entries.iter_mut().map(|entry| entry.kernel.repeats(JOB)).max().expect("a candidate");
    let best_of = |entries: &[Entry]| {
        (0..entries.len())
            .min_by(|&a, &b| entries[a].least.total_cmp(&entries[b].least))
            .expect("a candidate")
    };
    for sample in 0..SAMPLES {
        let limit = if sample == 0 { f64::INFINITY } else { entries[best_of(&entries)].least * HOPELESS };
        entries
            .iter_mut()
            .filter(|entry| !(entry.least < f64::INFINITY && entry.least > limit))
            .for_each(|entry| entry.run(repeats));
    }
    let best = best_of(&entries);
    if !is_worse(entries[pick].least, entries[best].least) {
        return None;
    }
    for entry in [pick, best] {
        entries[entry].least = f64::INFINITY;
    }
    for _ in 0..CONFIRMING {
        entries[pick].run(repeats);
        entries[best].run(repeats);
    }
    let found = |entry: usize| (entries[entry].candidate.name, entries[entry].least);
    let failure = Failure { pick: found(pick), best: found(best) };
    is_worse(failure.pick.1, failure.best.1).then_some(failure)
}

fn main() -> ExitCode {
    let mut isa = Isa::available().last().expect("plain Rust");
    let mut from = 0;
    let mut filters = Vec::new();
    for arg in std::env::args().skip(1) {
        if let Some(name) = arg.strip_prefix("--isa=") {
            isa = Isa::available().find(|isa| isa.name() == name).expect("an instruction set of here");
        } else if let Some(number) = arg.strip_prefix("--from=") {
            from = number.parse().expect("a line's number");
        } else if !arg.starts_with('-') {
            filters.push(arg);
        }
    }
    let layers: Vec<Layer> = LAYERS.lines().skip(1).map(Layer::parse).collect();
    let (mut checked, mut failures) = (0, 0);
    println!(
        "{:>5} {:<32} T {:<32} {:>10} {:<32} {:>10} ratio  networks",
        "line", "layer", "pick", "us", "best", "us"
    );
    for (index, layer) in layers.iter().enumerate().skip(from) {
        let label = format!("{layer} {}", layer.networks);
        if !filters.is_empty() && !filters.iter().any(|filter| label.contains(filter.as_str())) {
            continue;
        }
        for threads in [1, 2] {
            checked += 1;
            let Some(Failure { pick, best }) = check(&layer.desc, isa, threads) else { continue };
            failures += 1;
            let networks: String = layer.networks.chars().take(60).collect();
            println!(
                "{index:>5} {:<32} {threads} {:<32} {:>10.1} {:<32} {:>10.1} {:>5.2}  {networks}",
                layer.to_string(),
                pick.0,
                pick.1 / 1e3,
                best.0,
                best.1 / 1e3,
                pick.1 / best.1,
            );
        }
    }
    println!("{failures} of {checked} picks are worse than another candidate");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
