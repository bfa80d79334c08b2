//! The instruction sets that there are.

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust, eight lanes, as the compiler vectorises it for the baseline processor.
    Portable,
    /// Plain Rust, four lanes: runs what a processor with vectors of four floats would run. It
    /// exists in the crate's own tests only, because each set of vectors adds its share to the
    /// compile time of all kernels.
    Portable4,
    /// Plain Rust, sixteen lanes: runs the tile code of AVX-512 on any machine. In tests only, as
    /// [`Self::Portable4`].
    Portable16,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// All instruction sets, from the simplest to the widest.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Portable4, Self::Portable16, Self::Avx2, Self::Avx512];

    /// The name used in kernels' names and in the environment variables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Portable4 => "portable4",
            Self::Portable16 => "portable16",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Floats in one vector.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable4 => 4,
            Self::Portable | Self::Avx2 => 8,
            Self::Portable16 | Self::Avx512 => 16,
        }
    }

    /// Architectural vector registers: how many a tile may use before it spills. The portable
    /// vectors have those of the processors whose code they stand for.
    pub const fn registers(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 16,
            Self::Portable4 | Self::Portable16 | Self::Avx512 => 32,
        }
    }

    /// The one with vectors of half the size, if there is one: for groups of channels that do not
    /// fill its own.
    pub const fn narrower(self) -> Option<Self> {
        match self {
            Self::Avx512 => Some(Self::Avx2),
            Self::Portable16 => Some(Self::Portable),
            Self::Portable | Self::Portable4 | Self::Avx2 => None,
        }
    }
}
