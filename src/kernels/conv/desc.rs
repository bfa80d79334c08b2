//! Descriptors of convolutions, and the candidates that compute them.

use crate::error::Result;
use crate::kernels::{Epilogue, Kernel};
use crate::simd::{Isa, MOST_LANES};
use crate::tensor::{Activation, AlignedBuf, ElementType, FeatureMap, Form, Packed, Param, Shape, Values};

/// Zero pixels around a picture, possibly different on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns on the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the right.
    pub right: usize,
}

/// A convolution (torch's cross-correlation) of one input map into one output map.
///
/// Output pixel (y, x) sees the input rows `y * stride - padding.top + kh * dilation`, and columns
/// likewise; values outside the picture are zero. `padding.bottom` and `.right` follow from the
/// output's size, which takes precedence. The output's channels are dense; its pixel stride may be
/// larger than its channels (a branch of a concatenation), and so may the input's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvDesc {
    /// What is read. Channels are dense except at a network's input (NCHW arrays).
    pub input: FeatureMap,
    /// What is written.
    pub output: FeatureMap,
    /// A map of the output's size that is added before the activation. Its pointer is the second of
    /// [`crate::kernels::Io::inputs`]. It may be the output itself (same pointer, same layout).
    pub residual: Option<FeatureMap>,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Vertical and horizontal dilation; 1 is none.
    pub dilation: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Number of groups of input and output channels.
    pub groups: usize,
    /// The type in which the weights are stored. Inputs, sums and outputs are float32.
    pub weights: ElementType,
    /// The epilogue's activation.
    pub activation: Activation,
}

impl ConvDesc {
    /// Input channels per group, which one output channel sees.
    pub fn group_inputs(&self) -> usize {
        self.input.channels / self.groups
    }

    /// Output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.output.channels / self.groups
    }

    /// The sizes of the weights: `[oc, ic / groups, kh, kw]`.
    pub fn weight_shape(&self) -> Shape {
        Shape::new(&[self.output.channels, self.group_inputs(), self.kernel[0], self.kernel[1]])
    }

    /// Products per output value: the length of its sum.
    pub fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.group_inputs()
    }

    /// Multiply-adds of the whole convolution.
    pub fn macs(&self) -> usize {
        self.output.pixels().saturating_mul(self.output.channels).saturating_mul(self.depth())
    }

    /// Input values that the windows read: with a stride larger than the kernel, not all of them.
    pub fn input_read(&self) -> usize {
        let seen = |axis: usize, input: usize, output: usize| input.min(output * self.kernel[axis]);
        let rows = seen(0, self.input.height, self.output.height);
        let columns = seen(1, self.input.width, self.output.width);
        self.input.batch * rows * columns * self.input.channels
    }

    /// Whether the kernel reaches outside the input, vertically (0) or horizontally (1).
    pub fn is_padded(&self, axis: usize) -> bool {
        let (before, input, output) = match axis {
            0 => (self.padding.top, self.input.height, self.output.height),
            _ => (self.padding.left, self.input.width, self.output.width),
        };
        let last =
            output.saturating_sub(1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis];
        before > 0 || last >= input
    }

    /// A kernel of one pixel without stride, dilation or padding.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == Padding::default()
    }
}

/// A prologue: an operation on a map before it is convolved.
pub enum Prologue {
    /// `scale[c] * x + shift[c]`, optionally followed by ReLU.
    Affine {
        /// Per channel, padded by a vector of zeros.
        scale: AlignedBuf,
        /// Likewise.
        shift: AlignedBuf,
        /// Whether ReLU follows.
        relu: bool,
    },
    /// `x * gate[n][c]`: one factor for each picture and channel. Its pointer is the last of
    /// [`crate::kernels::Io::inputs`].
    Gate {
        /// Floats from one picture's values to the next one's; a picture's own values are dense.
        image_stride: usize,
    },
}

impl Prologue {
    /// A batch norm.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn affine(scale: &[f32], shift: &[f32], relu: bool) -> Result<Self> {
        let padded = |values: &[f32]| -> Result<AlignedBuf> {
            let mut padded = AlignedBuf::resident(values.len() + MOST_LANES, "a prologue")?;
            padded[..values.len()].copy_from_slice(values);
            Ok(padded)
        };
        Ok(Self::Affine { scale: padded(scale)?, shift: padded(shift)?, relu })
    }
}

/// A convolution fused with a 2x2 max pool of its output. The maxima are stored instead of the
/// pixels: a quarter of the writes, and no pass that rereads them (VGG's pools).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvPoolDesc {
    /// The convolution; its output has no memory.
    pub conv: ConvDesc,
    /// The maxima of windows of 2x2 pixels, two apart. A last row or column that does not fill a
    /// window is ignored.
    pub output: FeatureMap,
}

impl ConvPoolDesc {
    /// Whether there is a fused kernel if `part` is the convolution's candidate.
    pub fn accepts(&self, part: &Candidate) -> bool {
        let Self { conv, output } = self;
        let halves = output.height == conv.output.height / 2 && output.width == conv.output.width / 2;
        let ordered =
            matches!(conv.activation, Activation::Identity | Activation::Relu | Activation::Clamp { .. });
        let plain = conv.residual.is_none() && conv.dilation == [1, 1];
        halves && ordered && plain && part.with_pool.is_some()
    }

    /// Makes the kernel from `part`'s packed weights.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    ///
    /// # Panics
    /// If [`Self::accepts`] does not hold for `part`.
    pub fn prepare(
        &self,
        part: &Candidate,
        weights: Packed,
        epilogue: Epilogue,
        threads: usize,
    ) -> Result<Box<dyn Kernel>> {
        let prepare = part.with_pool.unwrap_or_else(|| panic!("{} has no kernel with a pool", part.name));
        prepare(self, weights, epilogue, threads)
    }
}

/// Makes a kernel from a descriptor, packed weights, an epilogue and the number of threads.
pub type Prepare = fn(&ConvDesc, Packed, Epilogue, usize) -> Result<Box<dyn Kernel>>;

/// As [`Prepare`], for a convolution and the pool after it.
pub type PrepareWithPool = fn(&ConvPoolDesc, Packed, Epilogue, usize) -> Result<Box<dyn Kernel>>;

/// As [`Prepare`], for a 1x1 convolution in one group and its prologue.
pub type PrepareWithPrologue = fn(&ConvDesc, Prologue, Packed, Epilogue, usize) -> Result<Box<dyn Kernel>>;

/// The convolutions of an inverted residual that is fused into one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPart {
    /// The 1x1 convolutions: expansion and projection.
    Pointwise,
    /// The depthwise convolution between them.
    Depthwise,
}

/// How a packed form is made.
#[derive(Clone, Copy)]
pub enum Pack {
    /// From the weights, which are kept.
    Transform(fn(&ConvDesc, Values<'_>) -> Result<Packed>),
    /// A permutation of the weights, which takes their place in memory.
    Permutation {
        /// Makes the form, and may discard what it has read of weights that nobody else holds.
        pack: fn(&ConvDesc, &mut Packed) -> Result<Packed>,
        /// Makes the weights again.
        restore: fn(&ConvDesc, Values<'_>) -> Result<Packed>,
    },
}

/// Weights of these types: kernels read them as they are, or pack them in float32.
pub(super) const FLOATS: &[ElementType] = &[ElementType::F32, ElementType::F16];

/// One way to compute convolutions, on one instruction set and for some types of weights: these two
/// are the key of the list of candidates.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// The kernel's name for float32 weights. Its name begins with `f32_f16w_` instead of `f32_` if
    /// it reads weights in float16.
    pub name: &'static str,
    /// The required instruction set.
    pub isa: Isa,
    /// The types of stored weights that it takes.
    pub weights: &'static [ElementType],
    /// Whether this candidate can compute the convolution, apart from its key.
    pub accepts: fn(&ConvDesc) -> bool,
    /// Whether it is a good choice for a convolution that it accepts. May depend only on the
    /// layer's shape, not on the batch, so that a picture's bits do not depend on the batch either.
    pub prefers: fn(&ConvDesc) -> bool,
    /// The packed form of the weights that it reads; with their shape it determines everything that
    /// `pack` depends on.
    pub form: fn(&ConvDesc) -> Form,
    /// Packs weights in torch's order `[oc, ic / groups, kh, kw]` into this form, in their own type
    /// or in float32.
    pub pack: Pack,
    /// Makes the kernel for a number of threads; fails if there is no memory for its tables.
    pub prepare: Prepare,
    /// Makes the kernel that is fused with a 2x2 max pool, from the same packed weights, if there
    /// is one.
    pub with_pool: Option<PrepareWithPool>,
    /// Makes the kernel that is fused with a prologue, from the same packed weights, if there is
    /// one.
    pub with_prologue: Option<PrepareWithPrologue>,
    /// The convolution that it can be in the fused kernels of [`super::expand_depthwise`], which
    /// read its packed weights and use its summation order.
    pub block_part: Option<BlockPart>,
}

impl Candidate {
    /// These weights in the form that this candidate reads.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn pack_values(&self, desc: &ConvDesc, weights: Values<'_>) -> Result<Packed> {
        match self.pack {
            Pack::Transform(pack) => pack(desc, weights),
            Pack::Permutation { pack, .. } => pack(desc, &mut weights.to_packed()?),
        }
    }

    /// Whether it computes that convolution on `isa`.
    pub fn takes(&self, desc: &ConvDesc, isa: Isa) -> bool {
        self.isa == isa && self.weights.contains(&desc.weights) && (self.accepts)(desc)
    }

    /// The weights of a convolution in the form that this candidate reads. They are packed only
    /// once.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn packed(&self, desc: &ConvDesc, weight: &Param) -> Result<Packed> {
        let (form, shape) = ((self.form)(desc), desc.weight_shape());
        match self.pack {
            Pack::Transform(pack) => weight.form(form, shape, |values| pack(desc, values)),
            Pack::Permutation { pack, restore } => {
                let desc = *desc;
                let restore = move |packed: &Packed| restore(&desc, packed.values());
                weight.permuted(form, shape, |values| pack(&desc, values), restore)
            }
        }
    }
}

/// What `$make` gives for the vectors of each instruction set that has some, and for those of
/// `$plain`; the four and the sixteen portable lanes are for tests.
macro_rules! on_vectors {
    ($make:ident $(, $plain:ty)?) => {
        [
            #[cfg(target_arch = "x86_64")]
            $make::<$crate::simd::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            $make::<$crate::simd::Avx2>(),
            #[cfg(test)]
            $make::<$crate::simd::Portable<16>>(),
            #[cfg(test)]
            $make::<$crate::simd::Portable<4>>(),
            $($make::<$plain>(),)?
        ]
    };
}
pub(super) use on_vectors;

/// As [`on_vectors`], and also for the portable eight lanes.
macro_rules! on_all {
    ($make:ident) => {
        $crate::kernels::conv::desc::on_vectors!($make, $crate::simd::Portable<8>)
    };
}
pub(super) use on_all;

/// Packs weights of any storage type in float32.
pub(super) fn pack_f32(
    desc: &ConvDesc,
    weights: Values<'_>,
    pack: fn(&ConvDesc, &[f32]) -> Result<AlignedBuf>,
) -> Result<Packed> {
    Ok(pack(desc, &weights.to_f32()?)?.into())
}
