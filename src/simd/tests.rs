//! Compares every token with scalar arithmetic, on every instruction set of the machine.

use half::f16;

use super::{Isa, Simd, Vectorized};

struct Everything;

impl Vectorized for Everything {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = S::LANES;
        let a: Vec<f32> = (0..n).map(|i| i as f32 - 3.25).collect();
        let b: Vec<f32> = (0..n).map(|i| 2.5 - i as f32 * 0.5).collect();
        let get = |v: S::F32| {
            let mut out = vec![0.0; n];
            // SAFETY: out holds LANES floats.
            unsafe { s.store(out.as_mut_ptr(), v) };
            out
        };
        // SAFETY: a and b hold LANES floats.
        let (va, vb) = unsafe { (s.load(a.as_ptr()), s.load(b.as_ptr())) };
        let expect =
            |f: &dyn Fn(f32, f32) -> f32| -> Vec<f32> { a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect() };
        assert_eq!(get(s.add(va, vb)), expect(&|a, b| a + b));
        assert_eq!(get(s.sub(va, vb)), expect(&|a, b| a - b));
        assert_eq!(get(s.mul(va, vb)), expect(&|a, b| a * b));
        assert_eq!(get(s.div(va, vb)), expect(&|a, b| a / b));
        assert_eq!(get(s.max(va, vb)), expect(&f32::max));
        assert_eq!(get(s.min(va, vb)), expect(&f32::min));
        assert_eq!(get(s.fma(va, vb, s.splat(1.5))), expect(&|a, b| a * b + 1.5));
        assert_eq!(
            get(s.select_gt(va, vb, s.splat(1.0), s.zero())),
            expect(&|a, b| f32::from(u8::from(a > b)))
        );
        assert_eq!(get(s.sqrt(s.mul(va, va))), expect(&|a, _| a.abs()));
        assert_eq!(get(s.select_nan(va, vb, va)), a);
        assert_eq!(get(s.select_nan(s.splat(f32::NAN), vb, va)), b);
        assert_eq!(get(s.round(va)), expect(&|a, _| a.round_ties_even()));
        assert_eq!(get(s.pow2n(s.round(va))), expect(&|a, _| a.round_ties_even().exp2()));
        for x in [1.0, 1.999_999_9, 0.75, f32::MIN_POSITIVE, f32::MAX, 6.0] {
            let (m, e) = s.split(s.splat(x));
            let (m, e) = (get(m)[n - 1], get(e)[n - 1]);
            assert!((1.0..2.0).contains(&m) && f64::from(m) * f64::from(e).exp2() == f64::from(x), "{x}");
        }
        let quads = |k: usize| (0..n).map(|i| a[i / 4 * 4 + k]).collect::<Vec<_>>();
        assert_eq!(get(s.broadcast_in_quads::<0>(va)), quads(0));
        assert_eq!(get(s.broadcast_in_quads::<1>(va)), quads(1));
        assert_eq!(get(s.broadcast_in_quads::<2>(va)), quads(2));
        assert_eq!(get(s.broadcast_in_quads::<3>(va)), quads(3));
        for lane in (0..8).take_while(|_| n.is_multiple_of(8)) {
            let octets: Vec<f32> = (0..n).map(|i| a[i / 8 * 8 + lane]).collect();
            assert_eq!(get(s.broadcast_in_octets(va, lane)), octets);
        }
        assert_eq!(s.reduce_add(va), a.iter().sum::<f32>());
        assert_eq!(s.reduce_max(va), a[n - 1]);
        let nan = s.splat(f32::NAN);
        assert!(get(s.max(s.zero(), nan)).iter().all(|x| x.is_nan()));
        assert!(get(s.min(s.zero(), nan)).iter().all(|x| x.is_nan()));
        assert!(s.reduce_max(nan).is_nan());
        for lane in 0..n {
            let mut some = a.clone();
            some[lane] = f32::NAN;
            // SAFETY: LANES floats.
            assert!(s.reduce_max(unsafe { s.load(some.as_ptr()) }).is_nan());
        }
        let side = S::BLOCK;
        let block: Vec<f32> = (0..side * 9).map(|i| i as f32).collect();
        let mut turned = vec![-1.0; (side - 1) * 10 + side];
        // SAFETY: so many rows of so many floats at these steps.
        unsafe { s.transpose(block.as_ptr(), turned.as_mut_ptr(), [9, 10]) };
        for (i, &x) in turned.iter().enumerate() {
            let (c, r) = (i / 10, i % 10);
            assert_eq!(x, if r < side { block[r * 9 + c] } else { -1.0 });
        }
        for part in 0..=n {
            // SAFETY: part <= LANES floats are there to read, and LANES to write.
            let v = unsafe { s.load_partial(a.as_ptr(), part) };
            let padded: Vec<f32> = (0..n).map(|i| if i < part { a[i] } else { 0.0 }).collect();
            assert_eq!(get(v), padded);
            let mut out = vec![9.0; n];
            // SAFETY: out holds LANES floats.
            unsafe { s.store_partial(out.as_mut_ptr(), va, part) };
            let stored: Vec<f32> = (0..n).map(|i| if i < part { a[i] } else { 9.0 }).collect();
            assert_eq!(out, stored);
        }
        // From an unaligned address, including the smallest subnormal number and an infinity.
        let halves: Vec<f16> = (0..=n).map(|i| f16::from_f32(0.1 * i as f32 - 0.33)).collect();
        for special in [f16::from_bits(1), f16::MIN_POSITIVE, f16::MAX, f16::NEG_INFINITY] {
            let mut halves = halves.clone();
            halves[n] = special;
            // SAFETY: LANES values behind the first.
            let v = unsafe { s.load_f16(halves[1..].as_ptr()) };
            assert_eq!(get(v), halves[1..].iter().map(|x| x.to_f32()).collect::<Vec<_>>());
        }
        // SAFETY: one float.
        assert_eq!(get(unsafe { s.broadcast(&7.5) }), vec![7.5; n]);
    }
}

#[test]
fn every_operation_on_every_instruction_set() {
    for isa in Isa::available() {
        isa.dispatch(Everything);
    }
}
