//! PyTorch's zip format (1.6 and later): `NAME/data.pkl` beside one stored record per storage.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{Input, Machine};
use super::records::{Location, inflate_limit};
use super::source::{Cursor, Source};
use super::value::{Graph, Id};
use crate::error::{Error, Result};
use crate::tensor::AlignedBuf;

/// The largest pickle that is read, because it is held in memory beside the data.
const MAX_PICKLE: u64 = 1 << 30;

/// The largest expansion of deflate.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// The place that messages about a whole archive name.
const DIRECTORY: &str = "the directory at the end of the zip";

/// The record that identifies archives of the first version of torch.export.
const EXPORTED_PROGRAM: &str = "serialized_exported_program.json";

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    source: Arc<Source>,
    zip: ZipArchive<BufReader<Cursor>>,
    /// The prefix of `data.pkl`, with its slash.
    prefix: String,
}

impl Archive {
    /// Reads the directory of the archive.
    pub(super) fn open(source: Arc<Source>) -> Result<Self> {
        let reader = BufReader::new(Cursor::new(Arc::clone(&source)));
        // The directory is where the file says it is, as in torch's own reader. Deriving it from
        // its size would find the second header instead of the first if a name happens to be as
        // long as torch's end records.
        let stated = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(stated, reader)
            .map_err(|error| source.damaged(DIRECTORY, format!("it cannot be read ({error})")))?;
        // If the last end record is invalid, the `zip` crate tries earlier ones, which belong to
        // another file.
        if directory(&source)?.is_some_and(|start| start != zip.central_directory_start()) {
            return Err(source.damaged(DIRECTORY, "it is not where the file says that it is"));
        }
        if zip.has_duplicate_names() {
            return Err(source.damaged("the directory of the zip", "two records of one name"));
        }
        let names: Vec<String> =
            zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let pickle = names
            .iter()
            .filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
            .min_by_key(|name| name.matches('/').count());
        let Some(pickle) = pickle else { return Err(no_pickle(&source, &names)) };
        let prefix = pickle.trim_end_matches("data.pkl").to_owned();
        if names.iter().any(|name| {
            name.strip_prefix(&prefix).is_some_and(|rest| {
                rest.starts_with("code/") || rest == "constants.pkl" || rest == "bytecode.pkl"
            })
        }) {
            return Err(source.unsupported(
                "a TorchScript program (torch.jit.save)",
                "save its weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)",
            ));
        }
        Ok(Self { source, zip, prefix })
    }

    /// Interprets `data.pkl`.
    pub(super) fn read_pickle(&mut self, graph: &mut Graph) -> Result<Id> {
        if let Some(order) = self.small_record("byteorder")?
            && order.trim_ascii() != b"little"
        {
            return Err(self.source.unsupported(
                "a file written on a big-endian machine",
                "load it with PyTorch on an ordinary machine and save it again",
            ));
        }
        let name = format!("{}data.pkl", self.prefix);
        let location = self.locate(&name)?;
        if location.len() > MAX_PICKLE {
            return Err(self.source.limit(format!("bytes of {name}"), location.len(), MAX_PICKLE));
        }
        let pickle = Source::memory(self.source.name().to_owned(), self.read(&name, location)?.to_vec());
        Machine::new(graph).run(&mut Input::new(&pickle, &name, 0))
    }

    fn small_record(&mut self, name: &str) -> Result<Option<AlignedBuf<u8>>> {
        let name = format!("{}{name}", self.prefix);
        if self.zip.index_for_name(&name).is_none() {
            return Ok(None);
        }
        let location = self.locate(&name)?;
        if location.len() > 64 {
            return Err(self.source.damaged(name, format!("{} bytes, expected a word", location.len())));
        }
        self.read(&name, location).map(Some)
    }

    /// The name of a storage's record.
    pub(super) fn record_name(&self, key: &str) -> String {
        format!("{}data/{key}", self.prefix)
    }

    /// The position of the record with this name.
    pub(super) fn locate(&mut self, name: &str) -> Result<Location> {
        let source = Arc::clone(&self.source);
        let index = self
            .zip
            .index_for_name(name)
            .ok_or_else(|| source.damaged(format!("record {name}"), "it is missing"))?;
        let entry = self
            .zip
            .by_index_raw(index)
            .map_err(|error| source.damaged(format!("record {name}"), format!("its header: {error}")))?;
        if entry.encrypted() {
            return Err(source.unsupported("an encrypted zip", "unpack it first"));
        }
        let (len, stored) = (entry.size(), entry.compressed_size());
        let start = entry.data_start().unwrap_or(u64::MAX);
        let end = start.checked_add(stored).filter(|&end| end <= source.len());
        if end.is_none() {
            return Err(source.damaged(format!("record {name}"), "it reaches past the end of the file"));
        }
        match entry.compression() {
            CompressionMethod::Stored if len == stored => {
                Ok(Location::Stored { start, len, crc: Some(entry.crc32()) })
            }
            CompressionMethod::Stored => Err(source.damaged(
                format!("record {name}"),
                format!("it is stored with {stored} bytes and said to have {len}"),
            )),
            CompressionMethod::Deflated => {
                let most = stored.saturating_mul(MAX_DEFLATE_RATIO).min(inflate_limit(&source));
                if len > most {
                    return Err(source.limit(format!("unpacked bytes of record {name}"), len, most));
                }
                Ok(Location::Deflated { start, stored, len, index })
            }
            other => Err(source.unsupported(
                format!("a zip record compressed as {other}"),
                "save it again with torch.save, which does not compress",
            )),
        }
    }

    /// The whole content of a record.
    pub(super) fn read(&mut self, name: &str, location: Location) -> Result<AlignedBuf<u8>> {
        match location {
            Location::Stored { start, len, crc } => {
                super::records::read_stored(&self.source, name, start, len, crc)
            }
            Location::Deflated { len, index, .. } => self.inflate(name, len, index),
        }
    }

    fn inflate(&mut self, name: &str, len: u64, index: usize) -> Result<AlignedBuf<u8>> {
        let source = Arc::clone(&self.source);
        let damaged = |what: String| source.damaged(format!("record {name}"), what);
        let mut data = super::records::buffer(len)?;
        let mut entry = self.zip.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let (mut found, mut surplus) = (0, [0]);
        // To the end, where the checksum is compared; more than the stated length does not fit.
        loop {
            let rest = &mut data[found..];
            let to = if rest.is_empty() { &mut surplus[..] } else { rest };
            let read = entry.read(to).map_err(|error| damaged(format!("it does not unpack: {error}")))?;
            found += read;
            if read == 0 || found > data.len() {
                break;
            }
        }
        if found != data.len() {
            return Err(damaged(format!("it does not unpack to the {len} bytes it is said to have")));
        }
        Ok(data)
    }
}

/// The start of the directory according to the last end record of the file.
fn directory(source: &Source) -> Result<Option<u64>> {
    const END: usize = 22;
    const LONGEST_COMMENT: usize = u16::MAX as usize;
    const LOCATOR: u64 = 20;
    let len = source.len();
    let mut tail = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(END + LONGEST_COMMENT)];
    let start = len - tail.len() as u64;
    source.read_at(start, &mut tail)?;
    let Some(end) =
        (0..=tail.len().saturating_sub(END)).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"))
    else {
        return Ok(None);
    };
    let Some(offset) =
        tail[end..].get(16..20).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
    else {
        return Ok(None);
    };
    if offset != u32::MAX {
        return Ok(Some(offset.into()));
    }
    // A zip64 end record has the number; its locator precedes the ordinary end record.
    let number = |at: u64| -> Result<Option<u64>> {
        let mut bytes = [0; 8];
        if at.checked_add(8).is_none_or(|end| end > len) {
            return Ok(None);
        }
        source.read_at(at, &mut bytes)?;
        Ok(Some(u64::from_le_bytes(bytes)))
    };
    let Some(locator) = (start + end as u64).checked_sub(LOCATOR) else { return Ok(None) };
    let Some(record) = number(locator + 8)? else { return Ok(None) };
    number(record.saturating_add(48))
}

/// The error for a zip without `data.pkl`, which says what the file is instead.
fn no_pickle(source: &Source, names: &[String]) -> Error {
    let not_weights =
        |found: &str, advice| Error::NotWeights { path: source.name().into(), found: found.into(), advice };
    let any = |extension: &str| {
        names
            .iter()
            .any(|name| Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)))
    };
    if names.iter().any(|name| name.ends_with("models/model.json") || name == EXPORTED_PROGRAM) {
        return source.unsupported(
            "a program saved by torch.export",
            "save its weights alone: torch.save(torch.export.load(FILE).state_dict, NEW_FILE)",
        );
    }
    if any("npy") {
        return not_weights("a numpy archive (.npz)", "read it with numpy.load");
    }
    if any("h5") {
        return not_weights("a Keras model", "rvision reads PyTorch (.pth, .pt) and safetensors files");
    }
    if any("pth") || any("pt") || any("safetensors") {
        return not_weights("a zip archive with weight files in it", "unpack it first");
    }
    not_weights("a zip archive without PyTorch's data.pkl", "rvision reads what torch.save writes")
}
