//! The contents of a weight file as plain data: an arena of values that refer to each other by
//! index.
//!
//! The objects of a pickle may be shared and may contain each other. With an arena, building,
//! walking and dropping them needs no recursion, however deeply a file nests them.

use std::fmt;

/// The index of a value in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub(super) u32);

/// An element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// IEEE 16-bit float.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// 8-bit signed.
    I8,
    /// 16-bit signed.
    I16,
    /// 32-bit signed.
    I32,
    /// 64-bit signed.
    I64,
    /// 8-bit unsigned.
    U8,
    /// 16-bit unsigned.
    U16,
    /// 32-bit unsigned.
    U32,
    /// 64-bit unsigned.
    U64,
    /// One byte, 0 or 1.
    Bool,
    /// A type that rvision does not support (complex, quantised, 8-bit float): its tensors are
    /// listed but cannot be read.
    Other {
        /// torch's name for it.
        name: &'static str,
        /// Bytes per element.
        size: usize,
    },
}

impl Dtype {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Other { size, .. } => size,
        }
    }

    /// torch's name, which is also numpy's if numpy has the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Bool => "bool",
            Self::Other { name, .. } => name,
        }
    }

    /// The type with this [`Dtype::name`], if it can be read.
    pub fn from_name(name: &str) -> Option<Self> {
        READABLE.into_iter().find(|dtype| dtype.name() == name)
    }
}

const READABLE: [Dtype; 13] = [
    Dtype::F32,
    Dtype::F64,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I8,
    Dtype::I16,
    Dtype::I32,
    Dtype::I64,
    Dtype::U8,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::Bool,
];

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor as the file describes it: a strided view of a storage. It is checked against the
/// storage only when the tensor is read.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Element type.
    pub dtype: Dtype,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Strides in elements, one for each size.
    pub strides: Vec<usize>,
    /// The first element's place in the storage, in elements.
    pub offset: usize,
    /// The location of the elements.
    pub storage: StorageRef,
}

/// The location of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageRef {
    /// In the file, by index in [`Graph::storages`].
    Record(u32),
    /// In the pickle itself (numpy arrays), as a [`Value::Bytes`].
    Inline(Id),
}

/// A block of elements in the file, shared by the tensors that view it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its name in the file.
    pub key: String,
    /// Its size as the pickle states it.
    pub bytes: u64,
    /// Size of an element, for files whose storages are counted in elements.
    pub item_size: usize,
}

/// A dict; torch's ordered dicts are read as dicts too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict {
    /// Keys and values in file order; if a key occurs twice, the last value applies.
    pub items: Vec<(Id, Id)>,
    /// The attributes of the object besides its items: torch's `_metadata`.
    pub attributes: Option<Id>,
}

/// One object of a weight file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A longer integer: two's complement, little-endian.
    BigInt(Box<[u8]>),
    /// A float.
    Float(f64),
    /// Text.
    Str(Box<str>),
    /// Bytes, or a Python 2 string that is not UTF-8.
    Bytes(Box<[u8]>),
    /// A tuple, or torch's `Size`.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A set.
    Set(Vec<Id>),
    /// A dict.
    Dict(Dict),
    /// A tensor or a numpy array.
    Tensor(Box<TensorSpec>),
    /// A tensor of an unsupported kind; the text says which.
    Unreadable(&'static str),
    /// A constant that is known by name, such as `torch.float32` or `cpu`.
    Name(Box<str>),
    /// A function or class, by number in [`Graph::globals`].
    Global(u32),
    /// The result of calling a function or class that rvision does not know. It was not called.
    Opaque {
        /// The function or class, by number in [`Graph::globals`].
        global: u32,
        /// The state that the pickle gives it: mostly the `__dict__`.
        state: Option<Id>,
    },
    /// A storage or a part of one.
    Storage(Box<StorageView>),
    /// A numpy dtype.
    NumpyDtype(Box<NumpyDtype>),
    /// A numpy array whose content has not been read yet.
    EmptyArray,
}

/// Part of a storage (files before PyTorch 0.4 pickle views of storages).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageView {
    /// The whole storage, by index in [`Graph::storages`].
    pub storage: u32,
    /// Element type, `None` for an untyped storage.
    pub dtype: Option<Dtype>,
    /// First element of the part.
    pub offset: usize,
}

/// A numpy dtype: kind and size such as `f4`, and the byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumpyDtype {
    /// Such as `f4`.
    pub code: Box<str>,
    /// Whether the bytes have to be swapped.
    pub big_endian: bool,
}

/// A function or class that a pickle names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Module and name, as in the pickle: `collections.OrderedDict`.
    pub name: String,
    /// Whether rvision knows its meaning.
    pub known: bool,
}

/// All objects of a file.
#[derive(Debug, Default)]
pub struct Graph {
    pub(super) values: Vec<Value>,
    /// The functions and classes that the file names, each once.
    pub globals: Vec<Global>,
    /// The blocks of elements that the file's tensors view.
    pub storages: Vec<Storage>,
}

impl Graph {
    /// The value with this index.
    ///
    /// # Panics
    /// If the index is from another graph and too large for this one.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The text, if the value is one.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The dict, if the value is one.
    pub fn dict(&self, id: Id) -> Option<&Dict> {
        match self.get(id) {
            Value::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// The value of a dict's entry; if a key occurs twice, the last value applies, as in Python.
    pub fn entry(&self, dict: &Dict, key: &str) -> Option<Id> {
        dict.items.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|&(_, value)| value)
    }

    /// The name of the unknown global that the value is or was made by, if any.
    pub fn refused(&self, id: Id) -> Option<&str> {
        match *self.get(id) {
            Value::Opaque { global, .. } | Value::Global(global) => {
                let global = &self.globals[global as usize];
                (!global.known).then_some(global.name.as_str())
            }
            _ => None,
        }
    }

    /// The dict of an opaque object's attributes, if the pickle has one.
    pub(super) fn state(&self, id: Id) -> Option<Id> {
        let Value::Opaque { state, .. } = *self.get(id) else { return None };
        match self.get(state?) {
            Value::Dict(_) => state,
            // With `__slots__`: the dict, and the values of the slots.
            Value::Tuple(parts) if parts.len() == 2 => {
                parts.first().copied().filter(|&part| self.dict(part).is_some())
            }
            _ => None,
        }
    }

    /// Adds a value. The reader of a file limits their number.
    pub(super) fn push(&mut self, value: Value) -> Id {
        let id = Id(u32::try_from(self.values.len()).expect("the number of values is bounded"));
        self.values.push(value);
        id
    }

    /// A short description of the value, for messages.
    pub fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "None".into(),
            Value::Bool(_) => "a bool".into(),
            Value::Int(_) | Value::BigInt(_) => "an int".into(),
            Value::Float(_) => "a float".into(),
            Value::Str(_) => "a str".into(),
            Value::Bytes(_) => "bytes".into(),
            Value::Tuple(items) => format!("a tuple of {}", items.len()),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Set(items) => format!("a set of {}", items.len()),
            Value::Dict(dict) => format!("a dict of {}", dict.items.len()),
            Value::Tensor(_) => "a tensor".into(),
            Value::Unreadable(what) => (*what).into(),
            Value::Name(name) => name.to_string(),
            Value::Global(global) => format!("`{}` itself", self.globals[*global as usize].name),
            Value::Opaque { global, .. } => format!("a `{}`", self.globals[*global as usize].name),
            Value::Storage(_) => "a storage".into(),
            Value::NumpyDtype(_) => "a numpy dtype".into(),
            Value::EmptyArray => "a numpy array".into(),
        }
    }
}
