//! Weight files for Python: numpy arrays and plain objects.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use half::f16;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet, PySlice, PyTuple};

use super::guard::guarded;
use super::param::Parameter;
use crate::error::Error;
use crate::formats::{
    Checkpoint, Dtype, Id, StateDict, Tensor, TensorData, TensorSpec, Tensors, Value, write_safetensors,
};
use crate::tensor::{AlignedBuf, Packed, Param, Shape};

/// Objects nested deeper than this are not converted: Python could not print or compare them.
const MAX_DEPTH: usize = 200;

/// An object of a weight file that is not data, such as an optimizer, and was not loaded.
#[pyclass(module = "rvision._rvision", name = "NotLoaded", frozen)]
pub(super) struct NotLoaded {
    /// The class that it would have had.
    #[pyo3(get)]
    name: String,
}

#[pymethods]
impl NotLoaded {
    fn __repr__(&self) -> String {
        format!("<{}, not loaded>", self.name)
    }
}

/// An open weight file: directories, headers and pickles have been read, tensors have not.
#[pyclass(module = "rvision._rvision", name = "Checkpoint", frozen)]
pub(super) struct PyCheckpoint {
    file: Arc<Checkpoint>,
}

#[pymethods]
impl PyCheckpoint {
    /// Opens a file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let file = guarded(|| py.detach(|| Checkpoint::open(path)))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Opens the bytes of a file; `name` stands for its path in messages.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, name: String, data: &[u8]) -> PyResult<Self> {
        let file = guarded(|| py.detach(|| Checkpoint::from_bytes(name, data.to_vec())))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// The path it was opened with.
    #[getter]
    fn path(&self) -> &str {
        self.file.path()
    }

    /// The name of its format.
    #[getter]
    fn format(&self) -> &'static str {
        self.file.format().name()
    }

    /// The free text of a safetensors header.
    #[getter]
    fn header(&self) -> BTreeMap<String, String> {
        self.file.header().clone()
    }

    /// Functions and classes named in the file that are not data; none was called.
    #[getter]
    fn refused_globals(&self) -> Vec<&str> {
        self.file.refused_globals().collect()
    }

    /// The state dict at `key`, or in the usual places.
    #[pyo3(signature = (key=None))]
    fn state_dict(&self, py: Python<'_>, key: Option<&str>) -> PyResult<PyStateDict> {
        let found = guarded(|| py.detach(|| self.file.state_dict(key)))?;
        Ok(PyStateDict { file: Arc::clone(&self.file), found })
    }

    /// Everything that was saved, in its original structure.
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let root = ("the file's object".to_owned(), self.file.root());
            Converter::new(py, &self.file, [root], false)?.convert(self.file.root(), 0)
        })
    }
}

/// A state dict in a file; its tensors are not read yet.
#[pyclass(module = "rvision._rvision", name = "FoundStateDict", frozen)]
pub(super) struct PyStateDict {
    file: Arc<Checkpoint>,
    found: StateDict,
}

#[pymethods]
impl PyStateDict {
    /// The keys that lead to it, joined by dots.
    #[getter]
    fn key(&self) -> String {
        self.found.path.join(".")
    }

    /// The class of the pickled module whose weights these are, `None` for a state dict.
    #[getter]
    fn module(&self) -> Option<&str> {
        self.found.module.as_deref()
    }

    /// Whether the module has hooks that might rename its weights; they were not run.
    #[getter]
    fn hooked(&self) -> bool {
        self.found.hooked
    }

    /// Keys of other state dicts in the file.
    #[getter]
    fn alternatives(&self) -> Vec<String> {
        self.found.alternatives.clone()
    }

    /// Name, type in the file and shape of each tensor, in order.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Vec<(&str, &'static str, Bound<'py, PyTuple>)>> {
        let mut tensors = Vec::with_capacity(self.found.entries.len());
        for (name, id) in &self.found.entries {
            if let Value::Tensor(spec) = self.file.graph().get(*id) {
                tensors.push((name.as_str(), spec.dtype.name(), PyTuple::new(py, &spec.shape)?));
            }
        }
        Ok(tensors)
    }

    /// torch's `_metadata`, if the file has it.
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(id) = self.found.metadata else { return Ok(None) };
        guarded(|| Converter::new(py, &self.file, [], false)?.convert(id, 0).map(Some))
    }

    /// Reads the tensors: names and values in order. Values are writable arrays; with `parameters`,
    /// those of float32 and float16 are parameters instead, which take the file's values over.
    /// Those in `known` are not read.
    #[pyo3(signature = (parameters=false, known=None))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        parameters: bool,
        known: Option<HashMap<String, Bound<'py, Parameter>>>,
    ) -> PyResult<Vec<(String, Bound<'py, PyAny>)>> {
        let known = known.unwrap_or_default();
        guarded(|| {
            let unknown = self.found.entries.iter().filter(|(name, _)| !known.contains_key(name));
            let mut converter = Converter::new(py, &self.file, unknown.cloned(), parameters)?;
            for (name, id) in &self.found.entries {
                if let Some(value) = known.get(name) {
                    converter.made.insert(*id, value.clone().into_any());
                }
            }
            let read =
                |(name, id): &'_ (String, Id)| Ok::<_, PyErr>((name.clone(), converter.convert(*id, 0)?));
            self.found.entries.iter().map(read).collect::<PyResult<_>>()
        })
    }
}

/// Writes a safetensors file: name, type, shape and bytes of each tensor.
#[pyfunction(name = "write_safetensors")]
pub(super) fn write_safetensors_py(
    py: Python<'_>,
    path: PathBuf,
    tensors: Vec<(String, String, Vec<usize>, PyReadonlyArray1<'_, u8>)>,
    metadata: BTreeMap<String, String>,
) -> PyResult<()> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        let dtype = Dtype::from_name(dtype).ok_or_else(|| Error::UnsupportedFile {
            path: path.display().to_string(),
            what: format!("tensor {name:?} of type {dtype}"),
            advice: "convert it to float32",
        })?;
        data.push(TensorData { name, dtype, shape, bytes: bytes.as_slice()? });
    }
    guarded(|| py.detach(|| write_safetensors(&path, &data, &metadata)))
}

/// Converts pickled values to Python objects. Objects shared in the file are shared in Python.
struct Converter<'a, 'py> {
    py: Python<'py>,
    file: &'a Checkpoint,
    arrays: HashMap<Id, Bound<'py, PyAny>>,
    made: HashMap<Id, Bound<'py, PyAny>>,
}

impl<'a, 'py> Converter<'a, 'py> {
    /// Reads the tensors that `roots` are or contain, the floats among them as parameters if so
    /// asked.
    fn new(
        py: Python<'py>,
        file: &'a Checkpoint,
        roots: impl IntoIterator<Item = (String, Id)>,
        parameters: bool,
    ) -> PyResult<Self> {
        let ids = reachable_tensors(file, roots);
        let tensors = py.detach(|| {
            let specs: Vec<(String, &TensorSpec)> = ids
                .iter()
                .filter_map(|(name, id)| match file.graph().get(*id) {
                    Value::Tensor(spec) => Some((name.clone(), &**spec)),
                    _ => None,
                })
                .collect();
            let named: Vec<(&str, &TensorSpec)> =
                specs.iter().map(|(name, spec)| (name.as_str(), *spec)).collect();
            file.read(&named)
        })?;
        let ids: Vec<Id> = ids.into_iter().map(|(_, id)| id).collect();
        let values = if parameters { to_parameters(py, tensors)? } else { to_arrays(py, tensors)? };
        let arrays = ids.into_iter().zip(values).collect();
        Ok(Self { py, file, arrays, made: HashMap::new() })
    }

    fn convert(&mut self, id: Id, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if let Some(known) = self.made.get(&id) {
            return Ok(known.clone());
        }
        if depth > MAX_DEPTH {
            return Err(Error::FileLimit {
                path: self.file.path().to_owned(),
                what: "nesting of objects".into(),
                found: "deeper, or without end".into(),
                limit: MAX_DEPTH.to_string(),
            }
            .into());
        }
        let py = self.py;
        let graph = self.file.graph();
        let object = match graph.get(id) {
            Value::None => py.None().into_bound(py),
            Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
            Value::Int(value) => value.into_pyobject(py)?.into_any(),
            Value::BigInt(bytes) => {
                let arguments = (PyBytes::new(py, bytes), "little");
                let signed = PyDict::new(py);
                signed.set_item("signed", true)?;
                py.get_type::<pyo3::types::PyInt>().call_method("from_bytes", arguments, Some(&signed))?
            }
            Value::Float(value) => value.into_pyobject(py)?.into_any(),
            Value::Str(text) | Value::Name(text) => text.into_pyobject(py)?.into_any(),
            Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
            Value::Tuple(items) => PyTuple::new(py, self.convert_all(items, depth)?)?.into_any(),
            Value::List(items) => PyList::new(py, self.convert_all(items, depth)?)?.into_any(),
            Value::Set(items) => PySet::new(py, self.convert_all(items, depth)?)?.into_any(),
            Value::Dict(dict) => {
                let object = PyDict::new(py);
                for &(key, value) in &dict.items {
                    object.set_item(self.convert(key, depth + 1)?, self.convert(value, depth + 1)?)?;
                }
                object.into_any()
            }
            Value::Tensor(spec) => match self.arrays.get(&id) {
                Some(array) => array.clone(),
                None => self.not_loaded(format!("a tensor of type {}", spec.dtype))?,
            },
            Value::Global(global) | Value::Opaque { global, .. } => {
                self.not_loaded(graph.globals[*global as usize].name.clone())?
            }
            Value::Unreadable(_) | Value::Storage(_) | Value::NumpyDtype(_) | Value::EmptyArray => {
                self.not_loaded(graph.describe(id))?
            }
        };
        self.made.insert(id, object.clone());
        Ok(object)
    }

    fn convert_all(&mut self, items: &[Id], depth: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        items.iter().map(|&item| self.convert(item, depth + 1)).collect()
    }

    fn not_loaded(&self, name: String) -> PyResult<Bound<'py, PyAny>> {
        Ok(Bound::new(self.py, NotLoaded { name })?.into_any())
    }
}

/// The readable tensors in `roots`, each with a name for messages.
fn reachable_tensors(file: &Checkpoint, roots: impl IntoIterator<Item = (String, Id)>) -> Vec<(String, Id)> {
    let graph = file.graph();
    let mut tensors = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut waiting: Vec<(String, Id)> = roots.into_iter().collect();
    waiting.reverse();
    while let Some((name, id)) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        match graph.get(id) {
            Value::Tensor(spec) if !matches!(spec.dtype, Dtype::Other { .. }) => tensors.push((name, id)),
            Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
                waiting.extend(items.iter().rev().map(|&item| (name.clone(), item)));
            }
            Value::Dict(dict) => {
                for &(key, value) in dict.items.iter().rev() {
                    waiting.push((graph.text(key).unwrap_or(&name).to_owned(), value));
                }
            }
            _ => {}
        }
    }
    tensors
}

/// Memory that a file was read into: `np.asarray` of this is a writable array of its bytes.
#[pyclass(module = "rvision._rvision", frozen)]
struct FileBuffer {
    address: usize,
    len: usize,
    /// Only the arrays access it.
    _bytes: AlignedBuf<u8>,
}

#[pymethods]
impl FileBuffer {
    /// Numpy's protocol: a view, which keeps this object alive.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        let read_only = false;
        interface.set_item("data", (self.address, read_only))?;
        interface.set_item("shape", (self.len,))?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("version", 3)?;
        Ok(interface)
    }
}

/// Each buffer becomes one array of bytes without a copy; each tensor is a view of it.
fn to_arrays(py: Python<'_>, tensors: Tensors) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let Tensors { tensors, buffers } = tensors;
    let numpy = py.import("numpy")?;
    let (empty, asarray) = (numpy.getattr("empty")?, numpy.getattr("asarray")?);
    let bytes = |mut buffer: AlignedBuf<u8>| {
        let (address, len) = (buffer.as_mut_ptr() as usize, buffer.len());
        asarray.call1((Bound::new(py, FileBuffer { address, len, _bytes: buffer })?,))
    };
    let buffers: Vec<_> = buffers.into_iter().map(bytes).collect::<PyResult<_>>()?;
    tensors
        .into_iter()
        .map(|tensor| {
            let dtype = numpy_code(tensor.dtype);
            let shape = PyTuple::new(py, &tensor.shape)?;
            if tensor.range.is_empty() {
                return empty.call1((shape, dtype));
            }
            let bytes = &buffers[tensor.buffer];
            let part = PySlice::new(py, tensor.range.start as isize, tensor.range.end as isize, 1);
            bytes.get_item(part)?.call_method1("view", (dtype,))?.call_method1("reshape", (shape,))
        })
        .collect()
}

/// The same with parameters for what they can hold. A tensor that is alone in its buffer becomes
/// the parameter without a copy.
fn to_parameters(py: Python<'_>, tensors: Tensors) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let Tensors { tensors, buffers } = tensors;
    let mut users = vec![0; buffers.len()];
    for tensor in tensors.iter().filter(|tensor| !tensor.range.is_empty()) {
        users[tensor.buffer] += 1;
    }
    let mut buffers: Vec<Option<AlignedBuf<u8>>> = buffers.into_iter().map(Some).collect();
    let mut values: Vec<Option<Bound<'_, PyAny>>> = Vec::with_capacity(tensors.len());
    let mut others = Vec::new();
    for tensor in tensors {
        let param = to_param(&tensor, &mut buffers, &users)?;
        if param.is_none() {
            others.push(tensor);
        }
        values.push(param.map(|param| Parameter::object(py, param)).transpose()?);
    }
    let buffers = buffers.into_iter().map(|buffer| buffer.map_or_else(empty_buffer, Ok));
    let rest = Tensors { tensors: others, buffers: buffers.collect::<Result<_, _>>()? };
    let mut others = to_arrays(py, rest)?.into_iter();
    Ok(values.into_iter().filter_map(|value| value.or_else(|| others.next())).collect())
}

fn empty_buffer() -> Result<AlignedBuf<u8>, Error> {
    AlignedBuf::zeroed(0, "weights")
}

/// The parameter that a tensor becomes, unless its type or rank is not a parameter's.
fn to_param(
    tensor: &Tensor,
    buffers: &mut [Option<AlignedBuf<u8>>],
    users: &[usize],
) -> Result<Option<Param>, Error> {
    let is_float = matches!(tensor.dtype, Dtype::F32 | Dtype::F16);
    let Some(shape) = Shape::try_new(&tensor.shape).filter(|_| is_float && cfg!(target_endian = "little"))
    else {
        return Ok(None);
    };
    let slot = &mut buffers[tensor.buffer];
    let alone = users[tensor.buffer] == 1 && slot.as_ref().is_some_and(|all| tensor.range == (0..all.len()));
    let bytes = if let Some(bytes) = slot.take_if(|_| alone) {
        bytes
    } else {
        let all = slot.as_deref().unwrap_or_default();
        AlignedBuf::from_slice(&all[tensor.range.clone()], "a parameter")?
    };
    let packed = match tensor.dtype {
        Dtype::F16 => Packed::from(bytes.into_elements::<f16>()),
        _ => Packed::from(bytes.into_elements::<f32>()),
    };
    Ok(Some(Param::of(shape, packed)))
}

fn numpy_code(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::F16 => "<f2",
        Dtype::I8 => "|i1",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::U8 => "|u1",
        Dtype::U16 => "<u2",
        Dtype::U32 => "<u4",
        Dtype::U64 => "<u8",
        Dtype::Bool => "|b1",
        // Widened or refused when they are read.
        Dtype::BF16 | Dtype::Other { .. } => "|V1",
    }
}
