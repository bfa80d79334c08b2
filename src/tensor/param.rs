//! Parameters: a model's constants, and the packed forms that kernels have made of them.
//!
//! A parameter owns its values in torch's order, the original, until a kernel family packs them in
//! a form that is a permutation of them. The original is then released: plans share the form, and
//! [`Param::original`] makes the original again when it is requested. Forms that are not
//! permutations, such as Winograd's, leave the original in memory.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{AlignedBuf, Element, ElementType, Shape, reserved};
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

/// Which values a form is packed from, and in which order, if it is not packed from all of a
/// parameter's values in their own order. Only the code that packs the part interprets the numbers.
pub type Part = [usize; 6];

/// The key of a packed value: its form, the sizes that it was packed with, and the part of the
/// parameter. The same values in another shape are a different matrix, so the name of a form alone
/// is not enough. The element type is a property of the memory that holds the forms.
type Key = (Form, Shape, Option<Part>);

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

    /// Their size in memory, in bytes.
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

    /// Their type.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F16(_) => ElementType::F16,
        }
    }

    /// torch's name of their type.
    pub fn dtype(&self) -> &'static str {
        self.element_type().name()
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
    /// A copy.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_packed(self) -> Result<Packed> {
        Ok(match self {
            Self::F32(values) => AlignedBuf::from_slice(values, "a parameter")?.into(),
            Self::F16(values) => AlignedBuf::from_slice(values, "a parameter")?.into(),
        })
    }

    /// The type of the values.
    pub fn element_type(self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F16(_) => ElementType::F16,
        }
    }

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

/// A parameter's values in C order in float32.
#[derive(Clone, Debug)]
pub struct Floats(Arc<AlignedBuf>);

impl Deref for Floats {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

/// Undoes a permutation.
type Restore = Box<dyn Fn(&Packed) -> Result<Packed> + Send + Sync>;

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
    element_type: ElementType,
    state: Mutex<State>,
}

struct State {
    original: Original,
    forms: Vec<(Key, Packed)>,
}

/// The values in torch's order.
enum Original {
    Held(Packed),
    /// Released. Callers that have requested them, before or since, may still hold them.
    Released {
        holders: Holders,
        form: usize,
        restore: Restore,
    },
}

/// Values that others may hold.
enum Holders {
    F32(Weak<AlignedBuf>),
    F16(Weak<AlignedBuf<f16>>),
}

impl Holders {
    fn of(values: &Packed) -> Self {
        match values {
            Packed::F32(values) => Self::F32(Arc::downgrade(values)),
            Packed::F16(values) => Self::F16(Arc::downgrade(values)),
        }
    }

    fn values(&self) -> Option<Packed> {
        match self {
            Self::F32(values) => values.upgrade().map(Packed::F32),
            Self::F16(values) => values.upgrade().map(Packed::F16),
        }
    }
}

impl State {
    fn original(&mut self) -> Result<Packed> {
        match &mut self.original {
            Original::Held(values) => Ok(values.clone()),
            Original::Released { holders, form, restore } => {
                if let Some(values) = holders.values() {
                    return Ok(values);
                }
                let values = restore(&self.forms[*form].1)?;
                *holders = Holders::of(&values);
                Ok(values)
            }
        }
    }
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
        Self::of(shape, data.into())
    }

    /// A parameter of `shape` that takes ownership of these values, or shares them.
    ///
    /// # Panics
    /// If the number of values is not the shape's number of elements.
    pub fn of(shape: Shape, values: Packed) -> Self {
        assert_eq!(shape.numel(), values.len(), "parameter data of shape {shape}");
        let element_type = values.element_type();
        let state = Mutex::new(State { original: Original::Held(values), forms: Vec::new() });
        Self { shape, memory: Arc::new(Memory { element_type, state }) }
    }

    /// The values rounded to float16, to the nearest and ties to even; values beyond 65504 become
    /// infinite. A float16 parameter is returned with its forms.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_f16(&self) -> Result<Self> {
        let Packed::F32(data) = self.original()? else { return Ok(self.clone()) };
        let mut rounded = AlignedBuf::<f16>::zeroed(data.len(), "a parameter")?;
        rounded.convert_from_f32_slice(&data);
        Ok(Self::with(self.shape, rounded))
    }

    /// The values in float32. A float32 parameter is returned with its forms.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn to_f32(&self) -> Result<Self> {
        let Packed::F16(data) = self.original()? else { return Ok(self.clone()) };
        Ok(Self::with(self.shape, widened(&data)?))
    }

    /// The same values in another shape. The memory is shared, and so are forms that both pack with
    /// the same sizes. With this, the weight of a linear layer becomes that of a convolution whose
    /// kernel is as large as the map before the layer.
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

    /// The values' type.
    pub fn element_type(&self) -> ElementType {
        self.memory.element_type
    }

    /// torch's name of the values' type: `float32` or `float16`.
    pub fn dtype(&self) -> &'static str {
        self.memory.element_type.name()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.memory.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values in C order, as they are stored. If the parameter has released them, they are made
    /// again, and exist as long as a caller holds them.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn original(&self) -> Result<Packed> {
        self.state().original()
    }

    /// The values in C order in float32, shared or as a widened copy. For small parameters; large
    /// ones are packed.
    ///
    /// # Panics
    /// If there is not enough memory for the copy.
    pub fn data(&self) -> Floats {
        Floats(match self.original().expect("memory for a few values") {
            Packed::F32(values) => values,
            Packed::F16(values) => Arc::new(widened(&values).expect("memory for a few values")),
        })
    }

    /// The values in C order in float32, shared: the values themselves, or a widened form.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn floats(&self) -> Result<Arc<AlignedBuf>> {
        match self.original()? {
            Packed::F32(values) => Ok(values),
            Packed::F16(values) => {
                // The values are in C order, so the shape does not matter.
                let flat = Shape::new(&[values.len()]);
                Ok(self.form(WIDENED, flat, |_| Ok(widened(&values)?.into()))?.into_f32())
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
        self.form_for((form, packed_as, None), pack)
    }

    /// The packed form `form` of a part of the parameter that has the sizes `packed_as`. `pack` is
    /// given all values and selects those of the part. It may depend on `form`, `packed_as` and
    /// `part` only.
    ///
    /// # Errors
    /// What `pack` returns.
    pub fn form_of_part(
        &self,
        part: Part,
        form: Form,
        packed_as: Shape,
        pack: impl FnOnce(Values<'_>) -> Result<Packed>,
    ) -> Result<Packed> {
        self.form_for((form, packed_as, Some(part)), pack)
    }

    fn form_for(&self, key: Key, pack: impl FnOnce(Values<'_>) -> Result<Packed>) -> Result<Packed> {
        self.requested(key, |state| {
            let packed = pack(state.original()?.values())?;
            state.forms.push((key, packed.clone()));
            Ok(packed)
        })
    }

    /// As [`Self::form`], for a form that is a permutation of the values, perhaps with zeros
    /// between them. The parameter then releases its values in C order, and `restore` makes them
    /// again. `pack` may discard values that it has read if it alone holds them, but not before an
    /// error.
    ///
    /// # Errors
    /// What `pack` returns.
    pub fn permuted(
        &self,
        form: Form,
        packed_as: Shape,
        pack: impl FnOnce(&mut Packed) -> Result<Packed>,
        restore: impl Fn(&Packed) -> Result<Packed> + Send + Sync + 'static,
    ) -> Result<Packed> {
        debug_assert_eq!(packed_as.numel(), self.shape.numel(), "{} packed as another shape", self.shape);
        let key = (form, packed_as, None);
        self.requested(key, |state| {
            let packed = match &mut state.original {
                Original::Held(values) => {
                    let packed = pack(values)?;
                    let (holders, form) = (Holders::of(values), state.forms.len());
                    state.original = Original::Released { holders, form, restore: Box::new(restore) };
                    packed
                }
                Original::Released { .. } => pack(&mut state.original()?)?,
            };
            state.forms.push((key, packed.clone()));
            Ok(packed)
        })
    }

    fn requested(&self, key: Key, make: impl FnOnce(&mut State) -> Result<Packed>) -> Result<Packed> {
        // The lock is held while packing, so that two threads do not pack the same form.
        let mut state = self.state();
        if let Some((_, packed)) = state.forms.iter().find(|(known, _)| *known == key) {
            return Ok(packed.clone());
        }
        make(&mut state)
    }

    /// The existing forms, with their sizes in elements.
    pub fn forms(&self) -> Vec<(Form, usize)> {
        self.state().forms.iter().map(|((form, ..), packed)| (*form, packed.len())).collect()
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
    fn a_permutation_takes_the_place_of_the_values() {
        let reversed = |from: &Packed| {
            let Values::F32(values) = from.values() else { unreachable!() };
            let mut packed = AlignedBuf::<f32>::zeroed(values.len(), "test")?;
            packed.iter_mut().zip(values.iter().rev()).for_each(|(to, &from)| *to = from);
            Ok(Packed::from(packed))
        };
        let values: Vec<f32> = (0..6_u8).map(f32::from).collect();
        let param = Param::new(Shape::new(&[3, 2]), &values).unwrap();
        let watch = Arc::downgrade(&param.data().0);
        let form = Form { name: "reversed", params: [0; 4] };
        let pack = || param.permuted(form, param.shape(), |values| reversed(values), reversed).unwrap();
        assert_eq!(**pack().into_f32(), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        assert!(watch.upgrade().is_none());
        // Made again, they are shared while somebody holds them.
        let (one, other) = (param.data(), param.data());
        assert_eq!(*one, *values);
        assert!(Arc::ptr_eq(&one.0, &other.0));
        // Another form is made of them.
        assert_eq!(rows(&param, Form { name: "rows", params: [0; 4] }, &[3, 2]), [1.0, 5.0, 9.0]);
        assert_eq!(param.reshaped(Shape::new(&[6])).data().len(), 6);
    }

    #[test]
    fn values_that_somebody_holds_stay() {
        let param = Param::new(Shape::new(&[2]), &[1.0, 2.0]).unwrap();
        let held = param.data();
        let form = Form { name: "same", params: [0; 4] };
        let pack = |values: &mut Packed| {
            let Packed::F32(values) = values else { unreachable!() };
            assert!(Arc::get_mut(values).is_none());
            Ok(Packed::F32(Arc::clone(values)))
        };
        let unexpected = |_: &Packed| unreachable!("nothing is to be restored");
        param.permuted(form, param.shape(), pack, unexpected).unwrap();
        assert!(Arc::ptr_eq(&held.0, &param.data().0));
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
