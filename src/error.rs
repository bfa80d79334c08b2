//! The one error of the crate. A message says what was expected, what was found, where,
//! and what to do; `python::errors` maps each variant to a Python exception in one match.

use crate::tensor::Shape;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What to do about an error that is not the caller's.
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
        /// Which parameter says so.
        param: &'static str,
        /// `channels` or `features`.
        unit: &'static str,
        /// What the parameter was made for.
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
        /// In words: `a 4-d input (N, C, H, W)`.
        expected: &'static str,
        /// What came.
        input: Shape,
    },
    /// A window that does not fit the padded input even once.
    #[error(
        "{node}: kernel {kernel:?} (dilated: {extent:?}) is larger than the padded input {padded:?} \
         (input {input}); use a larger picture or more padding"
    )]
    WindowTooLarge {
        /// The node's name.
        node: String,
        /// Kernel height and width.
        kernel: [usize; 2],
        /// The same with dilation.
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
    /// A value larger than memory can be, or of more dimensions than a [`Shape`] has.
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
        /// The asked-for shape, with -1 for the inferred dimension.
        to: Vec<i64>,
    },
    /// Asked-for sizes that do not fit the input's.
    #[error("{node}: sizes must be {expected}, got {found:?}")]
    Sizes {
        /// The node's name.
        node: String,
        /// The rule.
        expected: String,
        /// What was asked for, with -1 for a size that is inferred or kept.
        found: Vec<i64>,
    },
    /// An index that a dimension does not have.
    #[error("{node}: index {index} is out of range for dimension {dim} of {input}")]
    Index {
        /// The node's name.
        node: String,
        /// The index, negative from the end.
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
    /// Something torch can do that rvision cannot (yet).
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
    /// The caller asked to stop (Ctrl-C).
    #[error("the run was interrupted")]
    Interrupted,
    /// An environment variable that cannot be used as it is.
    #[error("environment variable {variable}={value}: expected {expected}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The rule.
        expected: String,
    },
    /// The memory for a buffer could not be had.
    #[error("out of memory: {bytes} bytes for {what}; use a smaller picture or batch")]
    OutOfMemory {
        /// Size of the request.
        bytes: usize,
        /// What for.
        what: &'static str,
    },

    // --- weight files -----------------------------------------------------------------
    /// The operating system's word on a file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that is something other than weights, such as a web page saved by a failed download.
    #[error("{path}: this is {found}, not a weight file; {advice}")]
    NotWeights {
        /// The file.
        path: String,
        /// What it was recognised as, with its article.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A sound file without a state dict where one was looked for.
    #[error("{path}: {found}; {advice}")]
    NoStateDict {
        /// The file.
        path: String,
        /// What is there instead.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A weight file whose content contradicts itself or ends too early.
    #[error("{path}: {place}: {what}; the file is damaged or incomplete, fetch or save it again")]
    DamagedFile {
        /// The file.
        path: String,
        /// A record's name, an offset, a tensor's key.
        place: String,
        /// What was expected there and what was found.
        what: String,
    },
    /// A pickle that wants to use a Python object other than tensors and containers.
    #[error(
        "{path}: {place} is `{global}`, which rvision does not know and will not run \
         (weight files are read as data); {advice}"
    )]
    RefusedGlobal {
        /// The file.
        path: String,
        /// What the object would have been, such as the whole file or one entry.
        place: String,
        /// Module and name, as in the pickle.
        global: String,
        /// What to do.
        advice: &'static str,
    },
    /// A weight file that asks for more than it can honestly need.
    #[error(
        "{path}: {what}: {found}, and at most {limit} is read from such a file; it is damaged or hostile"
    )]
    FileLimit {
        /// The file.
        path: String,
        /// Which quantity, and of what.
        what: String,
        /// How much the file asks for.
        found: String,
        /// The bound.
        limit: String,
    },
    /// A weight file of a kind, or with content, that rvision does not read.
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
