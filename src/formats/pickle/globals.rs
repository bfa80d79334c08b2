//! The functions and classes that a pickle may name, and how each is handled.

use crate::formats::value::Dtype;

/// The meaning of a known global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// `dict`, `OrderedDict`, `Counter`: called with no argument, a dict or pairs.
    Dict,
    /// `defaultdict`: the first argument is the factory.
    DefaultDict,
    List,
    Tuple,
    Set,
    /// `torch._utils._rebuild_tensor` (before 0.4) and `_v2`: storage, offset, size, stride, ...
    RebuildTensor,
    /// `_rebuild_tensor_v3`: the dtype is an argument.
    RebuildTensorV3,
    /// `_rebuild_parameter`, `Parameter` and `Variable`: the tensor is the first argument.
    FirstArgument,
    /// `torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`.
    RebuildFromType,
    /// A storage class; `None` for the untyped one.
    Storage(Option<Dtype>),
    /// A tensor class; it is only named, never called.
    TensorClass,
    /// `torch.device`, `_get_layout`: represented by their first argument.
    Named,
    /// A constant such as `torch.float32`.
    Constant,
    /// A `torch.dtype`.
    Dtype(Dtype),
    /// `_codecs.encode(text, 'latin1')`: how protocol 2 writes bytes.
    Encode,
    NumpyScalar,
    NumpyReconstruct,
    NumpyArray,
    NumpyDtype,
    /// A kind of tensor that is not supported.
    Unreadable(&'static str),
}

/// How to handle a global.
pub(super) enum Verdict {
    Known(Known),
    /// Never called; what would have come of it is opaque.
    Opaque,
    /// No program that saves weights names this: the file is refused.
    Hostile,
}

/// Modules whose functions run programs, access files or load code.
const HOSTILE_MODULES: &[&str] = &[
    "_posixsubprocess",
    "asyncio",
    "bdb",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "doctest",
    "ftplib",
    "http",
    "httplib",
    "idlelib",
    "imp",
    "importlib",
    "marshal",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "pip",
    "platform",
    "popen2",
    "posix",
    "profile",
    "cProfile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "shutil",
    "site",
    "smtplib",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "timeit",
    "trace",
    "urllib",
    "urllib2",
    "webbrowser",
];

const HOSTILE_BUILTINS: &[&str] = &[
    "__import__",
    "apply",
    "breakpoint",
    "compile",
    "delattr",
    "eval",
    "exec",
    "execfile",
    "file",
    "globals",
    "input",
    "locals",
    "open",
    "raw_input",
    "reload",
    "setattr",
    "vars",
];

pub(super) fn verdict(module: &str, name: &str) -> Verdict {
    if let Some(known) = known(module, name) {
        return Verdict::Known(known);
    }
    let root = module.split('.').next().unwrap_or(module);
    let builtin = matches!(root, "builtins" | "__builtin__");
    // `builtins.eval.__call__` is `eval` too.
    let first = name.split('.').next().unwrap_or(name);
    if HOSTILE_MODULES.contains(&root)
        || (builtin && HOSTILE_BUILTINS.contains(&first))
        || (root == "torch" && matches!(name, "load" | "hub.load"))
        || matches!(module, "torch.hub" | "torch.serialization" | "torch.utils.cpp_extension")
        || name.split('.').any(|part| matches!(part, "__globals__" | "__builtins__" | "__subclasses__"))
    {
        return Verdict::Hostile;
    }
    Verdict::Opaque
}

fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict" | "Counter") | ("builtins" | "__builtin__", "dict") => Known::Dict,
        ("collections", "defaultdict") => Known::DefaultDict,
        ("builtins" | "__builtin__", "list") => Known::List,
        ("builtins" | "__builtin__", "tuple") | ("torch", "Size") => Known::Tuple,
        ("builtins" | "__builtin__", "set" | "frozenset") => Known::Set,
        ("builtins" | "__builtin__", "int" | "float" | "bool" | "str") => Known::Constant,

        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Known::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
        | ("torch.nn.parameter", "Parameter" | "Buffer")
        | ("torch.autograd.variable", "Variable") => Known::FirstArgument,
        ("torch._tensor", "_rebuild_from_type_v2" | "_rebuild_from_type") => Known::RebuildFromType,
        ("torch._utils", "_rebuild_qtensor") => Known::Unreadable("a quantised tensor"),
        ("torch._utils", "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor") => {
            Known::Unreadable("a sparse tensor")
        }
        ("torch._utils", "_rebuild_nested_tensor") => Known::Unreadable("a nested tensor"),
        ("torch._utils", "_rebuild_meta_tensor_no_storage") => {
            Known::Unreadable("a meta tensor, which has no data")
        }
        ("torch._utils", "_rebuild_device_tensor_from_numpy" | "_rebuild_device_tensor_from_cpu_tensor") => {
            Known::Unreadable("a tensor of another device")
        }
        ("torch._utils", "_rebuild_wrapper_subclass") => Known::Unreadable("a tensor subclass"),
        ("torch.serialization", "_get_layout") | ("torch", "device") => Known::Named,
        ("torch.storage", "UntypedStorage" | "_UntypedStorage") | ("torch", "UntypedStorage") => {
            Known::Storage(None)
        }
        ("torch", "Tensor") => Known::TensorClass,
        ("torch" | "torch.cuda", _) => return torch_name(name),

        ("_codecs", "encode") => Known::Encode,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Known::NumpyScalar,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Known::NumpyReconstruct,
        ("numpy", "ndarray") => Known::NumpyArray,
        ("numpy", "dtype") => Known::NumpyDtype,
        _ => return None,
    })
}

/// Storage classes, tensor classes, dtypes and other constants of the module `torch`.
fn torch_name(name: &str) -> Option<Known> {
    if let Some(class) = name.strip_suffix("Storage") {
        return storage_class(class).map(|dtype| Known::Storage(Some(dtype)));
    }
    if let Some(class) = name.strip_suffix("Tensor") {
        return storage_class(class).map(|_| Known::TensorClass);
    }
    if let Some(dtype) = dtype(name) {
        return Some(Known::Dtype(dtype));
    }
    matches!(name, "strided" | "contiguous_format" | "preserve_format" | "channels_last" | "channels_last_3d")
        .then_some(Known::Constant)
}

fn storage_class(class: &str) -> Option<Dtype> {
    Some(match class {
        "Float" => Dtype::F32,
        "Double" => Dtype::F64,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Char" => Dtype::I8,
        "Short" => Dtype::I16,
        "Int" => Dtype::I32,
        "Long" => Dtype::I64,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
        "ComplexFloat" => other("complex64", 8),
        "ComplexDouble" => other("complex128", 16),
        "QInt8" => other("qint8", 1),
        "QUInt8" => other("quint8", 1),
        "QUInt4x2" => other("quint4x2", 1),
        "QUInt2x4" => other("quint2x4", 1),
        "QInt32" => other("qint32", 4),
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<Dtype> {
    Dtype::from_name(name).or_else(|| {
        Some(match name {
            "complex32" => other("complex32", 4),
            "complex64" => other("complex64", 8),
            "complex128" => other("complex128", 16),
            "float8_e4m3fn" => other("float8_e4m3fn", 1),
            "float8_e4m3fnuz" => other("float8_e4m3fnuz", 1),
            "float8_e5m2" => other("float8_e5m2", 1),
            "float8_e5m2fnuz" => other("float8_e5m2fnuz", 1),
            "float8_e8m0fnu" => other("float8_e8m0fnu", 1),
            _ => return None,
        })
    })
}

const fn other(name: &'static str, size: usize) -> Dtype {
    Dtype::Other { name, size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_code_is_hostile() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("__builtin__", "exec"),
            ("builtins", "eval.__call__"),
            ("torch.serialization", "load"),
            ("torch", "load"),
            ("importlib", "import_module"),
            ("mod", "f.__globals__"),
        ] {
            assert!(matches!(verdict(module, name), Verdict::Hostile), "{module}.{name}");
        }
    }

    #[test]
    fn what_stands_beside_weights_is_opaque() {
        for (module, name) in [
            ("argparse", "Namespace"),
            ("torch.optim.sgd", "SGD"),
            ("torchvision.models.resnet", "ResNet"),
            ("builtins", "getattr"),
            ("pathlib", "PosixPath"),
        ] {
            assert!(matches!(verdict(module, name), Verdict::Opaque), "{module}.{name}");
        }
    }

    #[test]
    fn torch_names() {
        assert_eq!(known("torch", "FloatStorage"), Some(Known::Storage(Some(Dtype::F32))));
        assert_eq!(known("torch.cuda", "HalfStorage"), Some(Known::Storage(Some(Dtype::F16))));
        assert_eq!(known("torch", "bfloat16"), Some(Known::Dtype(Dtype::BF16)));
        assert_eq!(known("torch", "FloatTensor"), Some(Known::TensorClass));
        assert_eq!(known("torch", "compile"), None);
    }
}
