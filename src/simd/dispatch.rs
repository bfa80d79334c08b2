//! Which instruction sets this machine has, how one is chosen, and entering it.

use std::sync::OnceLock;

use super::{Isa, MOST_LANES, Portable, Simd, Vectorized};
use crate::error::{Error, Result};

/// Limits the instruction set: `portable`, `avx2` or `avx512`.
const ISA_VARIABLE: &str = "RVISION_ISA";
/// Makes a missing instruction set an error instead of a fallback, so that a test run cannot
/// silently leave out what it is there for.
const REQUIRE_VARIABLE: &str = "RVISION_REQUIRE_ISA";

impl Isa {
    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Portable4 | Self::Portable16 => cfg!(test),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::Avx512::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Those this processor has.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The instruction set that plans use: the best this processor has, limited by `RVISION_ISA`.
    ///
    /// # Errors
    /// [`Error::Environment`] if a variable's value is unknown, or names a missing instruction set.
    pub fn current() -> Result<Self> {
        static CURRENT: OnceLock<Isa> = OnceLock::new();
        if let Some(&isa) = CURRENT.get() {
            return Ok(isa);
        }
        let limit = Self::from_variable(ISA_VARIABLE)?;
        let required = Self::from_variable(REQUIRE_VARIABLE)?;
        let chosen = match limit {
            Some(isa) if isa.is_available() => isa,
            // A limit is an upper bound: `avx512` on a machine without it means the best there is.
            Some(Self::Avx512) if Self::Avx2.is_available() => Self::Avx2,
            Some(_) => Self::Portable,
            None => Self::default_choice(),
        };
        if let Some(required) = required
            && required != chosen
        {
            return Err(Error::Environment {
                variable: REQUIRE_VARIABLE,
                value: required.name().into(),
                expected: format!("the instruction set in use, which is {}", chosen.name()),
            });
        }
        Ok(*CURRENT.get_or_init(|| chosen))
    }

    /// The widest this processor has. AVX-512 gained 10 to 30 % over AVX2 on Zen 4, where both
    /// multiply equally fast: twice the registers leave Winograd's transforms without spills.
    fn default_choice() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    fn from_variable(variable: &'static str) -> Result<Option<Self>> {
        let Some(value) = std::env::var_os(variable) else { return Ok(None) };
        let value = value.to_string_lossy().into_owned();
        match Self::ALL.into_iter().find(|isa| isa.name() == value) {
            Some(isa) => Ok(Some(isa)),
            None => Err(Error::Environment { variable, value, expected: "portable, avx2 or avx512".into() }),
        }
    }

    /// Run `work` with this instruction set's vectors.
    ///
    /// # Panics
    /// If the processor does not have it.
    #[inline]
    pub fn dispatch<V: Vectorized>(self, work: V) -> V::Output {
        match self {
            Self::Portable => Portable::<8>.call(work),
            #[cfg(test)]
            Self::Portable4 => Portable::<4>.call(work),
            #[cfg(test)]
            Self::Portable16 => Portable::<16>.call(work),
            #[cfg(not(test))]
            Self::Portable4 | Self::Portable16 => panic!("{} is for the crate's own tests", self.name()),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => super::Avx2::new().expect("AVX2 and FMA").call(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => super::Avx512::new().expect("AVX-512").call(work),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => panic!("{} is not of this architecture", self.name()),
        }
    }
}

/// A token has the lanes of its instruction set, and its vectors are such as the kernels can use.
const fn check<S: Simd>() {
    assert!(S::LANES == S::ISA.lanes());
    assert!(S::LANES.is_multiple_of(4) && S::LANES <= MOST_LANES);
    assert!(S::LANES.is_multiple_of(S::BLOCK));
}

const _: () = {
    check::<Portable<4>>();
    check::<Portable<8>>();
    check::<Portable<16>>();
    #[cfg(target_arch = "x86_64")]
    check::<super::Avx2>();
    #[cfg(target_arch = "x86_64")]
    check::<super::Avx512>();
};
