//! How many threads this process may use.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// The caller's number among the workers.
pub(super) const CALLER: usize = 0;

pub(super) const VARIABLE: &str = "RVISION_NUM_THREADS";

const OPENMP: &str = "OMP_NUM_THREADS";

/// The largest number of threads. More would be a mistake, and rayon's own limit is not far above.
const MOST: usize = 1024;

/// What the user has set; 0 if nothing. It survives a fork on purpose.
static SET: AtomicUsize = AtomicUsize::new(0);

pub(super) fn set(threads: usize) -> Result<()> {
    if threads == 0 || threads > MOST {
        return Err(Error::Attribute {
            node: "set_num_threads".into(),
            attribute: "n",
            expected: format!("between 1 and {MOST}"),
            found: threads.to_string(),
        });
    }
    SET.store(threads, Ordering::Relaxed);
    Ok(())
}

/// The number that has been set, else the environment's, else the default.
pub(super) fn wanted() -> Result<usize> {
    match SET.load(Ordering::Relaxed) {
        0 => Ok(ours()?.or_else(openmp).unwrap_or_else(default_count)),
        set => Ok(set),
    }
}

/// `RVISION_NUM_THREADS`. A wrong value is an error, because the variable is for rvision only.
fn ours() -> Result<Option<usize>> {
    // A value that is not valid Unicode is a wrong value, not a missing one.
    let Some(value) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let value = value.to_string_lossy().into_owned();
    match value.trim().parse() {
        Ok(n @ 1..=MOST) => Ok(Some(n)),
        _ => Err(Error::Environment {
            variable: VARIABLE,
            value,
            expected: format!("a number between 1 and {MOST}"),
        }),
    }
}

/// `OMP_NUM_THREADS`, by which Ray, Dask, Spark and joblib tell a worker its share of the machine.
fn openmp() -> Option<usize> {
    first_level(&std::env::var(OPENMP).ok()?)
}

/// The first number of a list in the format of `OMP_NUM_THREADS`: one number for each level of
/// nesting, of which there is only one here. Anything else is ignored, as in OpenMP itself.
fn first_level(list: &str) -> Option<usize> {
    let mut numbers = list.split(',').map(|number| number.trim().parse::<usize>());
    let first = numbers.next()?.ok().filter(|&n| n > 0)?;
    numbers.all(|number| number.is_ok_and(|n| n > 0)).then_some(first.min(MOST))
}

/// The physical cores within the affinity mask, at most the cgroup's quota rounded down, at least
/// one. Two hardware threads of one core share its multipliers, so the second one gains nothing.
fn default_count() -> usize {
    // The standard library reads the affinity and the quotas of cgroup v1 and v2.
    let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    physical_cores().map_or(allowed, |cores| cores.min(allowed)).clamp(1, MOST)
}

/// The number of distinct cores among the processors that this thread may run on.
#[cfg(target_os = "linux")]
fn physical_cores() -> Option<usize> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the given size into the set.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return None;
    }
    let mut cores = std::collections::HashSet::new();
    for cpu in 0..libc::CPU_SETSIZE as usize {
        // SAFETY: cpu is below CPU_SETSIZE.
        if unsafe { libc::CPU_ISSET(cpu, &set) } {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            cores.insert(std::fs::read_to_string(path).ok()?);
        }
    }
    (!cores.is_empty()).then_some(cores.len())
}

#[cfg(not(target_os = "linux"))]
fn physical_cores() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::{MOST, first_level};

    #[test]
    fn the_first_number_of_a_list() {
        for (list, expected) in [("3", 3), (" 3 ", 3), ("2,1", 2), (" 4 , 2 , 1 ", 4), ("100000", MOST)] {
            assert_eq!(first_level(list), Some(expected), "{list:?}");
        }
        for list in
            ["", " ", "0", "-1", "two", "3.5", ",2", "2,", "2,x", "2,0", "0,2", "99999999999999999999999"]
        {
            assert_eq!(first_level(list), None, "{list:?}");
        }
    }
}
