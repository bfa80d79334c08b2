"""Datasets, samplers and the loader of batches: `torch.utils.data` for inference."""

from rvision.utils.data._collate import default_collate
from rvision.utils.data._datasets import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from rvision.utils.data._loader import DataLoader
from rvision.utils.data._samplers import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]
