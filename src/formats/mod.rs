//! Weight files as data: PyTorch's zip and legacy formats, bare pickles, and safetensors.
//!
//! ```text
//! path ── Source ── sniff ─┬─ zip ───────── data.pkl ─┐
//!                          ├─ legacy stream ─ pickles ┼─ Machine ─▶ Graph of values
//!                          └─ safetensors ─── header ─┘               │ state_dict(key)
//!                                                                     ▼
//!                             storages of the wanted tensors ─ read ─▶ Tensors
//! ```
//!
//! Nothing in a file is trusted. No function that a pickle names is ever called. Sizes are checked
//! against the file before memory is allocated for them. References are indices into an arena, so
//! no nesting can exhaust the stack. [`Checkpoint::open`] reads directories, headers and pickles;
//! the data of a tensor are read when the tensor is requested, so an optimizer's state beside the
//! weights costs nothing.

mod find;
mod legacy;
mod modules;
mod pickle;
mod records;
mod safetensors_file;
mod sniff;
mod source;
mod tensors;
mod torch_zip;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use find::StateDict;
pub use safetensors_file::{TensorData, write_safetensors};
pub use tensors::{Tensor, Tensors};
pub use value::{
    Dict, Dtype, Global, Graph, Id, NumpyDtype, Storage, StorageRef, StorageView, TensorSpec, Value,
};

use crate::error::{Error, Result};
use crate::tensor::AlignedBuf;
use legacy::Stream;
use records::Location;
use sniff::Kind;
use source::Source;
use tensors::{Plan, Wanted};
use torch_zip::Archive;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `torch.save` since 1.6.
    Zip,
    /// `torch.save` before.
    Legacy,
    /// One pickle of numpy arrays.
    Pickle,
    /// safetensors.
    Safetensors,
}

impl Format {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zip => "PyTorch zip",
            Self::Legacy => "PyTorch legacy stream",
            Self::Pickle => "pickle",
            Self::Safetensors => "safetensors",
        }
    }
}

/// What to do about a file without a state dict.
const STATE_DICT_ADVICE: &str = "save the model's state_dict() with torch.save";

/// An open weight file.
#[derive(Debug)]
pub struct Checkpoint {
    source: Arc<Source>,
    format: Format,
    graph: Graph,
    root: Id,
    header: BTreeMap<String, String>,
    records: Records,
}

/// The positions of the graph's storages.
#[derive(Debug)]
enum Records {
    /// By index.
    Known(Vec<Option<Location>>),
    /// By name; the lock protects the position of the directory's reader.
    Zip(Mutex<Archive>),
}

impl Checkpoint {
    /// Opens a file and reads everything except the tensors' data.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NotWeights`], [`Error::DamagedFile`], [`Error::FileLimit`],
    /// [`Error::UnsupportedFile`]; [`Error::RefusedGlobal`] for a file that would run programs.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_source(Source::open(path.as_ref())?)
    }

    /// The same for a file in memory; messages use `name` as its path.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self> {
        Self::from_source(Source::memory(name.into(), bytes))
    }

    fn from_source(source: Source) -> Result<Self> {
        let source = Arc::new(source);
        let mut graph = Graph::default();
        let mut header = BTreeMap::new();
        let (format, root, records) = match sniff::kind(&source)? {
            Kind::Zip => {
                let mut archive = Archive::open(Arc::clone(&source))?;
                let root = archive.read_pickle(&mut graph)?;
                (Format::Zip, root, Records::Zip(Mutex::new(archive)))
            }
            Kind::Safetensors => {
                let contents = safetensors_file::read(&source, &mut graph)?;
                header = contents.header;
                (Format::Safetensors, contents.root, Records::Known(contents.locations))
            }
            Kind::Pickle { certain } => match legacy::read(&source, &mut graph) {
                Ok(Stream::Torch { root, locations }) => (Format::Legacy, root, Records::Known(locations)),
                Ok(Stream::Pickle { root }) => {
                    let locations = vec![None; graph.storages.len()];
                    (Format::Pickle, root, Records::Known(locations))
                }
                // It was not a pickle in the first place.
                Err(Error::DamagedFile { .. }) if !certain => {
                    return Err(sniff::unknown(&source, &source.head(16)?));
                }
                Err(error) => return Err(error),
            },
        };
        Ok(Self { source, format, graph, root, header, records })
    }

    /// The path or name with which the file was opened.
    pub fn path(&self) -> &str {
        self.source.name()
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its objects.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The object that was saved.
    pub fn root(&self) -> Id {
        self.root
    }

    /// The free text of a safetensors header.
    pub fn header(&self) -> &BTreeMap<String, String> {
        &self.header
    }

    fn no_state_dict(&self, found: String, advice: &'static str) -> Error {
        Error::NoStateDict { path: self.path().to_owned(), found, advice }
    }

    fn refuse(&self, place: String, global: &str, advice: &'static str) -> Error {
        Error::RefusedGlobal { path: self.path().to_owned(), place, global: global.to_owned(), advice }
    }

    /// The functions and classes that the file names and rvision does not know; they were not
    /// called.
    pub fn refused_globals(&self) -> impl Iterator<Item = &str> {
        self.graph.globals.iter().filter(|global| !global.known).map(|global| global.name.as_str())
    }

    /// Reads tensors, which are given with names for messages. Each storage is read once.
    ///
    /// # Errors
    /// [`Error::DamagedFile`] if a tensor reaches past its storage, or if a record is missing,
    /// overlaps another one or has the wrong size or checksum; [`Error::FileLimit`];
    /// [`Error::UnsupportedFile`] for a [`Dtype::Other`]; [`Error::OutOfMemory`]; [`Error::Io`].
    ///
    /// # Panics
    /// If an id is not this checkpoint's.
    pub fn read(&self, tensors: &[(&str, &TensorSpec)]) -> Result<Tensors> {
        let wanted: Vec<Wanted<'_>> = tensors.iter().map(|&(name, spec)| Wanted { name, spec }).collect();
        let plan = Plan::new(&self.source, &wanted, |storage| self.storage_bytes(storage))?;
        let locations = self.locate(plan.storages())?;
        plan.run(|storage| match storage {
            StorageRef::Inline(id) => AlignedBuf::from_slice(self.inline(id), "weights"),
            StorageRef::Record(index) => {
                let (name, location) = &locations[&index];
                self.read_record(name, *location)
            }
        })
    }

    fn inline(&self, id: Id) -> &[u8] {
        match self.graph.get(id) {
            Value::Bytes(bytes) => bytes,
            Value::Str(text) => text.as_bytes(),
            _ => &[],
        }
    }

    fn storage_bytes(&self, storage: StorageRef) -> u64 {
        match storage {
            StorageRef::Inline(id) => self.inline(id).len() as u64,
            StorageRef::Record(index) => self.graph.storages[index as usize].bytes,
        }
    }

    /// Finds the records of storages and checks that no two share bytes of the file: in this way, a
    /// small file could unpack to a large one.
    fn locate(
        &self,
        storages: impl Iterator<Item = StorageRef>,
    ) -> Result<BTreeMap<u32, (String, Location)>> {
        let mut found = BTreeMap::new();
        let mut inflated = 0u64;
        for storage in storages {
            let StorageRef::Record(index) = storage else { continue };
            let storage = &self.graph.storages[index as usize];
            let (name, location) = match &self.records {
                Records::Known(locations) => {
                    let location = locations[index as usize].ok_or_else(|| {
                        self.source.damaged(format!("storage {}", storage.key), "it is missing")
                    })?;
                    (storage.key.clone(), location)
                }
                Records::Zip(archive) => {
                    let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
                    let name = archive.record_name(&storage.key);
                    let location = archive.locate(&name)?;
                    (name, location)
                }
            };
            if location.len() != storage.bytes {
                return Err(self.source.damaged(
                    format!("record {name}"),
                    format!("{} bytes expected, {} found", storage.bytes, location.len()),
                ));
            }
            if matches!(location, Location::Deflated { .. }) {
                inflated = inflated.saturating_add(location.len());
            }
            found.insert(index, (name, location));
        }
        let most = records::inflate_limit(&self.source);
        if inflated > most {
            return Err(self.source.limit("unpacked bytes of all records", inflated, most));
        }
        let mut spans: Vec<_> = found.values().map(|(name, location)| (location.span(), name)).collect();
        spans.retain(|((start, end), _)| start < end);
        spans.sort_unstable();
        for pair in spans.windows(2) {
            let (((_, end), first), ((start, _), second)) = (pair[0], pair[1]);
            if start < end {
                return Err(self
                    .source
                    .damaged(format!("records {first} and {second}"), "they overlap in the file"));
            }
        }
        Ok(found)
    }

    fn read_record(&self, name: &str, location: Location) -> Result<AlignedBuf<u8>> {
        match &self.records {
            Records::Zip(archive) => {
                archive.lock().unwrap_or_else(PoisonError::into_inner).read(name, location)
            }
            Records::Known(_) => {
                let (start, _) = location.span();
                records::read_stored(&self.source, name, start, location.len(), None)
            }
        }
    }
}
