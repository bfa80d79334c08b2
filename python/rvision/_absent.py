"""Names of `torch` and `torchvision` that the package does not have, and what to do instead.

Those of `torch.nn` are in `rvision/nn/_absent.py`. The list in `docs/from-torchvision.md` is written from
this one by `tests/python/test_torch_names.py`.
"""

from __future__ import annotations

__all__ = ["ABSENT", "message"]

# The names, and the text after the colon of the error message.
ABSENT = (
    (
        "jit compile fx export package",
        "there is nothing to compile, since a network is traced when it first runs; call the model",
    ),
    (
        "optim enable_grad grad vmap func distributions",
        "rvision is for inference and computes no gradients; train in torch, and load the weights here",
    ),
    (
        "amp autocast bfloat16 get_autocast_dtype set_float32_matmul_precision",
        "activations are float32; model.half() stores the weights in float16",
    ),
    (
        "ao quantization quantize_per_tensor qint8 quint8 qint32",
        "networks with integers are not supported; model.half() halves the weights",
    ),
    (
        "distributed multiprocessing",
        "one process uses all its processors; see rvision.set_num_threads",
    ),
    ("set_num_interop_threads get_num_interop_threads", "see rvision.set_num_threads"),
    ("mps xpu accelerator Stream Event", "there is no device but the CPU"),
    ("onnx", "rvision reads PyTorch's weight files; convert to ONNX in torch"),
    (
        "complex64 complex128 cfloat cdouble chalf complex view_as_real view_as_complex",
        "there are no complex numbers; compute with NumPy's",
    ),
    (
        "sparse sparse_coo_tensor nested strided channels_last contiguous_format preserve_format",
        "arrays are dense and contiguous",
    ),
    (
        "tv_tensors set_image_backend get_image_backend set_video_backend get_video_backend",
        "pictures are Pillow images or arrays (C, H, W), and there are no videos",
    ),
    (
        "FloatTensor DoubleTensor HalfTensor LongTensor IntTensor ByteTensor BoolTensor",
        "use rvision.tensor(data, dtype=...)",
    ),
    ("set_default_tensor_type set_default_dtype set_default_device", "tensors are float32, on the CPU"),
    ("bmm mm mv dot einsum tensordot", "networks have matmul, also as @; arrays are NumPy's, see np.einsum"),
)

# The same for torchvision's packages.
OF_TORCHVISION = {
    "transforms": (
        (
            "v2",
            "torchvision's first transforms are here, which give the same for pictures; leave v2 out",
        ),
        (
            """
            AugMix AutoAugment AutoAugmentPolicy ColorJitter ElasticTransform GaussianBlur RandAugment
            RandomAdjustSharpness RandomAffine RandomApply RandomAutocontrast RandomChoice RandomEqualize
            RandomErasing RandomGrayscale RandomInvert RandomOrder RandomPerspective RandomPosterize
            RandomResizedCrop RandomRotation RandomSolarize RandomVerticalFlip TrivialAugmentWide
            """,
            "it is for training; AlexNet's augmentation is here (RandomCrop, RandomHorizontalFlip, Lighting)",
        ),
        ("LinearTransformation", "use transforms.Lambda"),
    ),
    "datasets": (
        (
            """
            CIFAR10 CIFAR100 Caltech101 Caltech256 CelebA Cityscapes CocoCaptions CocoDetection DTD EMNIST
            EuroSAT FGVCAircraft FashionMNIST Flowers102 Food101 GTSRB ImageNet Imagenette KMNIST LSUN MNIST
            OxfordIIITPet PCAM Places365 QMNIST STL10 SUN397 SVHN StanfordCars USPS VOCDetection
            VOCSegmentation
            """,
            "no datasets are downloaded; give pictures in class folders to datasets.ImageFolder, or "
            "torchvision's dataset to rvision.utils.data.DataLoader",
        ),
    ),
    "models": (
        (
            "detection segmentation",
            "there are classification networks only; rvision.dense finds where on a picture a class is",
        ),
        ("video optical_flow", "there are networks for pictures only"),
        ("quantization", "there are no networks with integers; model.half() halves the weights"),
    ),
}

_PAGE = "docs/from-torchvision.md lists what is different from torch"


def message(name: str) -> str:
    """Return the message for a name that the package does not have."""
    import numpy as np

    for names, reason in ABSENT:
        if name in names.split():
            return f"rvision has no {name!r}: {reason} ({_PAGE})"
    if not name.startswith("_") and callable(getattr(np, name, None)):
        return f"rvision has no {name!r}: tensors are NumPy arrays, so use np.{name} ({_PAGE})"
    return f"rvision has no {name!r}: {_PAGE}"


def of_torchvision(package: str, name: str) -> str:
    """Return the message for a name that a package of torchvision's name does not have."""
    for names, reason in OF_TORCHVISION[package]:
        if name in names.split():
            return f"rvision has no {package}.{name}: {reason}"
    return f"module 'rvision.{package}' has no attribute {name!r}"
