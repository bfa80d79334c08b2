//! Parameters: a model's constants, and the packed forms that kernels made of them.

use std::sync::{Arc, Mutex, PoisonError};

use super::{AlignedBuf, Shape};
use crate::error::Result;

/// Which packing of a parameter: a kernel family's name and the numbers that its layout depends on
/// (such as the panel width). Two graphs that ask for the same form share its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// The packing's name, such as `igemm_panels`.
    pub name: &'static str,
    /// What the layout depends on besides the parameter's own shape.
    pub params: [usize; 4],
}

/// A packed form, shared by every plan that uses it.
pub type Packed = Arc<AlignedBuf>;

/// An immutable parameter in torch's order with the packed forms it has been asked for.
///
/// A parameter never changes: assigning a new value to a layer makes a new `Param`, so identity
/// serves as version, and forms can never be stale.
#[derive(Clone)]
pub struct Param {
    shape: Shape,
    memory: Arc<Memory>,
}

/// What every shape of a parameter shares.
struct Memory {
    data: AlignedBuf,
    forms: Mutex<Vec<(Form, Packed)>>,
}

impl Param {
    /// A parameter of `shape` with a copy of `data`.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If `data.len()` is not the shape's number of elements.
    pub fn new(shape: Shape, data: &[f32]) -> Result<Self> {
        assert_eq!(shape.numel(), data.len(), "parameter data of shape {shape}");
        Ok(Self::with(shape, AlignedBuf::from_slice(data, "a parameter")?))
    }

    /// A parameter of zeros. Their memory is the system's to give when somebody reads it, so that even a
    /// large network's parameters can be described for nothing.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn zeros(shape: Shape) -> Result<Self> {
        Ok(Self::with(shape, AlignedBuf::zeroed(shape.numel(), "a parameter")?))
    }

    fn with(shape: Shape, data: AlignedBuf) -> Self {
        Self { shape, memory: Arc::new(Memory { data, forms: Mutex::default() }) }
    }

    /// The same values under another shape; memory and packed forms are shared. So a linear layer's
    /// weight is that of a convolution whose kernel is the map in front of it.
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

    /// The values in C order.
    pub fn data(&self) -> &[f32] {
        &self.memory.data
    }

    /// The packed form for `form`, made by `pack` the first time it is asked for.
    ///
    /// # Errors
    /// What `pack` returns.
    pub fn form(&self, form: Form, pack: impl FnOnce(&[f32]) -> Result<AlignedBuf>) -> Result<Packed> {
        // Held while packing, so that two threads do not pack the same form twice.
        let mut forms = self.memory.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, packed)) = forms.iter().find(|(f, _)| *f == form) {
            return Ok(Arc::clone(packed));
        }
        let packed = Arc::new(pack(&self.memory.data)?);
        forms.push((form, Arc::clone(&packed)));
        Ok(packed)
    }

    /// The forms that exist, with their sizes in elements.
    pub fn forms(&self) -> Vec<(Form, usize)> {
        let forms = self.memory.forms.lock().unwrap_or_else(PoisonError::into_inner);
        forms.iter().map(|(form, packed)| (*form, packed.len())).collect()
    }
}

impl std::fmt::Debug for Param {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Param{}", self.shape)
    }
}
