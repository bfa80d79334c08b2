//! Parameters: arrays of a model's constants, held by the engine.

use std::sync::Arc;

use numpy::{Element, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::guard::guarded;
use crate::error::{Error, Result};
use crate::tensor::{Packed, Param, Shape, Values};

/// An immutable float32 or float16 constant held by the engine, with the packed forms that its
/// graphs use.
///
/// `np.asarray(parameter.values())` is a read-only array of the values, without a copy.
#[pyclass(frozen, weakref, module = "rvision._rvision")]
pub struct Parameter {
    param: Arc<Param>,
}

impl Parameter {
    pub(super) fn object(py: Python<'_>, param: Param) -> PyResult<Bound<'_, PyAny>> {
        Ok(Bound::new(py, Self { param: Arc::new(param) })?.into_any())
    }

    pub(super) fn share(&self) -> Arc<Param> {
        Arc::clone(&self.param)
    }
}

/// A copy of an array if its elements are `T`, else `None`.
fn copied<T: Element>(
    data: &Bound<'_, PyAny>,
    new: fn(Shape, &[T]) -> Result<Param>,
) -> PyResult<Option<Param>> {
    let Ok(mut array) = data.extract::<PyReadonlyArrayDyn<'_, T>>() else { return Ok(None) };
    // `as_slice` also accepts Fortran order, and refuses unaligned arrays.
    if !array.is_c_contiguous() || array.as_slice().is_err() {
        array = data.call_method0("copy")?.extract()?;
    }
    let shape = Shape::try_new(array.shape()).ok_or_else(|| Error::TooLarge {
        node: "Parameter".into(),
        found: format!("the shape {:?}", array.shape()),
    })?;
    Ok(Some(new(shape, array.as_slice().map_err(PyErr::from)?)?))
}

#[pymethods]
impl Parameter {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let param = guarded(|| match copied(data, Param::new)? {
            None => copied(data, Param::new_f16),
            found => Ok(found),
        })?;
        let Some(param) = param else {
            let found = data.get_type();
            let dtype = data.getattr("dtype").map_or_else(|_| String::new(), |dtype| format!(" of {dtype}"));
            return Err(PyTypeError::new_err(format!(
                "Parameter: expected a numpy array of float32 or float16, got {found}{dtype}"
            )));
        };
        Ok(Self { param: Arc::new(param) })
    }

    /// A parameter of zeros, which take no memory until they are read.
    #[staticmethod]
    fn zeros(shape: Vec<usize>) -> PyResult<Self> {
        let shape = Shape::try_new(&shape).ok_or_else(|| Error::TooLarge {
            node: "Parameter".into(),
            found: format!("the shape {shape:?}"),
        })?;
        Ok(Self { param: Arc::new(guarded(|| Param::zeros(shape))?) })
    }

    /// Sizes of its dimensions.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.param.shape().iter())
    }

    /// The same values in another shape with as many elements; memory and packed forms are shared.
    fn reshaped(&self, shape: Vec<usize>) -> Result<Self> {
        let new = Shape::try_new(&shape).filter(|new| new.numel() == self.param.shape().numel());
        let new = new.ok_or_else(|| Error::Reshape {
            node: "Parameter".into(),
            input: self.param.shape(),
            to: shape.iter().map(|&size| size as i64).collect(),
        })?;
        Ok(Self { param: Arc::new(self.param.reshaped(new)) })
    }

    /// The values' type: `float32` or `float16`.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.param.dtype()
    }

    /// The values rounded to float16; shares this object's memory and forms if they already are
    /// float16.
    fn half(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Self { param: Arc::new(guarded(|| py.detach(|| self.param.to_f16()))?) })
    }

    /// The values in float32; shares this object's memory and forms if they already are float32.
    fn float(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Self { param: Arc::new(guarded(|| py.detach(|| self.param.to_f32()))?) })
    }

    /// The values in C order, which live as long as this object. A parameter that has packed them
    /// makes them again.
    fn values(&self, py: Python<'_>) -> PyResult<ParameterValues> {
        let values = guarded(|| py.detach(|| self.param.original()))?;
        Ok(ParameterValues { values, shape: self.param.shape() })
    }

    /// The packed forms that exist, each with its size in elements.
    fn forms(&self) -> Vec<(&'static str, usize)> {
        self.param.forms().into_iter().map(|(form, elements)| (form.name, elements)).collect()
    }

    fn __copy__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (memo, /))]
    fn __deepcopy__<'py>(this: Bound<'py, Self>, memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        let _ = memo;
        this
    }

    fn __repr__(&self) -> String {
        format!("Parameter(shape={}, dtype={})", self.param.shape(), self.param.dtype())
    }
}

/// A parameter's values: `np.asarray` of this is a read-only array of them, without a copy.
#[pyclass(frozen, module = "rvision._rvision")]
pub struct ParameterValues {
    values: Packed,
    shape: Shape,
}

#[pymethods]
impl ParameterValues {
    /// Numpy's protocol: a view, which keeps this object alive.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        // The values never move or change while this object lives.
        let (address, kind) = match self.values.values() {
            Values::F32(values) => (values.as_ptr() as usize, "f4"),
            Values::F16(values) => (values.as_ptr() as usize, "f2"),
        };
        let read_only = true;
        interface.set_item("data", (address, read_only))?;
        interface.set_item("shape", PyTuple::new(py, self.shape.iter())?)?;
        let order = if cfg!(target_endian = "little") { '<' } else { '>' };
        interface.set_item("typestr", format!("{order}{kind}"))?;
        interface.set_item("version", 3)?;
        Ok(interface)
    }
}
