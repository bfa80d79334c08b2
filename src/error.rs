//! The crate's only error type. A message says what was expected, what was found, where, and what
//! to do; `python::errors` maps each variant to a Python exception in one match.

use crate::tensor::Shape;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The advice for an error that is not the caller's fault.
const REPORT: &str = "this is a bug in rvision: please report it, with the model and the input's shape, at \
                      https://github.com/rvision/rvision/issues";

/// Everything that can go wrong below Python.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- shapes and attributes of a graph's nodes -------------------------------------
    /// A layer's parameter was made for another number of channels (or features).
    #[error("{node}: {param} expects {expected} input {unit}, got {found} (input {input})")]
    Channels {
        /// The node's name, such as `layer1.0.conv2`.
        node: String,
        /// The parameter that expects this.
        param: &'static str,
        /// `channels` or `features`.
        unit: &'static str,
        /// The number that the parameter was made for.
        expected: usize,
        /// What the input has.
        found: usize,
        /// The whole input.
        input: Shape,
    },
    /// An input of the wrong rank.
    #[error("{node}: expected {expected}, got a {}-d input {input}", input.rank())]
    Rank {
        /// The node's name.
        node: String,
        /// The expected input, in words: `a 4-d input (N, C, H, W)`.
        expected: &'static str,
        /// What came.
        input: Shape,
    },
    /// A window that is larger than the padded input.
    #[error(
        "{node}: kernel {kernel:?} (dilated: {extent:?}) is larger than the padded input {padded:?} \
         (input {input}); use a larger picture or more padding"
    )]
    WindowTooLarge {
        /// The node's name.
        node: String,
        /// Kernel height and width.
        kernel: [usize; 2],
        /// Kernel height and width with dilation.
        extent: [usize; 2],
        /// Height and width with padding.
        padded: [usize; 2],
        /// The input before padding.
        input: Shape,
    },
    /// Two inputs that cannot be combined.
    #[error("{node}: shapes {left} and {right} cannot be {operation}")]
    Mismatch {
        /// The node's name.
        node: String,
        /// `broadcast together`, `concatenated along dim 1`, ...
        operation: String,
        /// First shape.
        left: Shape,
        /// Second shape.
        right: Shape,
    },
    /// A value that is larger than any memory, or has more dimensions than a [`Shape`] supports.
    #[error(
        "{node}: the result would have {found}; rvision's values have at most 6 dimensions and fit memory"
    )]
    TooLarge {
        /// The node's name.
        node: String,
        /// Dimensions or sizes, in words.
        found: String,
    },
    /// A reshape that does not keep the number of elements.
    #[error("{node}: shape {input} has {} elements and cannot become {to:?}", input.numel())]
    Reshape {
        /// The node's name.
        node: String,
        /// The input.
        input: Shape,
        /// The requested shape, with -1 for the inferred dimension.
        to: Vec<i64>,
    },
    /// Requested sizes that do not fit the input.
    #[error("{node}: sizes must be {expected}, got {found:?}")]
    Sizes {
        /// The node's name.
        node: String,
        /// The rule.
        expected: String,
        /// The requested sizes, with -1 for a size that is inferred or kept.
        found: Vec<i64>,
    },
    /// An index out of a dimension's range.
    #[error("{node}: index {index} is out of range for dimension {dim} of {input}")]
    Index {
        /// The node's name.
        node: String,
        /// The index; a negative one counts from the end.
        index: i64,
        /// The dimension.
        dim: usize,
        /// The indexed value.
        input: Shape,
    },
    /// An attribute outside its range.
    #[error("{node}: {attribute} must be {expected}, got {found}")]
    Attribute {
        /// The node's name.
        node: String,
        /// The attribute, by torch's name.
        attribute: &'static str,
        /// The rule.
        expected: String,
        /// What came.
        found: String,
    },
    /// A parameter of the wrong shape.
    #[error("{node}: {param} must have shape {expected}, got {found}")]
    ParameterShape {
        /// The node's name.
        node: String,
        /// The parameter's name.
        param: &'static str,
        /// The rule, in words or numbers.
        expected: String,
        /// What came.
        found: Shape,
    },
    /// An input that the graph was not built for.
    #[error("{what}: expected {expected}, got {found}")]
    Input {
        /// Which input.
        what: String,
        /// The rule.
        expected: String,
        /// What came.
        found: String,
    },
    /// Something that torch supports and rvision does not (yet).
    #[error("{node}: {what} is not supported{advice}")]
    Unsupported {
        /// Where.
        node: String,
        /// What was asked for.
        what: String,
        /// Empty, or `; ` and what to do instead.
        advice: String,
    },

    // --- running ----------------------------------------------------------------------
    /// A kernel panicked on a worker thread; the pool stays usable.
    #[error("{step}: internal error while running: {message}; {REPORT}")]
    WorkerPanic {
        /// The plan's step.
        step: String,
        /// The panic's message.
        message: String,
    },
    /// A panic anywhere else.
    #[error("internal error: {message}; {REPORT}")]
    Panic {
        /// Its message.
        message: String,
    },
    /// The caller interrupted the run (Ctrl-C).
    #[error("the run was interrupted")]
    Interrupted,
    /// An environment variable with an invalid value.
    #[error("environment variable {variable}={value}: expected {expected}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The rule.
        expected: String,
    },
    /// The memory for a buffer could not be allocated.
    #[error("out of memory: {bytes} bytes for {what}; use a smaller picture or batch")]
    OutOfMemory {
        /// The requested size.
        bytes: usize,
        /// The purpose of the buffer.
        what: &'static str,
    },

    // --- weight files -----------------------------------------------------------------
    /// An error of the operating system for a file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file that is something other than weights, such as a web page saved by a failed download.
    #[error("{path}: this is {found}, not a weight file; {advice}")]
    NotWeights {
        /// The file.
        path: String,
        /// What it was recognised as, with an article.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A valid file without a state dict at the expected place.
    #[error("{path}: {found}; {advice}")]
    NoStateDict {
        /// The file.
        path: String,
        /// What was found instead.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A weight file that is inconsistent or truncated.
    #[error("{path}: {place}: {what}; the file is damaged or incomplete, fetch or save it again")]
    DamagedFile {
        /// The file.
        path: String,
        /// A record's name, an offset, a tensor's key.
        place: String,
        /// What was expected there and what was found.
        what: String,
    },
    /// A pickle that uses Python objects other than tensors and containers.
    #[error(
        "{path}: {place} is `{global}`, which rvision does not know and will not run \
         (weight files are read as data); {advice}"
    )]
    RefusedGlobal {
        /// The file.
        path: String,
        /// The place of the object, such as the whole file or one entry.
        place: String,
        /// Module and name, as in the pickle.
        global: String,
        /// What to do.
        advice: &'static str,
    },
    /// A weight file that requests more memory or values than a valid file needs.
    #[error(
        "{path}: {what}: {found}, and at most {limit} is read from such a file; it is damaged or hostile"
    )]
    FileLimit {
        /// The file.
        path: String,
        /// The quantity, and what it belongs to.
        what: String,
        /// How much the file requests.
        found: String,
        /// The limit.
        limit: String,
    },
    /// A weight file whose format or content rvision does not support.
    #[error("{path}: {what} is not supported; {advice}")]
    UnsupportedFile {
        /// The file.
        path: String,
        /// What was found.
        what: String,
        /// What to do.
        advice: &'static str,
    },
}
