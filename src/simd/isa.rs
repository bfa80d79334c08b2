//! The instruction sets that there are.

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust, eight lanes, as the compiler vectorises it for the baseline processor.
    Portable,
    /// Plain Rust, sixteen lanes: runs the tile code of AVX-512 on any machine. It exists in the
    /// crate's own tests only, because it would double the compile time of everything else.
    Portable16,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// All instruction sets, from the simplest to the widest.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Portable16, Self::Avx2, Self::Avx512];

    /// The name used in kernels' names and in the environment variables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Portable16 => "portable16",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Floats in one vector.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 8,
            Self::Portable16 | Self::Avx512 => 16,
        }
    }
}
