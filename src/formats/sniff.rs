//! Recognises the kind of a file by its first bytes.

use super::source::Source;
use crate::error::{Error, Result};

/// The magic of a tar header and its offset.
const TAR_MAGIC: &[u8] = b"ustar";
const TAR_OFFSET: usize = 257;

/// The number of bytes that are examined.
const HEAD: usize = 512;

/// The readers for weight files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Safetensors,
    /// A legacy stream or a bare pickle.
    Pickle {
        /// Whether the file has a magic number; protocols 0 and 1 begin like any text.
        certain: bool,
    },
}

const FETCH: &str = "the download failed or was cut short: fetch it again";
const UNPACK: &str = "unpack it first";
const OTHER_PROGRAM: &str = "rvision reads PyTorch (.pth, .pt) and safetensors files";

/// Magic bytes of files that are mistaken for weight files.
const OTHERS: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs",
        "a Git LFS pointer",
        "the weights themselves were not fetched: run `git lfs pull`",
    ),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"\x89HDF", "an HDF5 file (Keras, MATLAB)", OTHER_PROGRAM),
    (b"\x93NUMPY", "a numpy array (.npy)", "read it with numpy.load"),
    (b"GGUF", "a GGUF file", OTHER_PROGRAM),
    (b"\x89PNG", "a PNG picture", OTHER_PROGRAM),
    (b"\xff\xd8\xff", "a JPEG picture", OTHER_PROGRAM),
    (b"%PDF", "a PDF document", OTHER_PROGRAM),
    (b"\x7fELF", "a program", OTHER_PROGRAM),
];

/// Returns the kind of a file.
///
/// # Errors
/// [`Error::NotWeights`], which says what the file is instead; [`Error::UnsupportedFile`] for the
/// tar files of the first PyTorch versions.
pub(super) fn kind(source: &Source) -> Result<Kind> {
    let head = source.head(HEAD)?;
    let not_weights = |found: String, advice| Error::NotWeights { path: source.name().into(), found, advice };
    if head.is_empty() {
        return Err(not_weights("an empty file".into(), FETCH));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Ok(Kind::Zip);
    }
    if let [0x80, 0..=5, ..] = head[..] {
        return Ok(Kind::Pickle { certain: true });
    }
    if let Some((_, found, advice)) = OTHERS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Err(not_weights((*found).into(), advice));
    }
    if head.get(TAR_OFFSET..).is_some_and(|tail| tail.starts_with(TAR_MAGIC)) {
        let member = head.split(|&byte| byte == 0).next().unwrap_or_default();
        let member = member.strip_prefix(b"./").unwrap_or(member);
        if [&b"sys_info"[..], b"pickle", b"storages", b"tensors"].contains(&member) {
            return Err(source.unsupported(
                "the tar format of the first PyTorch versions (2016)",
                "load it with PyTorch and save it again with torch.save",
            ));
        }
        return Err(not_weights("a tar archive".into(), UNPACK));
    }
    // Checked before text, which such a header may resemble: eight bytes of length, then JSON.
    if head.get(8) == Some(&b'{') && head[4..8] == [0; 4] {
        return Ok(Kind::Safetensors);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<") {
        let html = [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<!--", b"<script"];
        let found = if html.iter().any(|tag| text.starts_with(tag)) { "an HTML page" } else { "an XML file" };
        return Err(not_weights(found.into(), "the download failed: the server sent a page instead"));
    }
    if text.starts_with(b"{\"") || text.starts_with(b"{\n") {
        return Err(not_weights("a JSON file".into(), OTHER_PROGRAM));
    }
    if head[0] == 0x08 && head.windows(4).take(64).any(|part| part == b"onnx" || part == b"pyto") {
        return Err(not_weights("an ONNX model".into(), OTHER_PROGRAM));
    }
    // `(` mark, `c` global, `]` list, `}` dict, `L` the legacy stream's magic number.
    if matches!(head[0], b'(' | b'c' | b']' | b'}' | b'L') {
        return Ok(Kind::Pickle { certain: false });
    }
    Err(unknown(source, &head))
}

/// The error for a file that no reader accepts.
pub(super) fn unknown(source: &Source, head: &[u8]) -> Error {
    let start = &head[..head.len().min(16)];
    let found = if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        format!("text that begins with {:?}", String::from_utf8_lossy(start))
    } else {
        let hex: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("a file of an unknown kind (it begins with {})", hex.join(" "))
    };
    Error::NotWeights { path: source.name().into(), found, advice: OTHER_PROGRAM }
}
