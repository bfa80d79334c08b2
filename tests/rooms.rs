//! Which module may use which: the `use` lines of every module, no cycles between files, and which
//! files may contain `unsafe`.

mod module_graph;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &["tensor"]),
    ("boxes", &["error"]),
    ("tensor", &["error"]),
    ("formats", &["error", "tensor"]),
    ("simd", &["error"]),
    ("panics", &[]),
    ("threads", &["error", "panics"]),
    ("kernels", &["error", "tensor", "simd"]),
    ("graph", &["error", "tensor"]),
    ("plan", &["error", "tensor", "simd", "threads", "kernels", "graph"]),
    ("python", &["error", "boxes", "tensor", "simd", "threads", "graph", "plan", "formats", "panics"]),
];

/// Files that may contain `unsafe` code.
const UNSAFE: &[&str] =
    &["simd/", "kernels/", "threads/", "tensor/buffer.rs", "tensor/memory.rs", "plan/exec.rs"];

fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 30);
    files
}

/// The code of a line, without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The names that follow `crate::` anywhere in a file.
fn used(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        rooms.insert(word);
    }
    rooms
}

#[test]
fn rooms_know_only_whom_they_may() {
    for (file, text) in sources() {
        let room = file.split(['/', '.']).next().unwrap();
        if room == "lib" {
            continue;
        }
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("src/{file}: a room without rules"));
        let text: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
        for other in used(&text) {
            let named = ROOMS.iter().any(|(name, _)| *name == other);
            assert!(
                !named || other == room || allowed.contains(&other.as_str()),
                "src/{file} uses crate::{other}"
            );
        }
        assert!(room == "python" || !text.contains("pyo3"), "src/{file} knows of Python");
    }
}

/// State is in files below, rules are in files above: no two files use each other, directly or
/// through others.
#[test]
fn files_have_no_circles() {
    let uses = module_graph::uses(&sources());
    let mut found = Vec::new();
    for circle in &module_graph::circles(&uses) {
        found.push("a circle:".to_owned());
        for &file in circle {
            let inside: Vec<_> = uses[file].iter().filter(|used| circle.contains(used.as_str())).collect();
            found.push(format!("    src/{file} uses {inside:?}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The files that each file uses, of a crate made up for the test.
fn uses_of(files: &[(&str, &str)]) -> module_graph::Uses {
    let owned: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    module_graph::uses(&owned)
}

#[test]
fn circles_are_found() {
    let texts = [
        "use super::b::B; struct A;",
        "use crate::room::b; struct A; fn f() -> b::B {}",
        "struct A; fn f() { super::b::f(\"text\", 'c'); }",
        "struct A; fn f() { self::b::f() } // not a circle: a has no such child\nuse crate::room::b as c; fn g() { c::f() }",
        "struct A; fn f() { crate::room::B; }",
    ];
    for a in texts {
        let files = [
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod a; mod b; pub use b::B;"),
            ("room/a.rs", a),
            ("room/b.rs", "use super::a::A; pub struct B; fn f<'a>(x: &'a str) {}"),
        ];
        let uses = uses_of(&files);
        assert_eq!(
            module_graph::circles(&uses),
            [BTreeSet::from(["room/a.rs", "room/b.rs"])],
            "{a}: {uses:?}"
        );
    }
}

/// A parent that a child uses must not use the child; to declare it and to pass on its names is no
/// use.
#[test]
fn parents_are_in_circles_where_they_use_a_child() {
    let with = |parent: &str| {
        let files =
            [("lib.rs", "mod room;"), ("room.rs", parent), ("room/a.rs", "use super::P; pub struct A;")];
        module_graph::circles(&uses_of(&files)).len()
    };
    assert_eq!(with("mod a; pub use a::A; pub struct P;"), 0);
    assert_eq!(with("mod a; pub use a::A; pub struct P(A);"), 1);
    assert_eq!(with("mod a; use a::A; pub struct P;"), 1);
    assert_eq!(with("mod a; pub struct P(a::A);"), 1);
    assert_eq!(with("mod a; pub struct P; #[cfg(test)] mod tests { use super::a::A; }"), 0);
    assert_eq!(
        with("mod a; pub struct P; /* a::A */ // a::A\n#[cfg(test)] fn f(x: u8, y: u8) -> a::A { x }"),
        0
    );
}

#[test]
fn modules_in_other_files_are_in_circles() {
    let files = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "#[cfg_attr(unix, path = \"unix.rs\")] mod system; struct S(system::T); struct P;"),
        ("room/unix.rs", "use super::P; pub struct T(P);"),
    ];
    assert_eq!(module_graph::circles(&uses_of(&files)), [BTreeSet::from(["room/mod.rs", "room/unix.rs"])]);
}

#[test]
fn tests_are_not_in_circles() {
    let files = [
        ("lib.rs", "mod a; #[cfg(test)] mod testing;"),
        ("a.rs", "#[cfg(test)] use crate::testing::T; pub struct A; #[cfg(test)] mod tests;"),
        ("a/tests.rs", "use super::*; use crate::testing::T;"),
        ("testing.rs", "use crate::a::A; pub struct T(A); mod views;"),
        ("testing/views.rs", "use super::T;"),
    ];
    let uses = uses_of(&files);
    assert!(uses["a.rs"].is_empty() && !uses.contains_key("testing.rs"), "{uses:?}");
    assert!(!uses.contains_key("testing/views.rs") && !uses.contains_key("a/tests.rs"), "{uses:?}");
}

#[test]
fn unsafe_stays_in_its_places() {
    for (file, text) in sources() {
        let allowed = UNSAFE.iter().any(|place| file.starts_with(place));
        for (number, line) in text.lines().enumerate() {
            let found =
                code(line).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            assert!(allowed || !found, "src/{file}:{}: unsafe", number + 1);
        }
    }
}

/// What Python may call comes through `guarded`: a panic must not leave as `PanicException`.
#[test]
fn python_enters_through_the_guard() {
    // Calls that only look at what is there.
    const HARMLESS: &[&str] = &[
        "shape",
        "dtype",
        "forms",
        "reshaped",
        "__array_interface__",
        "__repr__",
        "node_names",
        "describe",
        "window",
        "stride",
        "native_stride",
        "receptive_field",
        "nodes",
        "output",
        "path",
        "format",
        "header",
        "refused_globals",
        "key",
        "alternatives",
        "module",
        "hooked",
        "__copy__",
        "__deepcopy__",
        "tensors",
        "build_info",
    ];
    // Of the builder's own, which call the guard; and constructors.
    let guards = [
        "guarded(",
        "self.add(",
        "self.adding(",
        "graph::GraphBuilder::new()",
        "Arc::default()",
        "self::size(",
    ];
    let mut seen = 0;
    for (file, text) in sources().into_iter().filter(|(file, _)| file.starts_with("python/")) {
        let marked = ["#[pymethods]", "#[pyfunction"];
        for (at, _) in marked.iter().flat_map(|mark| text.match_indices(mark)) {
            let rest = &text[at..];
            let function = rest.starts_with("#[pyfunction");
            // A block of methods ends at the next line that is a brace alone, and so does a
            // function.
            let block = &rest[..rest.find("\n}\n").unwrap_or(rest.len())];
            let starts: Vec<usize> = block.match_indices("fn ").map(|(at, _)| at).collect();
            for (i, &start) in starts.iter().enumerate().take(if function { 1 } else { starts.len() }) {
                let end = if function { block.len() } else { *starts.get(i + 1).unwrap_or(&block.len()) };
                let body = &block[start..end];
                let name: String =
                    body[3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let held = guards.iter().any(|guard| body.contains(guard));
                assert!(held || HARMLESS.contains(&name.as_str()), "src/{file}: {name} is not guarded");
                seen += usize::from(held);
            }
        }
    }
    assert!(seen > 50, "{seen} guarded entries");
}
