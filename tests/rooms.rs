//! Who may know whom: the `use` lines of every room, and where `unsafe` may stand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &["tensor"]),
    ("boxes", &["error"]),
    ("tensor", &["error"]),
    ("formats", &["error", "tensor"]),
    ("simd", &["error", "tensor"]),
    ("threads", &["error"]),
    ("kernels", &["error", "tensor", "simd"]),
    ("graph", &["error", "tensor"]),
    ("plan", &["error", "tensor", "simd", "threads", "kernels", "graph"]),
    ("python", &["error", "boxes", "tensor", "simd", "threads", "graph", "plan", "formats"]),
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

/// What follows `crate::` wherever it stands in a file.
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
