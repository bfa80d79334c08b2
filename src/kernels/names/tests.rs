use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Names, WeightNames};
use crate::kernels::conv::candidates;
use crate::simd::Isa;
use crate::tensor::{AlignedBuf, Packed};

/// The arguments of `names!(` in the kernels' files (operation and algorithm joined), and whether
/// there are names for float16 weights and names of instruction sets.
const ALL: &[(&str, &str)] = &[
    ("activation", ""),
    ("add", ""),
    ("affine", ""),
    ("amax", ""),
    ("amin", ""),
    ("attention", ""),
    ("avg_pool", ""),
    ("avg_pool_separable", ""),
    ("copy", "any"),
    ("depthwise", ""),
    ("depthwise_project", "weights"),
    ("div", ""),
    ("eq", ""),
    ("expand_depthwise", "weights"),
    ("expand_depthwise_project", "weights"),
    ("gaxpy", "weights"),
    ("ge", ""),
    ("gemv", "weights"),
    ("group_norm", ""),
    ("grouped", ""),
    ("gt", ""),
    ("igemm", "weights"),
    ("im2col_matrixmultiply", "any"),
    ("layer_norm", ""),
    ("le", ""),
    ("local_response_norm", ""),
    ("log_softmax", ""),
    ("lt", ""),
    ("matmul", ""),
    ("max_pool", ""),
    ("max_pool_separable", ""),
    ("maximum", ""),
    ("mean", ""),
    ("minimum", ""),
    ("mul", ""),
    ("ne", ""),
    ("normalize", ""),
    ("pad", "any"),
    ("pad_edges", "any"),
    ("planes", "weights"),
    ("pow", ""),
    ("prelu", ""),
    ("prologue_igemm", "weights"),
    ("resize_cubic", ""),
    ("resize_linear", ""),
    ("resize_nearest", "any"),
    ("softmax", ""),
    ("stem", "weights"),
    ("sub", ""),
    ("sum", ""),
    ("where", ""),
    ("winograd_f2_1x7", ""),
    ("winograd_f2_3x3", ""),
    ("winograd_f2_3x3_max_pool", ""),
    ("winograd_f2_3x3s2", ""),
    ("winograd_f2_3x3s2_max_pool", ""),
    ("winograd_f2_7x1", ""),
    ("winograd_f4_1x3", ""),
    ("winograd_f4_3x1", ""),
    ("winograd_f4_3x3", ""),
    ("winograd_f4_3x3_max_pool", ""),
    ("winograd_f4_5x5", ""),
    ("winograd_f4_5x5_max_pool", ""),
];

/// The names of the kernels in a file.
fn given(text: &str) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for (at, call) in text.match_indices("names!(") {
        let arguments = &text[at + call.len()..];
        let arguments = &arguments[..arguments.find(')').unwrap()];
        let kind = ["weights", "any"].into_iter().find(|kind| arguments.trim_start().starts_with(kind));
        // Every second piece is inside quotes.
        let parts: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        found.push((parts.join("_"), kind.unwrap_or("")));
    }
    found
}

fn sources(folder: &Path, into: &mut Vec<(String, &'static str)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if !path.ends_with("names.rs") && !path.ends_with("tests.rs") {
            into.extend(given(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// Profiles, tests and documentation show these names, and users force kernels by them: names must
/// not change by accident, and no two kernels may share one.
#[test]
fn all_names() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels"), &mut found);
    found.sort();
    let found: Vec<(&str, &str)> = found.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(found, ALL);
}

#[test]
fn names_of_types_and_instruction_sets() {
    const SOFTMAX: Names<1> = names!("softmax");
    const F4: Names<1> = names!("winograd", "f4_3x3");
    const IGEMM: WeightNames = names!(weights: "igemm");
    assert_eq!(
        Isa::ALL.map(|isa| SOFTMAX.on(isa)),
        [
            "f32_softmax_portable",
            "f32_softmax_portable4",
            "f32_softmax_portable16",
            "f32_softmax_avx2",
            "f32_softmax_avx512",
        ]
    );
    assert_eq!(F4.on(Isa::Avx2), "f32_winograd_f4_3x3_avx2");
    let whole = Packed::from(AlignedBuf::<f32>::zeroed(1, "a test").unwrap());
    let half = Packed::from(AlignedBuf::<half::f16>::zeroed(1, "a test").unwrap());
    for isa in Isa::ALL {
        assert_eq!(IGEMM.on(isa), format!("f32_igemm_{}", isa.name()));
        assert_eq!(IGEMM.with(isa, &whole), format!("f32_igemm_{}", isa.name()));
        assert_eq!(IGEMM.with(isa, &half), format!("f32_f16w_igemm_{}", isa.name()));
    }
    assert_eq!(names!(any: "im2col", "matrixmultiply"), "f32_im2col_matrixmultiply");
}

/// `RVISION_CONV` finds a candidate by its name.
#[test]
fn candidates_have_names_of_their_own() {
    let mut seen = BTreeSet::new();
    for candidate in candidates() {
        assert!(seen.insert(candidate.name), "{} twice", candidate.name);
        let isa = format!("_{}", candidate.isa.name());
        let base = candidate.name.strip_prefix("f32_").unwrap();
        let base = base.strip_suffix(isa.as_str()).unwrap_or(base);
        assert!(ALL.iter().any(|(name, _)| *name == base), "{}", candidate.name);
    }
}
