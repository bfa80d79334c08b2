//! Times kernels other than dense convolutions, warm and on one thread: the least of many runs.
//!
//! `cargo bench --bench pointwise [FILTER]`

use std::time::{Duration, Instant};

use rvision::kernels::attention::{self, AttentionDesc};
use rvision::kernels::conv::{ConvDesc, Padding, candidates};
use rvision::kernels::elementwise::{
    BinaryDesc, BinaryOp, ChannelDesc, Operand, UnaryDesc, prepare_affine, prepare_binary, prepare_unary,
};
use rvision::kernels::matmul::{self, MatMulDesc};
use rvision::kernels::norm::{LayerNormDesc, NormalizeDesc, prepare_layer, prepare_normalize};
use rvision::kernels::pool::{PoolDesc, PoolOp, PoolWindow};
use rvision::kernels::{Epilogue, Io, Kernel, Scratch, copy, pool};
use rvision::simd::Isa;
use rvision::tensor::{Activation, AlignedBuf, ElementType, FeatureMap, Shape, Values, View};

/// How long each kernel is measured.
const BUDGET: Duration = Duration::from_millis(150);

fn time(kernel: &dyn Kernel, inputs: &[View], output: View) -> Duration {
    let memory = |view: &View| {
        let mut buf = AlignedBuf::zeroed(view.end() + 64, "a bench").expect("memory");
        buf.iter_mut().enumerate().for_each(|(i, x)| *x = (i % 251) as f32 / 125.0 - 1.0);
        buf
    };
    let inputs: Vec<AlignedBuf> = inputs.iter().map(memory).collect();
    let inputs: Vec<*const f32> = inputs.iter().map(|input| input.as_ptr()).collect();
    let mut output = memory(&output);
    let size = kernel.scratch();
    let mut shared = AlignedBuf::<u8>::zeroed(size.shared, "a bench").expect("memory");
    let mut local = AlignedBuf::<u8>::zeroed(size.local, "a bench").expect("memory");
    let scratch = Scratch::new(shared.as_mut_ptr(), local.as_mut_ptr());
    let io = Io { inputs: &inputs, output: output.as_mut_ptr() };
    let mut least = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < BUDGET {
        let start = Instant::now();
        for (phase, &chunks) in kernel.phases().iter().enumerate() {
            for chunk in 0..chunks {
                // SAFETY: the memory matches the descriptors, and nothing else uses it.
                unsafe { kernel.run(phase, chunk, &io, scratch) };
            }
        }
        least = least.min(start.elapsed());
    }
    least
}

fn report(name: &str, case: &str, time: Duration, flops: usize, floats: usize) {
    let seconds = time.as_secs_f64();
    println!(
        "{name:32} {case:30} {:9.1} us {:7.1} GFLOP/s {:6.1} GB/s",
        seconds * 1e6,
        flops as f64 / seconds * 1e-9,
        (floats * 4) as f64 / seconds * 1e-9,
    );
}

/// All candidates that accept a square grouped convolution with "same" padding.
fn convolution(filter: &str, size: usize, channels: usize, groups: usize, kernel: usize, stride: usize) {
    let pad = kernel / 2;
    let out = (size + 2 * pad - kernel) / stride + 1;
    let desc = ConvDesc {
        input: FeatureMap::nhwc(1, size, size, channels),
        output: FeatureMap::nhwc(1, out, out, channels),
        residual: None,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: Padding { top: pad, left: pad, bottom: pad, right: pad },
        groups,
        weights: ElementType::F32,
        activation: Activation::Relu,
    };
    let case = format!("{channels}@{size} g{groups} {kernel}x{kernel}/{stride}");
    let weights = vec![0.01; channels * desc.depth()];
    let vector = vec![0.5; channels];
    for candidate in candidates().filter(|c| c.isa.is_available() && (c.accepts)(&desc)) {
        if !format!("{} {case}", candidate.name).contains(filter) {
            continue;
        }
        let packed = candidate.pack_values(&desc, Values::F32(&weights)).expect("memory");
        let epilogue = Epilogue::new(Some(&vector), Some(&vector), desc.activation).expect("memory");
        let kernel = (candidate.prepare)(&desc, packed, epilogue, 1).expect("memory");
        let time = time(&*kernel, &[desc.input.view()], desc.output.view());
        let floats = desc.input.view().shape.numel() + desc.output.view().shape.numel();
        report(kernel.name(), &case, time, 2 * desc.macs(), floats);
    }
}

fn simple(filter: &str, case: &str, kernel: &dyn Kernel, inputs: &[View], output: View) {
    if format!("{} {case}", kernel.name()).contains(filter) {
        let floats = inputs.iter().map(|v| v.shape.numel()).sum::<usize>() + output.shape.numel();
        report(kernel.name(), case, time(kernel, inputs, output), output.shape.numel(), floats);
    }
}

/// Attention over `batch` sequences or windows, with queries, keys and values laid out as in the
/// output of one linear layer.
fn attend(filter: &str, isa: Isa, [batch, tokens, heads, depth]: [usize; 4], biased: bool) {
    let view = |dims: &[usize]| View::contiguous(Shape::new(dims));
    let joint = view(&[batch, tokens, 3, heads, depth]);
    let query = joint.slice(2, 0, 1, 1).permute(&[2, 0, 3, 1, 4]);
    let query = query.reshape(Shape::new(&[batch, heads, tokens, depth])).expect("a part");
    let desc = AttentionDesc {
        query,
        key: query,
        value: query,
        mask: biased.then(|| view(&[heads, tokens, tokens])),
        output: view(&[batch, tokens, heads, depth]).permute(&[0, 2, 1, 3]),
        scale: 0.125,
    };
    let case = format!("{batch} x {heads} heads of {tokens}x{depth}");
    let kernel = attention::prepare(&desc, isa, 1);
    if format!("{} {case}", kernel.name()).contains(filter) {
        let inputs: Vec<View> = [joint; 3].into_iter().chain(desc.mask).collect();
        let time = time(&*kernel, &inputs, desc.output);
        let flops = 4 * batch * heads * tokens * tokens * depth;
        report(kernel.name(), &case, time, flops, 4 * desc.output.shape.numel());
    }
}

fn tokens(filter: &str, isa: Isa) {
    attend(filter, isa, [1, 197, 12, 64], false);
    attend(filter, isa, [1, 1370, 16, 80], false);
    for (windows, heads) in [(64, 3), (16, 6), (4, 12), (1, 24)] {
        attend(filter, isa, [windows, 49, heads, 32], true);
        attend(filter, isa, [windows, 64, heads, 32], true);
    }
    for (rows, channels) in [(197, 768), (3136, 96), (196, 384)] {
        let map = FeatureMap::nhwc(1, 1, rows, channels);
        let case = format!("{rows}x{channels}");
        let desc = LayerNormDesc { input: map, output: map, epsilon: 1e-6 };
        let ones = vec![1.0; channels];
        let kernel = prepare_layer(&desc, Some(&ones), Some(&ones), isa, 1).expect("memory");
        simple(filter, &case, &*kernel, &[map.view()], map.view());
        let kernel = prepare_normalize(&NormalizeDesc { input: map, output: map, epsilon: 1e-12 }, isa, 1);
        simple(filter, &case, &*kernel, &[map.view()], map.view());
    }
    let view = View::contiguous(Shape::new(&[512, 512]));
    let kernel = matmul::prepare(&MatMulDesc { left: view, right: view, output: view }, isa, 1);
    if format!("{} 512", kernel.name()).contains(filter) {
        report(kernel.name(), "512", time(&*kernel, &[view; 2], view), 2 * 512 * 512 * 512, 3 * 512 * 512);
    }
}

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    for (size, channels, kernel, stride) in [
        (112, 32, 3, 1),
        (56, 144, 3, 1),
        (28, 192, 3, 1),
        (14, 384, 3, 1),
        (7, 960, 3, 1),
        (112, 96, 3, 2),
        (56, 144, 3, 2),
        (14, 576, 3, 2),
        (28, 240, 5, 1),
        (14, 672, 5, 1),
        (14, 672, 5, 2),
        (56, 96, 7, 1),
        (14, 384, 7, 1),
    ] {
        convolution(&filter, size, channels, channels, kernel, stride);
    }
    for (size, channels, groups, stride) in [
        (56, 128, 32, 1),
        (56, 256, 32, 1),
        (28, 512, 32, 1),
        (14, 1024, 32, 1),
        (56, 256, 32, 2),
        (28, 256, 32, 1),
        (14, 512, 32, 1),
        (7, 1024, 32, 1),
        (14, 1024, 32, 2),
    ] {
        convolution(&filter, size, channels, groups, 3, stride);
    }
    let map = |n, c, h, w| View::physical(Shape::new(&[n, c, h, w]));
    for isa in Isa::available() {
        tokens(&filter, isa);
        let pad = Padding { top: 1, left: 1, bottom: 1, right: 1 };
        let window = PoolWindow::Sliding { kernel: [3; 2], stride: [2; 2], dilation: [1; 2], padding: pad };
        let (input, output) = (map(1, 64, 112, 112), map(1, 64, 56, 56));
        for op in [PoolOp::Max, PoolOp::Average { include_padding: true, divisor: None }] {
            let desc = PoolDesc { input: input.feature_map(), output: output.feature_map(), op, window };
            simple(
                &filter,
                "64@112 3x3/2",
                &*pool::prepare(&desc, isa, 1).expect("memory"),
                &[input],
                output,
            );
        }
        // A global average pool that slides over the map of a large picture, without and with
        // dilation.
        for (kernel, dilation) in [(3, 1), (5, 1), (7, 1), (13, 1), (13, 8)] {
            let (height, width) = (125, 187);
            let out = |size: usize| size - (kernel - 1) * dilation;
            let (input, output) = (map(1, 1000, height, width), map(1, 1000, out(height), out(width)));
            let padding = Padding::default();
            let window =
                PoolWindow::Sliding { kernel: [kernel; 2], stride: [1; 2], dilation: [dilation; 2], padding };
            let op = PoolOp::Average { include_padding: false, divisor: None };
            let desc = PoolDesc { input: input.feature_map(), output: output.feature_map(), op, window };
            let case = format!("1000@{height}x{width} {kernel}x{kernel} d{dilation}");
            simple(&filter, &case, &*pool::prepare(&desc, isa, 1).expect("memory"), &[input], output);
        }
        let (input, output) = (map(1, 2048, 7, 7), map(1, 2048, 1, 1));
        let desc = PoolDesc {
            input: input.feature_map(),
            output: output.feature_map(),
            op: PoolOp::Average { include_padding: true, divisor: None },
            window: PoolWindow::Adaptive,
        };
        simple(&filter, "2048@7 global", &*pool::prepare(&desc, isa, 1).expect("memory"), &[input], output);

        let x = map(1, 256, 28, 28);
        let gate = map(1, 256, 1, 1);
        let mut desc = BinaryDesc {
            op: BinaryOp::Add,
            left: x,
            swapped: false,
            right: Operand::View(x),
            output: x,
            activation: Activation::Relu,
        };
        let add = prepare_binary(&desc, isa, 1).expect("memory");
        simple(&filter, "256@28", &*add, &[x, x], x);
        (desc.op, desc.right, desc.activation) = (BinaryOp::Mul, Operand::View(gate), Activation::Identity);
        let mul = prepare_binary(&desc, isa, 1).expect("memory");
        simple(&filter, "256@28 by channel", &*mul, &[x, gate], x);
        let desc = ChannelDesc { input: x, output: x, activation: Activation::Relu };
        let affine = prepare_affine(&desc, &[0.5; 256], &[0.1; 256], isa, 1).expect("memory");
        simple(&filter, "256@28", &*affine, &[x], x);
        for activation in
            [Activation::Relu, Activation::Tanh, Activation::Silu, Activation::Gelu, Activation::GeluTanh]
        {
            let kernel = prepare_unary(&UnaryDesc { input: x, output: x, activation }, isa, 1);
            simple(&filter, &format!("256@28 {activation:?}"), &*kernel, &[x], x);
        }
    }
    for (c, size) in [(3, 224), (64, 56), (21, 520)] {
        let shape = Shape::new(&[1, c, size, size]);
        let (planar, last) = (View::contiguous(shape), View::physical(shape));
        for (case, input, output) in [("to NHWC", planar, last), ("to NCHW", last, planar)] {
            let kernel = copy::prepare(&copy::CopyDesc { input, output }, 1);
            simple(&filter, &format!("{c}@{size} {case}"), &*kernel, &[input], output);
        }
    }
}
