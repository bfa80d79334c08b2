//! PyTorch's legacy stream (before 1.6): five pickles, then the storages one after the other.

use std::collections::HashMap;

use super::pickle::{Input, Machine};
use super::records::Location;
use super::source::Source;
use super::value::{Graph, Id, Value};
use crate::error::Result;

/// `0x1950a86a20f9469cfc6c`, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The protocol version torch has always written.
const PROTOCOL: i64 = 1001;

/// The size field before each storage.
const COUNT_BYTES: u64 = 8;

/// The kind of file that was found.
pub(super) enum Stream {
    /// torch's stream, and the position of each storage of the graph.
    Torch { root: Id, locations: Vec<Option<Location>> },
    /// A bare pickle without storages.
    Pickle { root: Id },
}

/// Reads the pickles and finds the storages.
pub(super) fn read(source: &Source, graph: &mut Graph) -> Result<Stream> {
    let mut input = Input::new(source, "the pickle", 0);
    let mut machine = Machine::new(graph);
    let first = machine.run(&mut input)?;
    if !is_magic(machine.graph().get(first)) {
        return Ok(Stream::Pickle { root: first });
    }
    let protocol = machine.run(&mut input)?;
    if machine.graph().get(protocol) != &Value::Int(PROTOCOL) {
        return Err(source.unsupported(
            "a legacy stream of another protocol than 1001",
            "load it with PyTorch and save it again with torch.save",
        ));
    }
    // The writer's byte order and type sizes. torch always writes the data in little-endian order.
    machine.run(&mut input)?;
    let root = machine.run(&mut input)?;
    let keys = machine.run(&mut input)?;
    let start = input.position();
    let locations = locate(source, graph, keys, start)?;
    Ok(Stream::Torch { root, locations })
}

fn is_magic(value: &Value) -> bool {
    let Value::BigInt(bytes) = value else { return false };
    bytes.len() >= MAGIC.len() && bytes.starts_with(&MAGIC) && bytes[MAGIC.len()..].iter().all(|&b| b == 0)
}

fn locate(source: &Source, graph: &Graph, keys: Id, start: u64) -> Result<Vec<Option<Location>>> {
    let Value::List(keys) = graph.get(keys) else {
        return Err(source.damaged("the list of storages", format!("it is {}", graph.describe(keys))));
    };
    let by_key: HashMap<&str, usize> =
        graph.storages.iter().enumerate().map(|(i, storage)| (storage.key.as_str(), i)).collect();
    let mut locations = vec![None; graph.storages.len()];
    let mut position = start;
    for &key in keys {
        let number;
        let key = match graph.get(key) {
            Value::Str(key) => key,
            Value::Int(key) => {
                number = key.to_string();
                number.as_str()
            }
            _ => return Err(source.damaged("the list of storages", "a key that is no text")),
        };
        let place = || format!("storage {key:?}");
        let &index = by_key.get(key).ok_or_else(|| source.damaged(place(), "no tensor speaks of it"))?;
        let storage = &graph.storages[index];
        let mut count = [0; COUNT_BYTES as usize];
        if position.checked_add(COUNT_BYTES).is_none_or(|end| end > source.len()) {
            return Err(source.damaged(place(), "the file ends before it"));
        }
        source.read_at(position, &mut count)?;
        let count = u64::from_le_bytes(count);
        if count.checked_mul(storage.item_size as u64) != Some(storage.bytes) {
            return Err(source.damaged(
                place(),
                format!(
                    "it is said to have {} elements and has {count}",
                    storage.bytes / storage.item_size.max(1) as u64
                ),
            ));
        }
        let start = position + COUNT_BYTES;
        position = match start.checked_add(storage.bytes) {
            Some(end) if end <= source.len() => end,
            _ => {
                let left = source.len() - start;
                return Err(source
                    .damaged(place(), format!("{} bytes expected, {left} left in the file", storage.bytes)));
            }
        };
        locations[index] = Some(Location::Stored { start, len: storage.bytes, crc: None });
    }
    Ok(locations)
}
