//! Times every convolution kernel on the layers of real networks, as a share of the FMA peak that
//! the same process measures in between.
//!
//! `cargo bench --bench conv -- [FILTER...]` runs the layers and kernels whose line contains one of
//! the filters. The result is the least of many times, each over several runs in one job of the
//! pool, so weights and maps are as warm as the caches allow.

mod support;

use std::time::Instant;

use rvision::kernels::conv::{Candidate, ConvDesc, Padding, candidates};
use rvision::kernels::peak::multiply_adds;
use rvision::simd::Isa;
use rvision::tensor::{Activation, ElementType, FeatureMap};
use support::{Prepared, planar};

/// A layer: network, input size, channels in and out, kernel, stride, padding, groups.
struct Layer(&'static str, usize, [usize; 2], usize, usize, usize, usize);

/// The same layers of dense networks, without and with the dilation that replaces a stride.
const DENSE: &[(Layer, usize)] = &[
    (Layer("vgg16 conv3 dense", 112, [256, 256], 3, 1, 1, 1), 1),
    (Layer("vgg16 conv3 dense", 112, [256, 256], 3, 1, 4, 1), 4),
    (Layer("vgg16 conv5 dense", 112, [512, 512], 3, 1, 16, 1), 16),
    (Layer("alexnet conv2 dense", 112, [64, 192], 5, 1, 2, 1), 1),
    (Layer("alexnet conv2 dense", 112, [64, 192], 5, 1, 16, 1), 8),
    (Layer("alexnet fc1", 13, [256, 4096], 6, 1, 0, 1), 1),
    (Layer("alexnet fc1", 168, [256, 4096], 6, 1, 0, 1), 32),
    (Layer("mobilenet depthwise dense", 112, [144, 144], 3, 1, 1, 144), 1),
    (Layer("mobilenet depthwise dense", 112, [144, 144], 3, 1, 4, 144), 4),
    (Layer("mobilenet depthwise dense", 112, [144, 144], 3, 1, 32, 144), 32),
    (Layer("resnext grouped dense", 112, [128, 128], 3, 1, 1, 32), 1),
    (Layer("resnext grouped dense", 112, [128, 128], 3, 1, 8, 32), 8),
];

const LAYERS: &[Layer] = &[
    Layer("resnet50 conv1", 224, [3, 64], 7, 2, 3, 1),
    Layer("resnet50 layer1 1x1", 56, [64, 64], 1, 1, 0, 1),
    Layer("resnet50 layer1 1x1", 56, [64, 256], 1, 1, 0, 1),
    Layer("resnet50 layer1 1x1", 56, [256, 64], 1, 1, 0, 1),
    Layer("resnet50 layer1 3x3", 56, [64, 64], 3, 1, 1, 1),
    Layer("resnet50 layer2 1x1", 28, [512, 128], 1, 1, 0, 1),
    Layer("resnet50 layer2 1x1", 28, [128, 512], 1, 1, 0, 1),
    Layer("resnet50 layer2 3x3", 28, [128, 128], 3, 1, 1, 1),
    Layer("resnet50 layer2 down", 56, [256, 512], 1, 2, 0, 1),
    Layer("resnet50 layer2 3x3s2", 56, [128, 128], 3, 2, 1, 1),
    Layer("resnet50 layer3 1x1", 14, [1024, 256], 1, 1, 0, 1),
    Layer("resnet50 layer3 1x1", 14, [256, 1024], 1, 1, 0, 1),
    Layer("resnet50 layer3 3x3", 14, [256, 256], 3, 1, 1, 1),
    Layer("resnet50 layer4 1x1", 7, [2048, 512], 1, 1, 0, 1),
    Layer("resnet50 layer4 1x1", 7, [512, 2048], 1, 1, 0, 1),
    Layer("resnet50 layer4 3x3", 7, [512, 512], 3, 1, 1, 1),
    Layer("resnet50 fc", 1, [2048, 1000], 1, 1, 0, 1),
    Layer("resnext50 layer1 3x3", 56, [128, 128], 3, 1, 1, 32),
    Layer("resnext50 layer2 3x3s2", 56, [256, 256], 3, 2, 1, 32),
    Layer("resnext50 layer2 3x3", 28, [256, 256], 3, 1, 1, 32),
    Layer("resnext50 layer3 3x3s2", 28, [512, 512], 3, 2, 1, 32),
    Layer("resnext50 layer3 3x3", 14, [512, 512], 3, 1, 1, 32),
    Layer("resnext50 layer4 3x3s2", 14, [1024, 1024], 3, 2, 1, 32),
    Layer("resnext50 layer4 3x3", 7, [1024, 1024], 3, 1, 1, 32),
    Layer("resnext101 layer4 3x3", 7, [2048, 2048], 3, 1, 1, 32),
    Layer("regnet_y_400mf block3 3x3", 14, [208, 208], 3, 1, 1, 26),
    Layer("regnet_x_1_6gf block3 3x3", 14, [408, 408], 3, 1, 1, 17),
    Layer("regnet_x_3_2gf block3 3x3", 14, [432, 432], 3, 1, 1, 9),
    Layer("regnet_y_8gf block3 3x3", 14, [896, 896], 3, 1, 1, 16),
    Layer("regnet_x_8gf block3 3x3", 14, [720, 720], 3, 1, 1, 6),
    Layer("regnet_y_32gf block3 3x3", 14, [1392, 1392], 3, 1, 1, 6),
    Layer("vgg19 conv1_1", 224, [3, 64], 3, 1, 1, 1),
    Layer("vgg19 conv1_2", 224, [64, 64], 3, 1, 1, 1),
    Layer("vgg19 conv3", 56, [256, 256], 3, 1, 1, 1),
    Layer("vgg19 conv5", 14, [512, 512], 3, 1, 1, 1),
    Layer("vgg19 fc1", 7, [512, 4096], 7, 1, 0, 1),
    Layer("vgg19 fc2", 1, [4096, 4096], 1, 1, 0, 1),
    Layer("alexnet conv1", 224, [3, 64], 11, 4, 2, 1),
    Layer("alexnet conv2", 27, [64, 192], 5, 1, 2, 1),
    Layer("alexnet conv3", 13, [192, 384], 3, 1, 1, 1),
    Layer("squeezenet fire2 squeeze", 55, [64, 16], 1, 1, 0, 1),
    Layer("squeezenet fire2 expand", 55, [16, 64], 3, 1, 1, 1),
    Layer("squeezenet classifier", 13, [512, 1000], 1, 1, 0, 1),
    Layer("mobilenet_v2 conv1", 224, [3, 32], 3, 2, 1, 1),
    Layer("mobilenet_v3 conv1", 224, [3, 16], 3, 2, 1, 1),
    Layer("squeezenet1_1 conv1", 224, [3, 64], 3, 2, 0, 1),
    Layer("inception_v3 conv1", 299, [3, 32], 3, 2, 0, 1),
    Layer("convnext patches", 224, [3, 96], 4, 4, 0, 1),
    Layer("vit patches", 224, [3, 768], 16, 16, 0, 1),
    Layer("mobilenet_v2 project", 112, [32, 16], 1, 1, 0, 1),
    Layer("mobilenet_v2 expand", 112, [16, 96], 1, 1, 0, 1),
    Layer("mobilenet_v2 project", 56, [144, 24], 1, 1, 0, 1),
    Layer("mobilenet_v2 depthwise", 112, [96, 96], 3, 2, 1, 96),
    Layer("mobilenet_v2 depthwise", 56, [144, 144], 3, 1, 1, 144),
    Layer("mobilenet_v2 expand", 14, [96, 576], 1, 1, 0, 1),
    Layer("mobilenet_v2 project", 7, [960, 160], 1, 1, 0, 1),
    Layer("cifar resnet layer1", 32, [16, 16], 3, 1, 1, 1),
    Layer("cifar resnet layer3", 8, [64, 64], 3, 1, 1, 1),
];

impl Layer {
    fn desc(&self, dilation: usize) -> ConvDesc {
        let &Layer(_, size, [inputs, outputs], kernel, stride, padding, groups) = self;
        let out = (size + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1;
        let input = FeatureMap::nhwc(1, size, size, inputs);
        ConvDesc {
            // A network's input has Python's layout (NCHW).
            input: if inputs == 3 { planar(input) } else { input },
            output: FeatureMap::nhwc(1, out, out, outputs),
            residual: None,
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
            padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
            groups,
            weights: ElementType::F32,
            activation: Activation::Relu,
        }
    }
}

/// The peak rate of one thread in multiply-adds per nanosecond.
fn peak(isa: Isa) -> f64 {
    (0..3)
        .map(|_| {
            let start = Instant::now();
            let done = multiply_adds(isa, 20_000);
            done as f64 / start.elapsed().as_nanos() as f64
        })
        .fold(0.0, f64::max)
}

/// The least nanoseconds of one run, over several jobs.
fn time(candidate: &Candidate, desc: &ConvDesc, threads: usize, peaks: &mut f64) -> f64 {
    const SAMPLES: usize = 12;
    /// The duration of a job in nanoseconds, long enough to hide the cost of entering the pool.
    const JOB: f64 = 3e6;
    let best = Isa::available().last().expect("plain Rust");
    let mut kernel = Prepared::warm(candidate, desc, threads);
    let repeats = kernel.repeats(JOB);
    let mut least = f64::INFINITY;
    for _ in 0..SAMPLES {
        *peaks = peaks.max(peak(best));
        least = least.min(kernel.time(repeats));
    }
    least
}

fn main() {
    // Cargo passes `--bench`.
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    println!("{:<44} {:<28} {:>9} {:>6} {:>9} {:>6}", "layer", "kernel", "1T ms", "%peak", "2T ms", "%peak");
    for (layer, dilation) in LAYERS.iter().map(|layer| (layer, 1)).chain(DENSE.iter().map(|(l, d)| (l, *d))) {
        let desc = layer.desc(dilation);
        let Layer(name, size, [inputs, outputs], ..) = layer;
        let dilated = if dilation > 1 { format!(" d{dilation}") } else { String::new() };
        let label = format!("{name} {inputs}-{outputs}@{size}{dilated}");
        for candidate in candidates() {
            let wanted = |f: &String| label.contains(f.as_str()) || candidate.name.contains(f.as_str());
            if !candidate.isa.is_available() || !(candidate.accepts)(&desc) {
                continue;
            }
            if !filters.is_empty() && !filters.iter().any(wanted) {
                continue;
            }
            let mut peaks = 0.0;
            let one = time(candidate, &desc, 1, &mut peaks);
            let two = time(candidate, &desc, 2, &mut peaks);
            let share = |ns: f64, threads: f64| 100.0 * desc.macs() as f64 / (ns * peaks * threads);
            println!(
                "{label:<44} {:<28} {:>9.4} {:>6.1} {:>9.4} {:>6.1}",
                candidate.name,
                one / 1e6,
                share(one, 1.0),
                two / 1e6,
                share(two, 2.0)
            );
        }
    }
}
