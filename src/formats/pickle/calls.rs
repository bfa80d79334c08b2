//! The calls that a pickle may make. Each only rearranges existing data.

use super::globals::Known;
use super::{Input, Machine};
use crate::error::{Error, Result};
use crate::formats::value::{
    Dict, Dtype, Id, NumpyDtype, Storage, StorageRef, StorageView, TensorSpec, Value,
};

/// Characters of a storage's key; torch writes a number.
const MAX_KEY: usize = 256;

/// Dimensions of a tensor; numpy has 64 at most, older ones 32.
const MAX_RANK: usize = 32;

/// Bytes of the largest numpy scalar.
const MAX_SCALAR: usize = 16;

const TENSOR_ADVICE: &str = "save the model's state_dict() as torch.save writes it";

impl Machine<'_> {
    /// `REDUCE`, `NEWOBJ` and similar opcodes: pushes the result of `function` for `arguments`.
    pub(super) fn call(&mut self, function: Id, arguments: &[Id], input: &Input<'_>) -> Result<()> {
        let (global, known) = match *self.graph.get(function) {
            Value::Global(global) => (global, self.known[global as usize]),
            Value::Opaque { global, .. } => (global, None),
            _ => {
                let what = self.graph.describe(function);
                return Err(input.damaged(format!("a call of {what}, which is no function")));
            }
        };
        let Some(known) = known else {
            let object = self.opaque(global, arguments);
            self.push(object);
            return Ok(());
        };
        let value = match known {
            Known::Dict => self.make_dict(arguments.first().copied(), input)?,
            Known::DefaultDict => self.make_dict(arguments.get(1).copied(), input)?,
            Known::List => Value::List(self.items(arguments.first().copied(), input)?),
            Known::Tuple => Value::Tuple(self.items(arguments.first().copied(), input)?),
            Known::Set => Value::Set(self.items(arguments.first().copied(), input)?),
            Known::RebuildTensor => self.tensor(arguments, None, input)?,
            Known::RebuildTensorV3 => {
                let dtype = match arguments.get(6).map(|&id| self.graph.get(id)) {
                    Some(&Value::Global(global)) => self.known[global as usize],
                    _ => None,
                };
                let Some(Known::Dtype(dtype)) = dtype else {
                    return Err(input.damaged("_rebuild_tensor_v3 without a dtype"));
                };
                self.tensor(arguments, Some(dtype), input)?
            }
            Known::FirstArgument => {
                let &tensor =
                    arguments.first().ok_or_else(|| input.damaged("a parameter without a tensor"))?;
                self.stack.push(tensor);
                return Ok(());
            }
            Known::RebuildFromType => return self.rebuild_from_type(arguments, input),
            Known::Named => {
                let text = arguments.first().and_then(|&id| self.graph.text(id)).unwrap_or_default();
                Value::Name(text.into())
            }
            Known::Encode => self.encode(arguments, input)?,
            Known::NumpyDtype => {
                let code = arguments.first().and_then(|&id| self.graph.text(id)).unwrap_or_default();
                let big_endian = code.starts_with('>');
                let code = code.trim_start_matches(['<', '>', '=', '|']).into();
                Value::NumpyDtype(Box::new(NumpyDtype { code, big_endian }))
            }
            Known::NumpyReconstruct => Value::EmptyArray,
            Known::NumpyScalar => {
                self.numpy_scalar(arguments).unwrap_or(Value::Opaque { global, state: None })
            }
            Known::Unreadable(what) => Value::Unreadable(what),
            Known::Storage(_)
            | Known::TensorClass
            | Known::NumpyArray
            | Known::Constant
            | Known::Dtype(_) => Value::Opaque { global, state: None },
        };
        self.push(value);
        Ok(())
    }

    /// The opaque result of an unknown function or class.
    fn opaque(&mut self, global: u32, arguments: &[Id]) -> Value {
        let name = self.graph.globals[global as usize].name.as_str();
        let first = arguments.first().map(|&id| (id, self.graph.get(id)));
        match (name, first) {
            // Protocols 0 and 1: the object's class is an argument.
            (
                "copyreg._reconstructor"
                | "copy_reg._reconstructor"
                | "copyreg.__newobj__"
                | "copy_reg.__newobj__"
                | "copyreg.__newobj_ex__"
                | "copy_reg.__newobj_ex__",
                Some((_, &Value::Global(class))),
            ) if self.known[class as usize].is_none() => Value::Opaque { global: class, state: None },
            // A traced module: its `__dict__` is an argument.
            (
                "torch.fx.graph_module.reduce_graph_module"
                | "torch.fx.graph_module.reduce_package_graph_module",
                Some((state, Value::Dict(_))),
            ) => Value::Opaque { global, state: Some(state) },
            // The result of torch.compile: the module in it is an argument.
            ("torch._dynamo.eval_frame.OptimizedModule", Some((module, Value::Opaque { .. }))) => {
                Value::Opaque { global, state: Some(self.module_around("_orig_mod", module)) }
            }
            _ => Value::Opaque { global, state: None },
        }
    }

    /// The `__dict__` of a module that has only one child.
    fn module_around(&mut self, name: &str, child: Id) -> Id {
        let mut dict = |items| self.graph.push(Value::Dict(Dict { items, attributes: None }));
        let (parameters, buffers) = (dict(Vec::new()), dict(Vec::new()));
        let mut text = |text: &str| self.graph.push(Value::Str(text.into()));
        let keys = ["_parameters", "_buffers", "_modules"].map(&mut text);
        let name = text(name);
        let mut dict = |items| self.graph.push(Value::Dict(Dict { items, attributes: None }));
        let children = dict(vec![(name, child)]);
        dict(keys.into_iter().zip([parameters, buffers, children]).collect())
    }

    /// `BUILD`: sets the state of an object.
    pub(super) fn build(&mut self, target: Id, state: Id, input: &Input<'_>) -> Result<()> {
        let replacement = match &mut self.graph.values[target.0 as usize] {
            Value::Dict(dict) => {
                dict.attributes = Some(state);
                return Ok(());
            }
            Value::EmptyArray => self.numpy_array(state, input)?,
            Value::NumpyDtype(dtype) => {
                let code = dtype.code.clone();
                let order = self.arguments(state, input)?.get(1).copied();
                let big_endian = order.and_then(|id| self.graph.text(id)) == Some(">");
                Value::NumpyDtype(Box::new(NumpyDtype { code, big_endian }))
            }
            Value::Opaque { state: known, .. } => {
                *known = Some(state);
                return Ok(());
            }
            // A parameter's `requires_grad`, ...
            _ => return Ok(()),
        };
        self.graph.values[target.0 as usize] = replacement;
        Ok(())
    }

    /// `BINPERSID`: torch's reference to a storage, or to a class and its source code.
    pub(super) fn persistent(&mut self, id: Id, input: &Input<'_>) -> Result<()> {
        let parts = self.arguments(id, input)?;
        let kind = parts.first().and_then(|&part| self.graph.text(part)).unwrap_or_default();
        match (kind, parts.as_slice()) {
            ("module", [_, class, ..]) => {
                self.stack.push(*class);
                Ok(())
            }
            ("storage", [_, class, key, _location, count, rest @ ..]) => {
                let view = self.storage(*class, *key, *count, rest.first().copied(), input)?;
                self.push(Value::Storage(Box::new(view)));
                Ok(())
            }
            _ => Err(input.damaged(format!("an outside object of kind {kind:?}, expected \"storage\""))),
        }
    }

    fn storage(
        &mut self,
        class: Id,
        key: Id,
        count: Id,
        part: Option<Id>,
        input: &Input<'_>,
    ) -> Result<StorageView> {
        if let Some(global) = self.graph.refused(class) {
            return Err(refused("a storage's class", global, input));
        }
        let dtype = match *self.graph.get(class) {
            Value::Global(global) => match self.known[global as usize] {
                Some(Known::Storage(dtype)) => dtype,
                _ => return Err(input.damaged(format!("a storage of {}", self.graph.describe(class)))),
            },
            _ => return Err(input.damaged(format!("a storage of {}", self.graph.describe(class)))),
        };
        let key = match self.graph.get(key) {
            Value::Str(key) if key.len() <= MAX_KEY => key.to_string(),
            Value::Int(key) => key.to_string(),
            _ => return Err(input.damaged(format!("a storage key that is {}", self.graph.describe(key)))),
        };
        let item_size = dtype.map_or(1, Dtype::size);
        let count = self.index(count, "a storage's size", input)?;
        let bytes = (count as u64)
            .checked_mul(item_size as u64)
            .ok_or_else(|| input.damaged(format!("storage {key} of {count} elements")))?;
        let offset = match part.map(|id| self.graph.get(id)) {
            Some(Value::Tuple(view)) if view.len() == 3 => {
                self.index(view[1], "a storage view's offset", input)?
            }
            _ => 0,
        };
        if let Some(&storage) = self.storage_ids.get(&key) {
            let known = &self.graph.storages[storage as usize];
            if known.bytes != bytes {
                return Err(input.damaged(format!(
                    "storage {key} has {bytes} bytes here and {} bytes elsewhere",
                    known.bytes
                )));
            }
            return Ok(StorageView { storage, dtype, offset });
        }
        let storage = self.graph.storages.len() as u32;
        self.graph.storages.push(Storage { key: key.clone(), bytes, item_size });
        self.storage_ids.insert(key, storage);
        Ok(StorageView { storage, dtype, offset })
    }

    /// `_rebuild_tensor*(storage, offset, size, stride, ...)`.
    fn tensor(&self, arguments: &[Id], dtype: Option<Dtype>, input: &Input<'_>) -> Result<Value> {
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err(input.damaged(format!("a tensor of {} arguments", arguments.len())));
        };
        let Value::Storage(view) = self.graph.get(storage) else {
            if let Some(global) = self.graph.refused(storage) {
                return Err(refused("a tensor's storage", global, input));
            }
            return Err(input.damaged(format!("a tensor on {}", self.graph.describe(storage))));
        };
        // The negative and conjugate bits would have to be applied to the values.
        if let Some(Value::Dict(metadata)) = arguments.last().map(|&id| self.graph.get(id))
            && ["neg", "conj"].iter().any(|key| self.graph.entry(metadata, key).is_some())
        {
            return Ok(Value::Unreadable("a lazily negated or conjugated tensor"));
        }
        let dtype = dtype.or(view.dtype).unwrap_or(Dtype::U8);
        let shape = self.indices(shape, "a tensor's size", input)?;
        let strides = self.indices(strides, "a tensor's stride", input)?;
        if shape.len() != strides.len() {
            return Err(input.damaged(format!("{} sizes and {} strides", shape.len(), strides.len())));
        }
        let offset = self
            .index(offset, "a tensor's offset", input)?
            .checked_add(view.offset)
            .ok_or_else(|| input.damaged("a tensor's offset overflows"))?;
        let storage = StorageRef::Record(view.storage);
        Ok(Value::Tensor(Box::new(TensorSpec { dtype, shape, strides, offset, storage })))
    }

    /// `_rebuild_from_type_v2(function, type, arguments, state)`: the tensor without its type.
    fn rebuild_from_type(&mut self, arguments: &[Id], input: &Input<'_>) -> Result<()> {
        let &[function, _, inner, ..] = arguments else {
            return Err(input.damaged(format!("a tensor of {} arguments", arguments.len())));
        };
        let inner = self.arguments(inner, input)?;
        // A chain of these would recurse once per link.
        if let Value::Global(global) = *self.graph.get(function)
            && self.known[global as usize] == Some(Known::RebuildFromType)
        {
            return Err(input.damaged("a tensor's type given twice"));
        }
        self.call(function, &inner, input)
    }

    fn make_dict(&mut self, from: Option<Id>, input: &Input<'_>) -> Result<Value> {
        self.copy_items(from, input)?;
        let items = match from.map(|id| self.graph.get(id)) {
            None => Vec::new(),
            Some(Value::Dict(dict)) => dict.items.clone(),
            // Python 2 writes an OrderedDict as a list of pairs.
            Some(Value::List(list) | Value::Tuple(list)) => {
                let pair = |&id: &Id| match self.graph.get(id) {
                    Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
                    _ => Err(input.damaged("a dict made of something other than pairs")),
                };
                list.iter().map(pair).collect::<Result<_>>()?
            }
            Some(_) => return Err(input.damaged("a dict made of something other than pairs")),
        };
        Ok(Value::Dict(Dict { items, attributes: None }))
    }

    fn copy_items(&mut self, from: Option<Id>, input: &Input<'_>) -> Result<()> {
        let n = match from.map(|id| self.graph.get(id)) {
            Some(Value::Dict(dict)) => dict.items.len(),
            Some(Value::List(items) | Value::Tuple(items) | Value::Set(items)) => items.len(),
            _ => 0,
        };
        self.copy_bytes(n.saturating_mul(size_of::<(Id, Id)>()), input)
    }

    fn items(&mut self, from: Option<Id>, input: &Input<'_>) -> Result<Vec<Id>> {
        self.copy_items(from, input)?;
        match from.map(|id| self.graph.get(id)) {
            None => Ok(Vec::new()),
            Some(Value::List(items) | Value::Tuple(items) | Value::Set(items)) => Ok(items.clone()),
            Some(_) => Err(input.damaged("a sequence made of something that is none")),
        }
    }

    fn index(&self, id: Id, what: &str, input: &Input<'_>) -> Result<usize> {
        match self.graph.get(id) {
            Value::Int(n) => usize::try_from(*n).map_err(|_| input.damaged(format!("{what} is {n}"))),
            _ => Err(input.damaged(format!("{what} is {}", self.graph.describe(id)))),
        }
    }

    fn indices(&self, id: Id, what: &str, input: &Input<'_>) -> Result<Vec<usize>> {
        match self.graph.get(id) {
            Value::Tuple(items) | Value::List(items) if items.len() > MAX_RANK => {
                Err(input.source().limit(format!("dimensions of {what}"), items.len(), MAX_RANK))
            }
            Value::Tuple(items) | Value::List(items) => {
                items.iter().map(|&item| self.index(item, what, input)).collect()
            }
            _ => Err(input.damaged(format!("{what} is {}", self.graph.describe(id)))),
        }
    }

    /// `_codecs.encode(text, 'latin1')`.
    fn encode(&mut self, arguments: &[Id], input: &Input<'_>) -> Result<Value> {
        let length = arguments.first().and_then(|&id| self.graph.text(id)).map_or(0, str::len);
        self.copy_bytes(length, input)?;
        let text = arguments.first().and_then(|&id| self.graph.text(id));
        let codec = arguments.get(1).and_then(|&id| self.graph.text(id));
        let bytes = match (text, codec) {
            (Some(text), Some("latin1" | "latin-1" | "iso-8859-1")) => latin1(text),
            _ => None,
        };
        bytes
            .map(|bytes| Value::Bytes(bytes.into()))
            .ok_or_else(|| input.damaged("bytes that are not written as Latin-1 text"))
    }

    /// The bytes of a numpy object; in a Python 2 file they are a string.
    fn raw(&self, id: Id) -> Option<&[u8]> {
        match self.graph.get(id) {
            Value::Bytes(bytes) => Some(bytes),
            Value::Str(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    fn numpy_scalar(&self, arguments: &[Id]) -> Option<Value> {
        let &[dtype, data] = arguments else { return None };
        let Value::NumpyDtype(dtype) = self.graph.get(dtype) else { return None };
        let mut bytes = self.raw(data).filter(|bytes| bytes.len() <= MAX_SCALAR)?.to_vec();
        if dtype.big_endian {
            bytes.reverse();
        }
        Some(match &*dtype.code {
            "f8" => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            "f4" => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            "f2" => Value::Float(half::f16::from_le_bytes(bytes.try_into().ok()?).into()),
            "i8" => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
            "i4" => Value::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            "i2" => Value::Int(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            "i1" => Value::Int(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            "u8" => Value::Int(u64::from_le_bytes(bytes.try_into().ok()?).try_into().ok()?),
            "u4" => Value::Int(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            "u2" => Value::Int(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            "u1" => Value::Int(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            "b1" => Value::Bool(bytes != [0]),
            _ => return None,
        })
    }

    /// An array's state: `(version, shape, dtype, is_fortran, data)`.
    fn numpy_array(&mut self, state: Id, input: &Input<'_>) -> Result<Value> {
        let parts = self.arguments(state, input)?;
        let &[_, shape, dtype, fortran, data] = parts.as_slice() else {
            return Err(input.damaged(format!("a numpy array's state of {} parts", parts.len())));
        };
        let shape = self.indices(shape, "a numpy array's shape", input)?;
        let Value::NumpyDtype(numpy) = self.graph.get(dtype) else {
            return Err(input.damaged("a numpy array without a dtype"));
        };
        let (Some(dtype), Some(_)) = (numpy_code(&numpy.code), self.raw(data)) else {
            return Ok(Value::Unreadable("a numpy array of objects or text"));
        };
        if numpy.big_endian && dtype.size() > 1 {
            return Ok(Value::Unreadable("a big-endian numpy array"));
        }
        let fortran = matches!(self.graph.get(fortran), Value::Bool(true) | Value::Int(1));
        let mut strides = vec![0; shape.len()];
        let mut step = 1usize;
        for i in 0..shape.len() {
            let d = if fortran { i } else { shape.len() - 1 - i };
            strides[d] = step;
            step = step
                .checked_mul(shape[d].max(1))
                .ok_or_else(|| input.damaged("a numpy array's shape overflows"))?;
        }
        let storage = StorageRef::Inline(data);
        Ok(Value::Tensor(Box::new(TensorSpec { dtype, shape, strides, offset: 0, storage })))
    }
}

fn refused(place: &str, global: &str, input: &Input<'_>) -> Error {
    Error::RefusedGlobal {
        path: input.source().name().to_owned(),
        place: format!("{place} at {}", input.place()),
        global: global.to_owned(),
        advice: TENSOR_ADVICE,
    }
}

fn numpy_code(code: &str) -> Option<Dtype> {
    Some(match code {
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "f2" => Dtype::F16,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "b1" => Dtype::Bool,
        _ => return None,
    })
}

/// `None` if a character does not fit into a byte.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}
