"""torch.backends, as far as inference code sets it. The settings have no effect: rvision is deterministic."""

from __future__ import annotations

from types import SimpleNamespace

__all__ = ["cudnn", "mkldnn", "mps"]

cudnn = SimpleNamespace(
    benchmark=False, deterministic=True, enabled=False, is_available=lambda: False, version=lambda: None
)
"""Settings of cuDNN, which is not used."""

mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
"""Apple's GPUs, which are not used."""

mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
"""oneDNN, which is not used."""
