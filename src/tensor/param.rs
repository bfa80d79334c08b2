//! Parameters: a model's constants, and the packed forms that kernels have made of them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{AlignedBuf, Element, Shape, reserved};
use crate::error::Result;

/// A packing of a parameter: the name of a kernel family, the numbers that its layout depends on
/// (such as the panel width), and the sizes that the parameter is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// The packing's name, such as `panels`.
    pub name: &'static str,
    /// The numbers that the layout depends on besides the sizes.
    pub params: [usize; 4],
}

/// The key of a packed value: its form and the sizes it was packed with. The same values in another
/// shape are a different matrix, so the name of a form alone is not enough. The element type is a
/// property of the memory that holds the forms.
type Key = (Form, Shape);

/// The float32 form of a float16 parameter, for steps that read parameters unpacked and know
/// float32 only.
const WIDENED: Form = Form { name: "float32", params: [0; 4] };

/// A parameter's values, or a packed form of them, shared by every plan that uses them.
///
/// float16 is a storage type: kernels widen it, which is exact.
#[derive(Clone, Debug)]
pub enum Packed {
    /// float32 values.
    F32(Arc<AlignedBuf>),
    /// Values rounded to float16, in half the memory.
    F16(Arc<AlignedBuf<f16>>),
}

impl Packed {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their size in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val::<[f32]>(values),
            Self::F16(values) => size_of_val::<[f16]>(values),
        }
    }

    /// Whether all values are finite.
    pub fn is_finite(&self) -> bool {
        // In chunks without an early exit, which compilers can vectorise.
        fn all<T: Copy>(values: &[T], is_finite: impl Fn(T) -> bool) -> bool {
            values.chunks(4096).all(|part| part.iter().fold(true, |all, &value| all & is_finite(value)))
        }
        match self {
            Self::F32(values) => all(values, f32::is_finite),
            Self::F16(values) => all(values, f16::is_finite),
        }
    }

    /// torch's name of their type.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => f32::NAME,
            Self::F16(_) => f16::NAME,
        }
    }

    /// A view of the values.
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::F32(values) => Values::F32(values),
            Self::F16(values) => Values::F16(values),
        }
    }

    /// The values of a form that is always packed in float32.
    ///
    /// # Panics
    /// If this is float16.
    pub fn into_f32(self) -> Arc<AlignedBuf> {
        match self {
            Self::F32(values) => values,
            Self::F16(_) => panic!("a form in float16 where float32 was packed"),
        }
    }
}

impl From<AlignedBuf> for Packed {
    fn from(values: AlignedBuf) -> Self {
        Self::F32(Arc::new(values))
    }
}

impl From<AlignedBuf<f16>> for Packed {
    fn from(values: AlignedBuf<f16>) -> Self {
        Self::F16(Arc::new(values))
    }
}

/// The values of a parameter in C order.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Values of a float32 parameter.
    F32(&'a [f32]),
    /// Values of a float16 parameter.
    F16(&'a [f16]),
}

impl<'a> Values<'a> {
    /// The values in float32: borrowed, or a widened copy.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_f32(self) -> Result<Cow<'a, [f32]>> {
        Ok(match self {
            Self::F32(values) => Cow::Borrowed(values),
            Self::F16(values) => {
                let mut widened = reserved(values.len(), "a parameter")?;
                widened.resize(values.len(), 0.0);
                values.convert_to_f32_slice(&mut widened);
                Cow::Owned(widened)
            }
        })
    }
}

/// An immutable parameter in torch's order, with the packed forms that have been requested.
///
/// A parameter never changes: assigning a new value to a layer creates a new `Param`. Identity
/// therefore serves as the version, and forms can never be stale.
#[derive(Clone)]
pub struct Param {
    shape: Shape,
    memory: Arc<Memory>,
}

/// What a parameter and its reshaped versions share.
struct Memory {
    data: Packed,
    forms: Mutex<Vec<(Key, Packed)>>,
}

impl Param {
    /// A float32 parameter of `shape` with a copy of `data`.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If `data.len()` is not the shape's number of elements.
    pub fn new(shape: Shape, data: &[f32]) -> Result<Self> {
        Self::copied(shape, data)
    }

    /// A float16 parameter of `shape` with a copy of `data`.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If `data.len()` is not the shape's number of elements.
    pub fn new_f16(shape: Shape, data: &[f16]) -> Result<Self> {
        Self::copied(shape, data)
    }

    fn copied<T: Element>(shape: Shape, data: &[T]) -> Result<Self>
    where
        Packed: From<AlignedBuf<T>>,
    {
        assert_eq!(shape.numel(), data.len(), "parameter data of shape {shape}");
        Ok(Self::with(shape, AlignedBuf::from_slice(data, "a parameter")?))
    }

    /// A float32 parameter of zeros. The system allocates its pages on first access, so describing
    /// even a large network's parameters costs nothing.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn zeros(shape: Shape) -> Result<Self> {
        Ok(Self::with(shape, AlignedBuf::<f32>::zeroed(shape.numel(), "a parameter")?))
    }

    fn with(shape: Shape, data: impl Into<Packed>) -> Self {
        Self { shape, memory: Arc::new(Memory { data: data.into(), forms: Mutex::default() }) }
    }

    /// The values rounded to float16, to the nearest and ties to even; values beyond 65504 become
    /// infinite. A float16 parameter is returned with its forms.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_f16(&self) -> Result<Self> {
        let Packed::F32(data) = &self.memory.data else { return Ok(self.clone()) };
        let mut rounded = AlignedBuf::<f16>::zeroed(data.len(), "a parameter")?;
        rounded.convert_from_f32_slice(data);
        Ok(Self::with(self.shape, rounded))
    }

    /// The values in float32. A float32 parameter is returned with its forms.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_f32(&self) -> Result<Self> {
        let Packed::F16(data) = &self.memory.data else { return Ok(self.clone()) };
        Ok(Self::with(self.shape, widened(data)?))
    }

    /// The same values in another shape. The memory is shared, and so are forms that both pack with
    /// the same sizes. With this, the weight of a linear layer becomes that of a convolution whose
    /// kernel is the map in front of the layer.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    #[must_use]
    pub fn reshaped(&self, shape: Shape) -> Self {
        assert_eq!(shape.numel(), self.shape.numel(), "{} under another shape", self.shape);
        Self { shape, memory: Arc::clone(&self.memory) }
    }

    /// Logical sizes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// torch's name of the values' type: `float32` or `float16`.
    pub fn dtype(&self) -> &'static str {
        self.memory.data.dtype()
    }

    /// The values in C order, as they are stored.
    pub fn values(&self) -> Values<'_> {
        self.memory.data.values()
    }

    /// The values in C order in float32: borrowed, or a widened copy. For small parameters; large
    /// ones are packed.
    ///
    /// # Panics
    /// If there is not enough memory for the copy.
    pub fn data(&self) -> Cow<'_, [f32]> {
        self.values().to_f32().expect("memory for a few values")
    }

    /// The values in C order in float32, shared: the values themselves, or a widened form.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn floats(&self) -> Result<Arc<AlignedBuf>> {
        match &self.memory.data {
            Packed::F32(data) => Ok(Arc::clone(data)),
            Packed::F16(data) => {
                // The values are in C order, so the shape does not matter.
                let flat = Shape::new(&[data.len()]);
                Ok(self.form(WIDENED, flat, |_| Ok(widened(data)?.into()))?.into_f32())
            }
        }
    }

    /// The packed form `form` of a matrix or of kernels of the sizes `packed_as`, made by `pack` on
    /// the first request. `packed_as` has as many elements as the parameter, but may be a different
    /// shape: a linear layer packs its matrix as kernels. `pack` may depend on `form` and
    /// `packed_as` only.
    ///
    /// # Errors
    /// What `pack` returns.
    pub fn form(
        &self,
        form: Form,
        packed_as: Shape,
        pack: impl FnOnce(Values<'_>) -> Result<Packed>,
    ) -> Result<Packed> {
        debug_assert_eq!(packed_as.numel(), self.shape.numel(), "{} packed as another shape", self.shape);
        let key = (form, packed_as);
        // The lock is held while packing, so that two threads do not pack the same form.
        let mut forms = self.memory.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, packed)) = forms.iter().find(|(known, _)| *known == key) {
            return Ok(packed.clone());
        }
        let packed = pack(self.values())?;
        forms.push((key, packed.clone()));
        Ok(packed)
    }

    /// The existing forms, with their sizes in elements.
    pub fn forms(&self) -> Vec<(Form, usize)> {
        let forms = self.memory.forms.lock().unwrap_or_else(PoisonError::into_inner);
        forms.iter().map(|((form, _), packed)| (*form, packed.len())).collect()
    }
}

fn widened(data: &[f16]) -> Result<AlignedBuf> {
    let mut widened = AlignedBuf::zeroed(data.len(), "a parameter")?;
    data.convert_to_f32_slice(&mut widened);
    Ok(widened)
}

impl std::fmt::Debug for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Param{}", self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form whose values are the sizes that it is requested with.
    fn rows(param: &Param, form: Form, shape: &[usize]) -> Vec<f32> {
        let shape = Shape::new(shape);
        let pack = |values: Values<'_>| {
            let mut packed = AlignedBuf::<f32>::zeroed(shape[0], "test")?;
            let values = values.to_f32()?;
            for (to, row) in packed.iter_mut().zip(values.chunks_exact(shape[1])) {
                *to = row.iter().sum();
            }
            Ok(packed.into())
        };
        param.form(form, shape, pack).unwrap().into_f32().to_vec()
    }

    #[test]
    fn a_form_belongs_to_the_sizes_it_was_packed_with() {
        let values: Vec<f32> = (0..6_u8).map(f32::from).collect();
        let param = Param::new(Shape::new(&[3, 2]), &values).unwrap();
        let form = Form { name: "rows", params: [8, 0, 0, 0] };
        assert_eq!(rows(&param, form, &[3, 2]), [1.0, 5.0, 9.0]);
        let other = param.reshaped(Shape::new(&[2, 3]));
        assert_eq!(rows(&other, form, &[2, 3]), [3.0, 12.0]);
        // Both forms exist, in the shared memory.
        assert_eq!(param.forms(), [(form, 3), (form, 2)]);
        assert_eq!(rows(&other, form, &[3, 2]), [1.0, 5.0, 9.0]);
        assert_eq!(param.forms().len(), 2);
    }
}
