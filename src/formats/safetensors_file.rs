//! safetensors: a JSON header, then the tensors one after the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::records::Location;
use super::source::Source;
use super::value::{Dict, Dtype, Graph, Id, Storage, StorageRef, TensorSpec, Value};
use crate::error::{Error, Result};

/// The size field before the header.
const LENGTH_BYTES: u64 = 8;

/// The format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// The key of the header's free text.
const METADATA_KEY: &str = "__metadata__";

/// The contents of a safetensors file besides its values.
pub(super) struct Contents {
    pub(super) root: Id,
    pub(super) header: BTreeMap<String, String>,
    pub(super) locations: Vec<Option<Location>>,
}

/// The header in its written order, which the `safetensors` crate's own type does not keep.
struct Header {
    metadata: Option<HashMap<String, String>>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut header = Header { metadata: None, tensors: Vec::new() };
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format_args!("two entries {key:?}")));
                    }
                    if key == METADATA_KEY {
                        header.metadata = Some(map.next_value()?);
                    } else {
                        header.tensors.push((key, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the header. The tensors are located but not read.
pub(super) fn read(source: &Source, graph: &mut Graph) -> Result<Contents> {
    let damaged = |what: String| source.damaged("the safetensors header", what);
    let mut length = [0; LENGTH_BYTES as usize];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(source.limit("bytes of the safetensors header", length, MAX_HEADER));
    }
    let start = LENGTH_BYTES + length;
    if start > source.len() {
        return Err(damaged(format!(
            "{length} bytes expected, {} left in the file",
            source.len() - LENGTH_BYTES
        )));
    }
    let mut json = vec![0; length as usize];
    source.read_at(LENGTH_BYTES, &mut json)?;
    let header: Header = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    drop(json);

    // The `safetensors` crate checks that shapes and offsets agree, without gaps or overlaps.
    let mut by_offset = header.tensors.clone();
    by_offset.sort_by_key(|(_, info)| info.data_offsets);
    let checked =
        Metadata::new(header.metadata.clone(), by_offset).map_err(|error| damaged(error.to_string()))?;
    let described = start.checked_add(checked.data_len() as u64);
    if described != Some(source.len()) {
        return Err(damaged(format!(
            "it describes {} bytes of tensors, the file has {}",
            checked.data_len(),
            source.len() - start
        )));
    }

    let mut root = Dict::default();
    let mut locations = Vec::new();
    for (name, info) in header.tensors {
        let dtype = dtype(info.dtype);
        let (from, to) = info.data_offsets;
        let key = graph.push(Value::Str(name.as_str().into()));
        let strides = contiguous(&info.shape);
        let storage = StorageRef::Record(graph.storages.len() as u32);
        let len = (to - from) as u64;
        graph.storages.push(Storage { key: name, bytes: len, item_size: dtype.size() });
        locations.push(Some(Location::Stored { start: start + from as u64, len, crc: None }));
        let tensor = TensorSpec { dtype, shape: info.shape, strides, offset: 0, storage };
        let tensor = graph.push(Value::Tensor(Box::new(tensor)));
        root.items.push((key, tensor));
    }
    let root = graph.push(Value::Dict(root));
    Ok(Contents { root, header: header.metadata.unwrap_or_default().into_iter().collect(), locations })
}

/// Row-major strides. The product of the sizes has been checked, except where a size is zero.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1usize;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(size.max(1));
    }
    strides
}

fn dtype(dtype: safetensors::Dtype) -> Dtype {
    use safetensors::Dtype as File;
    match dtype {
        File::F32 => Dtype::F32,
        File::F64 => Dtype::F64,
        File::F16 => Dtype::F16,
        File::BF16 => Dtype::BF16,
        File::I8 => Dtype::I8,
        File::I16 => Dtype::I16,
        File::I32 => Dtype::I32,
        File::I64 => Dtype::I64,
        File::U8 => Dtype::U8,
        File::U16 => Dtype::U16,
        File::U32 => Dtype::U32,
        File::U64 => Dtype::U64,
        File::BOOL => Dtype::Bool,
        File::C64 => Dtype::Other { name: "complex64", size: 8 },
        _ => Dtype::Other { name: "an 8-bit or smaller float", size: 1 },
    }
}

fn file_dtype(dtype: Dtype) -> Option<safetensors::Dtype> {
    use safetensors::Dtype as File;
    Some(match dtype {
        Dtype::F32 => File::F32,
        Dtype::F64 => File::F64,
        Dtype::F16 => File::F16,
        Dtype::BF16 => File::BF16,
        Dtype::I8 => File::I8,
        Dtype::I16 => File::I16,
        Dtype::I32 => File::I32,
        Dtype::I64 => File::I64,
        Dtype::U8 => File::U8,
        Dtype::U16 => File::U16,
        Dtype::U32 => File::U32,
        Dtype::U64 => File::U64,
        Dtype::Bool => File::BOOL,
        Dtype::Other { .. } => return None,
    })
}

/// A tensor to write: row-major, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct TensorData<'a> {
    /// Its key.
    pub name: &'a str,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes, outermost first.
    pub shape: &'a [usize],
    /// The elements.
    pub bytes: &'a [u8],
}

/// Writes `tensors` to `path`, with `metadata` in the header.
///
/// The file appears complete or not at all: it is written under another name beside `path`, synced
/// to disk, and renamed. The header lists the tensors in the given order. Their data are ordered by
/// element size, so that each tensor is aligned.
///
/// # Errors
/// [`Error::Io`]; [`Error::UnsupportedFile`] for a type that the format or rvision does not know;
/// [`Error::DamagedFile`] if a tensor's bytes do not match its shape.
pub fn write_safetensors(
    path: &Path,
    tensors: &[TensorData<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let name = path.display().to_string();
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(tensors[i].dtype.size()));
    let mut offsets = vec![0; tensors.len()];
    let mut end = 0usize;
    for &i in &order {
        offsets[i] = end;
        end += tensors[i].bytes.len();
    }
    let header = header(&name, tensors, &offsets, metadata)?;

    let (temporary, mut file) =
        create_beside(path).map_err(|source| Error::Io { path: name.clone(), source })?;
    let written = write_all(&mut file, &header, order.iter().map(|&i| tensors[i].bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The error of the write is the one to report.
        let _ = fs::remove_file(&temporary);
        Error::Io { path: name, source }
    })
}

fn header(
    path: &str,
    tensors: &[TensorData<'_>],
    offsets: &[usize],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let damaged = |key: &str, what: String| Error::DamagedFile {
        path: path.to_owned(),
        place: format!("tensor {key:?} to be written"),
        what,
    };
    let json = |key: &str, value: serde_json::Result<String>| {
        value.map_err(|error| damaged(key, format!("it cannot be described: {error}")))
    };
    let mut entries = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        let text = json(METADATA_KEY, serde_json::to_string(metadata))?;
        entries.push(format!("\"{METADATA_KEY}\":{text}"));
    }
    let mut seen = HashSet::new();
    for (tensor, &offset) in tensors.iter().zip(offsets) {
        let key = tensor.name;
        let elements = tensor.shape.iter().try_fold(tensor.dtype.size(), |n, &size| n.checked_mul(size));
        if elements != Some(tensor.bytes.len()) {
            return Err(damaged(key, format!("{} bytes for shape {:?}", tensor.bytes.len(), tensor.shape)));
        }
        if key == METADATA_KEY || !seen.insert(key) {
            return Err(damaged(key, "the name is taken".into()));
        }
        let dtype = file_dtype(tensor.dtype).ok_or_else(|| Error::UnsupportedFile {
            path: path.to_owned(),
            what: format!("a tensor of type {} in safetensors", tensor.dtype),
            advice: "convert it to float32",
        })?;
        let info = TensorInfo {
            dtype,
            shape: tensor.shape.to_vec(),
            data_offsets: (offset, offset + tensor.bytes.len()),
        };
        let name = json(key, serde_json::to_string(key))?;
        let info = json(key, serde_json::to_string(&info))?;
        entries.push(format!("{name}:{info}"));
    }
    let mut json = format!("{{{}}}", entries.join(",")).into_bytes();
    json.resize(json.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// A new file in the directory of `path`, with a unique name and default permissions.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let file_name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut name = std::ffi::OsString::from(".");
        name.push(file_name);
        name.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        match File::create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn write_all<'a>(file: &mut File, header: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut writer = io::BufWriter::with_capacity(1 << 20, file);
    writer.write_all(header)?;
    for part in parts {
        writer.write_all(part)?;
    }
    writer.flush()
}
