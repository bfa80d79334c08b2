"""Published files: their cache and downloads; and `torch.hub.load` of torchvision's networks.

Files are stored in and taken from torch's own cache. Environment variables:

============================ ==========================================================================
`TORCH_HOME`                 the cache's folder (`$XDG_CACHE_HOME/torch`, `~/.cache/torch`)
`RVISION_OFFLINE`            1: use what is there, never the network
`RVISION_MIRROR`             base addresses to use instead of `https://download.pytorch.org/models`
`RVISION_DOWNLOAD_TIMEOUT`   seconds without data after which a connection counts as stalled (30)
`SSL_CERT_FILE`              certificates to trust
`http_proxy`, `https_proxy`  proxies, as everywhere
============================ ==========================================================================
"""

from __future__ import annotations

import re
from typing import Any

import rvision.weights  # noqa: F401  (the package before its submodules, for threads)
from rvision._frames import ends_at_caller
from rvision.errors import ArgumentError, DownloadError, UnsupportedError
from rvision.weights._cache import get_dir, set_dir
from rvision.weights._fetch import cached_file, download_url_to_file, load_state_dict_from_url, local_file

__all__ = [
    "DownloadError",
    "cached_file",
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "local_file",
    "set_dir",
]

# The repository whose networks rvision has, with any tag or branch.
_REPOSITORY = re.compile(r"(https?://github\.com/)?pytorch/vision(\.git)?(:.+)?/?", re.IGNORECASE)


@ends_at_caller
def load(repo_or_dir: str, model: str, *args: Any, **kwargs: Any) -> Any:
    """Make one of torchvision's networks: `torch.hub.load` of the repository pytorch/vision.

    Nothing is downloaded but weights: the networks are rvision's own, whatever the tag.

    Parameters
    ----------
    repo_or_dir : str
        "pytorch/vision", also with a tag ("pytorch/vision:v0.10.0").
    model : str
        A name of `rvision.models.list_models()`.
    *args, **kwargs
        For the network's builder: `weights`, or `pretrained` as in old versions, which means the first
        weights published. `source` must be "github"; `trust_repo`, `force_reload`, `skip_validation` and
        `verbose` have no effect, since no code is downloaded.

    Returns
    -------
    Module

    Raises
    ------
    UnsupportedError
        For another repository: its networks are code, which rvision does not download.
    ValueError
        If there is no such network.

    Examples
    --------
    >>> import rvision
    >>> model = rvision.hub.load("pytorch/vision:v0.10.0", "resnet18", weights=None)
    """
    source = kwargs.pop("source", "github")
    _check_repository(repo_or_dir, source)
    for name in ("trust_repo", "force_reload", "skip_validation", "verbose"):
        kwargs.pop(name, None)
    from rvision.models import get_model_builder

    return get_model_builder(model)(*args, **kwargs)


@ends_at_caller
def list(github: str, force_reload: bool = False, **options: Any) -> Any:
    """Return the names of the networks of "pytorch/vision" that rvision has: `torch.hub.list`.

    `force_reload` and the other options of torch have no effect, since no code is downloaded.

    Raises
    ------
    UnsupportedError
        For another repository.
    """
    _check_repository(github)
    from rvision.models import list_models

    return list_models()


@ends_at_caller
def help(github: str, model: str, force_reload: bool = False, **options: Any) -> Any:
    """Return the description of a network of "pytorch/vision": `torch.hub.help`.

    `force_reload` and the other options of torch have no effect, since no code is downloaded.

    Raises
    ------
    UnsupportedError
        For another repository.
    ValueError
        If there is no such network.
    """
    _check_repository(github)
    from rvision.models import get_model_builder

    return get_model_builder(model).__doc__


def _check_repository(name: Any, source: str = "github") -> None:
    if source not in ("github", "local"):
        raise ArgumentError(f"hub: source must be 'github', got {source!r}")
    if source == "github" and isinstance(name, str) and _REPOSITORY.fullmatch(name):
        return
    raise UnsupportedError(
        f"hub: {name!r} is not pytorch/vision, the one repository whose networks rvision has; it does not "
        "download or run code. rvision.models.list_models() lists the networks; weights of another "
        "repository can be loaded into one: rvision.models.get_model(name, weights=FILE), and its address "
        "with rvision.hub.load_state_dict_from_url"
    )
