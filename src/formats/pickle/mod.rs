//! A pickle interpreter that builds data and does not execute code.
//!
//! A pickle is a program for a stack machine whose opcodes `GLOBAL` and `REDUCE` import and call
//! whatever it names. Here the stack holds indices of values in a [`Graph`], and a call is a
//! `match` over the few functions that torch and numpy write for tensors and containers, all of
//! which rearrange data. Other functions are never called. Their results are opaque values, which
//! may occur beside the weights but not among them. A file that names something that runs programs
//! is refused at once. An opaque value keeps the state that the pickle assigns to it, as data: a
//! module's weights are in its `__dict__`.

mod calls;
mod globals;
mod input;

use std::collections::HashMap;

pub(super) use input::Input;

use super::value::{Dict, Global, Graph, Id, Value};
use crate::error::{Error, Result};
use globals::{Known, Verdict};

/// The largest number of values in all pickles of a file, of 32 bytes each. A checkpoint of a large
/// network with its optimizer has some hundred thousand.
const MAX_VALUES: usize = 1 << 24;

/// References on the stack.
const MAX_STACK: usize = 1 << 24;

/// Bytes of a long integer.
const MAX_LONG: usize = 1024;

/// Bytes that the calls of a pickle may copy in addition to the size of the file.
const MAX_COPIED: usize = 64 << 20;

/// Characters in the name of a function or class.
const MAX_NAME: usize = 1024;

/// No known call takes more arguments. A pickle that makes many calls with a huge tuple must not
/// cause a copy of it each time.
const MAX_ARGUMENTS: usize = 8;

/// The message for a file that would run code.
const HOSTILE_ADVICE: &str = "no weight file needs it: do not open this file with anything that would run it, get the weights elsewhere";

/// The interpreter. One interpreter reads all pickles of a file, so that they share a graph.
pub(super) struct Machine<'a> {
    graph: &'a mut Graph,
    /// The meaning of each entry of `graph.globals`, in the same order.
    known: Vec<Option<Known>>,
    /// `graph.globals` by module and name.
    global_ids: HashMap<(String, String), u32>,
    /// `graph.storages` by key.
    storage_ids: HashMap<String, u32>,
    stack: Vec<Id>,
    /// Stack heights.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Bytes that calls have copied so far.
    copied: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(graph: &'a mut Graph) -> Self {
        Self {
            graph,
            known: Vec::new(),
            global_ids: HashMap::new(),
            storage_ids: HashMap::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        }
    }

    pub(super) fn graph(&self) -> &Graph {
        self.graph
    }

    /// Reads one pickle and returns its object.
    pub(super) fn run(&mut self, input: &mut Input<'_>) -> Result<Id> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let op = input.byte()?;
            if op == b'.' {
                return self.pop(input);
            }
            self.step(op, input)?;
            if self.graph.values.len() >= MAX_VALUES {
                return Err(input.source().limit("objects in the pickle", "more", MAX_VALUES));
            }
            if self.stack.len() > MAX_STACK {
                return Err(input.source().limit("the pickle's stack", self.stack.len(), MAX_STACK));
            }
        }
    }

    fn step(&mut self, op: u8, input: &mut Input<'_>) -> Result<()> {
        match op {
            // Protocol and framing.
            0x80 => {
                let protocol = input.byte()?;
                if protocol > 5 {
                    return Err(input.damaged(format!("pickle protocol {protocol}, expected at most 5")));
                }
            }
            0x95 => drop(input.u64()?),

            // Constants and numbers.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => {
                let n = input.byte()?;
                self.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = input.u16()?;
                self.push(Value::Int(n.into()));
            }
            b'J' => {
                let n = input.i32()?;
                self.push(Value::Int(n.into()));
            }
            b'I' | b'L' => {
                let value = decimal(input)?;
                self.push(value);
            }
            0x8a => {
                let n = input.byte()?;
                self.long(n.into(), input)?;
            }
            0x8b => {
                let n = input.u32()?;
                self.long(n.into(), input)?;
            }
            b'G' => {
                let bytes = input.array()?;
                self.push(Value::Float(f64::from_be_bytes(bytes)));
            }
            b'F' => {
                let line = input.text_line()?;
                let number = line.trim().parse().map_err(|_| input.damaged("a float that is no number"))?;
                self.push(Value::Float(number));
            }

            // Text and bytes.
            0x8c => {
                let n = input.byte()?;
                self.unicode(n.into(), input)?;
            }
            b'X' => {
                let n = input.u32()?;
                self.unicode(n.into(), input)?;
            }
            0x8d => {
                let n = input.u64()?;
                self.unicode(n, input)?;
            }
            b'V' => {
                let line = input.line()?;
                self.push(Value::Str(raw_unicode_escape(&line).into()));
            }
            b'C' => {
                let n = input.byte()?;
                self.bytes(n.into(), input)?;
            }
            b'B' => {
                let n = input.u32()?;
                self.bytes(n.into(), input)?;
            }
            0x8e | 0x96 => {
                let n = input.u64()?;
                self.bytes(n, input)?;
            }
            b'U' => {
                let n = input.byte()?;
                self.python2_string(n.into(), input)?;
            }
            b'T' => {
                let n = input.u32()?;
                self.python2_string(n.into(), input)?;
            }
            b'S' => {
                let line = input.line()?;
                let text = quoted(&line).ok_or_else(|| input.damaged("a string without its quotes"))?;
                self.push(text_or_bytes(text.into()));
            }

            // Containers.
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_mark(input)?;
                self.push(Value::Tuple(items));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(op - 0x84), input)?;
                self.push(Value::Tuple(items));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'l' => {
                let items = self.pop_mark(input)?;
                self.push(Value::List(items));
            }
            b'}' => self.push(Value::Dict(Dict::default())),
            b'd' => {
                let items = pairs(&self.pop_mark(input)?, input)?;
                self.push(Value::Dict(Dict { items, attributes: None }));
            }
            0x8f => self.push(Value::Set(Vec::new())),
            0x91 => {
                let items = self.pop_mark(input)?;
                self.push(Value::Set(items));
            }
            b'a' => {
                let item = self.pop(input)?;
                self.extend_list(&[item], input)?;
            }
            b'e' => {
                let items = self.pop_mark(input)?;
                self.extend_list(&items, input)?;
            }
            0x90 => {
                let items = self.pop_mark(input)?;
                let target = self.top(input)?;
                match &mut self.graph.values[target.0 as usize] {
                    Value::Set(set) => set.extend(items),
                    Value::Opaque { .. } => {}
                    _ => return Err(input.damaged("items added to something that is not a set")),
                }
            }
            b's' => {
                let items = self.pop_many(2, input)?;
                self.extend_dict(&items, input)?;
            }
            b'u' => {
                let items = self.pop_mark(input)?;
                self.extend_dict(&items, input)?;
            }

            // Stack and memo.
            b'0' => {
                // POP also takes away a mark that lies on top.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop(input)?;
                }
            }
            b'1' => drop(self.pop_mark(input)?),
            b'2' => {
                let top = self.top(input)?;
                self.stack.push(top);
            }
            b'p' | b'g' => {
                let line = input.text_line()?;
                let index =
                    line.trim().parse().map_err(|_| input.damaged("a memo index that is no number"))?;
                self.memo(op == b'p', index, input)?;
            }
            b'q' | b'h' => {
                let index = input.byte()?;
                self.memo(op == b'q', index.into(), input)?;
            }
            b'r' | b'j' => {
                let index = input.u32()?;
                self.memo(op == b'r', index, input)?;
            }
            0x94 => {
                let index = self.memo.len() as u32;
                self.memo(true, index, input)?;
            }

            // Functions, classes and calls.
            b'c' => {
                let module = input.text_line()?;
                let name = input.text_line()?;
                self.push_global(&module, &name, input)?;
            }
            0x93 => {
                let parts = self.pop_many(2, input)?;
                let (Some(module), Some(name)) = (self.graph.text(parts[0]), self.graph.text(parts[1]))
                else {
                    return Err(input.damaged("a function whose name is not text"));
                };
                let clip = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
                let (module, name) = (clip(module), clip(name));
                self.push_global(&module, &name, input)?;
            }
            b'R' | 0x81 => {
                let parts = self.pop_many(2, input)?;
                let arguments = self.arguments(parts[1], input)?;
                self.call(parts[0], &arguments, input)?;
            }
            0x92 => {
                let parts = self.pop_many(3, input)?;
                let arguments = self.arguments(parts[1], input)?;
                self.call(parts[0], &arguments, input)?;
            }
            b'i' => {
                let module = input.text_line()?;
                let name = input.text_line()?;
                let arguments = self.pop_mark(input)?;
                self.push_global(&module, &name, input)?;
                let class = self.pop(input)?;
                self.call(class, &arguments, input)?;
            }
            b'o' => {
                let parts = self.pop_mark(input)?;
                let (class, arguments) =
                    parts.split_first().ok_or_else(|| input.damaged("an object without a class"))?;
                self.call(*class, arguments, input)?;
            }
            b'b' => {
                let state = self.pop(input)?;
                let target = self.top(input)?;
                self.build(target, state, input)?;
            }
            b'Q' => {
                let id = self.pop(input)?;
                self.persistent(id, input)?;
            }

            b'P' => {
                return Err(input.source().unsupported(
                    "a pickle of protocol 0 with storages outside it",
                    "save it with torch.save's default protocol",
                ));
            }
            0x82..=0x84 => {
                return Err(input.source().unsupported(
                    "a pickle that refers to the extension registry of the program that wrote it",
                    "save a state dict with torch.save",
                ));
            }
            0x97 | 0x98 => {
                return Err(input
                    .source()
                    .unsupported("a pickle with buffers outside it", "save a state dict with torch.save"));
            }
            _ => return Err(input.damaged(format!("0x{op:02x}, which is no pickle instruction"))),
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        let id = self.graph.push(value);
        self.stack.push(id);
    }

    /// The lowest stack height that opcodes without a mark may reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self, input: &Input<'_>) -> Result<Id> {
        if self.stack.len() <= self.floor() {
            return Err(input.damaged("the stack is empty"));
        }
        self.stack.pop().ok_or_else(|| input.damaged("the stack is empty"))
    }

    fn pop_many(&mut self, n: usize, input: &Input<'_>) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(input.damaged("the stack is empty")),
        }
    }

    fn top(&self, input: &Input<'_>) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| input.damaged("the stack is empty"))
    }

    fn pop_mark(&mut self, input: &Input<'_>) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| input.damaged("a mark is missing"))?;
        // `top` can be below the mark only in a damaged file, which `floor` excludes.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn memo(&mut self, put: bool, index: u32, input: &Input<'_>) -> Result<()> {
        if put {
            let top = self.top(input)?;
            self.memo.insert(index, top);
        } else {
            let id = self.memo.get(&index).copied();
            self.stack.push(id.ok_or_else(|| input.damaged(format!("memo {index} is empty")))?);
        }
        Ok(())
    }

    /// The items of a tuple, as many as any call here uses.
    fn arguments(&self, id: Id, input: &Input<'_>) -> Result<Vec<Id>> {
        match self.graph.get(id) {
            Value::Tuple(items) => Ok(items.iter().copied().take(MAX_ARGUMENTS).collect()),
            _ => Err(input.damaged(format!("arguments that are {}", self.graph.describe(id)))),
        }
    }

    fn extend_list(&mut self, items: &[Id], input: &Input<'_>) -> Result<()> {
        let target = self.top(input)?;
        match &mut self.graph.values[target.0 as usize] {
            Value::List(list) => list.extend_from_slice(items),
            // An unknown subclass of list: its content is as opaque as the object itself.
            Value::Opaque { .. } => {}
            _ => return Err(input.damaged("items appended to something that is not a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id], input: &Input<'_>) -> Result<()> {
        let target = self.top(input)?;
        match &mut self.graph.values[target.0 as usize] {
            Value::Dict(dict) => dict.items.extend(pairs(items, input)?),
            Value::Opaque { .. } => {}
            _ => return Err(input.damaged("entries set on something that is not a dict")),
        }
        Ok(())
    }

    fn long(&mut self, n: u64, input: &mut Input<'_>) -> Result<()> {
        if n > MAX_LONG as u64 {
            return Err(input.source().limit("bytes of an integer", n, MAX_LONG));
        }
        let bytes = input.take(n)?;
        self.push(if bytes.len() <= 8 {
            let sign = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xff } else { 0 };
            let mut wide = [sign; 8];
            wide[..bytes.len()].copy_from_slice(&bytes);
            Value::Int(i64::from_le_bytes(wide))
        } else {
            Value::BigInt(bytes)
        });
        Ok(())
    }

    fn unicode(&mut self, n: u64, input: &mut Input<'_>) -> Result<()> {
        let bytes = input.take(n)?;
        // Python also writes lone surrogates, which a Rust string cannot hold.
        self.push(Value::Str(String::from_utf8_lossy(&bytes).into()));
        Ok(())
    }

    fn bytes(&mut self, n: u64, input: &mut Input<'_>) -> Result<()> {
        let bytes = input.take(n)?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    fn python2_string(&mut self, n: u64, input: &mut Input<'_>) -> Result<()> {
        let bytes = input.take(n)?;
        self.push(text_or_bytes(bytes));
        Ok(())
    }

    /// Accounts for `n` bytes that a call copies. A pickle can request the same copy many times
    /// with a few bytes each.
    fn copy_bytes(&mut self, n: usize, input: &Input<'_>) -> Result<()> {
        self.copied = self.copied.saturating_add(n);
        let limit = MAX_COPIED.saturating_add(input.source().len().try_into().unwrap_or(usize::MAX));
        if self.copied > limit {
            return Err(input.source().limit("bytes copied while reading the pickle", self.copied, limit));
        }
        Ok(())
    }

    fn push_global(&mut self, module: &str, name: &str, input: &Input<'_>) -> Result<()> {
        if module.len() + name.len() > MAX_NAME {
            return Err(input.source().limit("characters of a name", module.len() + name.len(), MAX_NAME));
        }
        let key = (module.to_owned(), name.to_owned());
        let index = if let Some(&index) = self.global_ids.get(&key) {
            index
        } else {
            let full = format!("{module}.{name}");
            let known = match globals::verdict(module, name) {
                Verdict::Known(known) => Some(known),
                Verdict::Opaque => None,
                Verdict::Hostile => {
                    return Err(Error::RefusedGlobal {
                        path: input.source().name().to_owned(),
                        place: format!("what the pickle asks for at {}", input.place()),
                        global: full,
                        advice: HOSTILE_ADVICE,
                    });
                }
            };
            let index = self.graph.globals.len() as u32;
            self.graph.globals.push(Global { name: full, known: known.is_some() });
            self.known.push(known);
            self.global_ids.insert(key, index);
            index
        };
        self.push(Value::Global(index));
        Ok(())
    }
}

fn pairs(items: &[Id], input: &Input<'_>) -> Result<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err(input.damaged("a dict entry without a value"));
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Integers and booleans of protocol 0.
fn decimal(input: &mut Input<'_>) -> Result<Value> {
    let line = input.text_line()?;
    if line.len() > MAX_LONG {
        return Err(input.source().limit("digits of an integer", line.len(), MAX_LONG));
    }
    let digits = line.trim().trim_end_matches('L');
    match line.as_str() {
        "00" => return Ok(Value::Bool(false)),
        "01" => return Ok(Value::Bool(true)),
        _ => {}
    }
    if let Ok(n) = digits.parse() {
        return Ok(Value::Int(n));
    }
    let n: i128 = digits.parse().map_err(|_| input.damaged(format!("an integer {line:?}")))?;
    Ok(Value::BigInt(n.to_le_bytes().into()))
}

/// A Python 2 `str` becomes text if it is valid UTF-8.
fn text_or_bytes(bytes: Box<[u8]>) -> Value {
    match String::from_utf8(bytes.into()) {
        Ok(text) => Value::Str(text.into()),
        Err(error) => Value::Bytes(error.into_bytes().into()),
    }
}

/// Text of protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode_escape(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let digits = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let escaped = (digits > 0)
            .then(|| tail.get(1..=digits))
            .flatten()
            .and_then(|hex| u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(code) = escaped {
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = &tail[1 + digits..];
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

/// Byte strings of protocol 0: Python's `repr`, with its quotes and escapes.
fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = line else { return None };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let hex = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
