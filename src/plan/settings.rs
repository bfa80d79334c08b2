//! The settings by which a network's kernels are chosen, from the environment.

use crate::error::{Error, Result};
use crate::kernels::conv;
use crate::simd::Isa;

/// Forces the convolution kernel of that name wherever it accepts.
const FORCE_VARIABLE: &str = "RVISION_CONV";

/// The settings by which kernels are chosen, besides shapes and threads. They are fixed once for
/// each network and are part of the key of its plans; kernels do not read the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The instruction set.
    pub isa: Isa,
    /// The name of a convolution kernel that is used wherever it accepts. Convolutions are then not
    /// fused.
    pub forced: Option<&'static str>,
}

impl Settings {
    /// The settings in the environment now. The instruction set is the process's, which is read
    /// only once.
    ///
    /// # Errors
    /// [`Error::Environment`] if a variable's value is unknown, or names a missing instruction set.
    pub fn from_environment() -> Result<Self> {
        let forced = std::env::var_os(FORCE_VARIABLE);
        let forced = forced.map(|name| forced_kernel(&name.to_string_lossy())).transpose()?;
        Ok(Self { isa: Isa::current()?, forced })
    }
}

/// The name of the candidate with this name, from the list.
fn forced_kernel(name: &str) -> Result<&'static str> {
    let known = conv::candidates().find(|candidate| candidate.name == name);
    known.map(|candidate| candidate.name).ok_or_else(|| {
        let names: Vec<_> = conv::candidates().map(|candidate| candidate.name).collect();
        Error::Environment {
            variable: FORCE_VARIABLE,
            value: name.to_owned(),
            expected: format!("one of {}", names.join(", ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_kernel_is_one_of_the_list() {
        for candidate in conv::candidates() {
            assert_eq!(forced_kernel(candidate.name).unwrap(), candidate.name);
        }
        let error = forced_kernel("f32_magic").unwrap_err().to_string();
        assert!(
            error.starts_with("environment variable RVISION_CONV=f32_magic: expected one of "),
            "{error}"
        );
        assert!(error.contains("f32_im2col_matrixmultiply"), "{error}");
    }
}
