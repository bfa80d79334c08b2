"""The location of weight files on this machine, and the check that they match their names.

The folder is torch's own, so torch and rvision use each other's downloads. A file's name contains
the first digits of its SHA-256 (`resnet50-0676ba61.pth`). Comparing takes a few tenths of a second,
so a file is compared once and remembered by path, size, and the times of its last change of content
(mtime) and of its inode (ctime): ctime also changes if another file with the same mtime replaces
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from rvision.errors import DownloadError

# torch.hub's rule, which guarantees eight digits or more.
_HASH = re.compile(r"-([a-f0-9]{8,})\.")
_BLOCK = 1 << 20

# The package URL of rvision's own files; it is followed by the path in the package.
OWN = "pkg:pypi/rvision#rvision/"

_chosen_dir: str | None = None


def get_dir() -> str:
    """Return the folder for downloads, as `torch.hub.get_dir`; weights are in its `checkpoints`.

    It is the folder set by `set_dir`, or `$TORCH_HOME/hub`. `$TORCH_HOME` is
    `$XDG_CACHE_HOME/torch` unless set, and `$XDG_CACHE_HOME` is `~/.cache`.
    """
    if _chosen_dir is not None:
        return _chosen_dir
    home = os.environ.get("TORCH_HOME") or _user_cache() / "torch"
    return str(Path(home).expanduser() / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Set the folder for downloads in this process (`torch.hub.set_dir`)."""
    global _chosen_dir
    _chosen_dir = str(Path(d).expanduser())


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def own_folder() -> Path:
    """Return the folder for what rvision records about this machine, whether it exists yet or not."""
    return _user_cache() / "rvision"


def expected_hash(file_name: str) -> str | None:
    """Return the first digits of the SHA-256 in a file's name, or None."""
    match = _HASH.search(file_name)
    return match.group(1) if match else None


def location(url: str, model_dir: str | os.PathLike[str] | None = None, file_name: str | None = None) -> Path:
    """Return the path of an address's file, whether it exists yet or not.

    Raises
    ------
    DownloadError
        If it belongs to a Python package that is not installed.
    """
    if url.startswith(OWN):
        # Also works in a checkout, which is not an installed package; the file is bundled with this
        # one.
        return Path(__file__).parents[1] / url.removeprefix(OWN)
    if url.startswith("pkg:pypi/"):
        return _packaged(url)
    if file_name is None:
        file_name = Path(unquote(urlsplit(url).path)).name
        if not file_name:
            raise DownloadError(f"{url} names no file")
    folder = Path(get_dir()) / "checkpoints" if model_dir is None else Path(model_dir).expanduser()
    return folder / file_name


def _packaged(url: str) -> Path:
    """Return the file that a package URL names: ``pkg:pypi/<package>@<version>#<path in site-packages>``."""
    from importlib import metadata

    package, _, inner = url.removeprefix("pkg:pypi/").partition("#")
    name, _, version = package.partition("@")
    advice = f"install it with: pip install {name}=={version}"
    try:
        path = Path(str(metadata.distribution(name).locate_file(inner)))
    except metadata.PackageNotFoundError:
        raise DownloadError(
            f"The weights {Path(inner).name} come with the Python package {name}, which is not installed; "
            f"{advice}"
        ) from None
    if not path.is_file():
        raise DownloadError(f"The Python package {name} is installed, but {path} is not there; {advice}")
    return path


def sha256(file: IO[bytes]) -> Any:
    """Return the hash object of a file's contents from its current position to the end."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest


# ---- files compared with their names once ----


def verify(path: Path, expected: str) -> None:
    """Compare a file with the digits in its name, unless that was done since its last change.

    Raises
    ------
    DownloadError
        If it does not match. The file is left where it is.
    """
    found = digest(path, expected)
    if found.startswith(expected):
        return
    with path.open("rb") as file:
        start = file.read(256)
    raise DownloadError(
        f"{path} is not the file it should be: its SHA-256 begins with {found[: len(expected)]}, its "
        f"name says {expected}{_guess(start, path.stat().st_size)}. It was left as it is; to download it "
        f"again, delete it: rm {shlex.quote(str(path))}"
    )


def digest(path: Path, expected: str = "") -> str:
    """Return a file's SHA-256; an earlier result is reused if the file is unchanged and it is `expected`."""
    stat = path.stat()
    key, mark = str(path.resolve()), _mark(stat)
    known = _remembered().get(key)
    if known is not None and known[:-1] == mark and known[-1].startswith(expected):
        return known[-1]
    with path.open("rb") as file:
        found = sha256(file).hexdigest()
    remember(path, found)
    return found


def remember(path: Path, digest: str) -> None:
    """Record that a file has this SHA-256."""
    stat = path.stat()
    record = _record()
    notes = {name: note for name, note in _remembered().items() if Path(name).exists()}
    notes[str(path.resolve())] = [*_mark(stat), digest]
    # If it cannot be recorded, the file is compared again next time.
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        draft = record.with_name(f"{record.name}.{os.getpid()}.{threading.get_ident()}")
        draft.write_text(json.dumps(notes, indent=1), encoding="utf-8")
        draft.replace(record)


def _mark(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _record() -> Path:
    return own_folder() / "verified.json"


def _remembered() -> dict[str, list[Any]]:
    try:
        notes = json.loads(_record().read_text(encoding="utf-8"))
        return {name: note for name, note in notes.items() if len(note) == 4}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _guess(start: bytes, size: int) -> str:
    """Return what a file seems to be instead, as the end of a sentence."""
    head = start.lstrip()[:64].lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return " (it looks like a web page saved under this name)"
    if head.startswith(b"version https://git-lfs"):
        return " (it is a Git LFS pointer, not the file itself)"
    return f" (it has {size} bytes: damaged, or only a part of a download)"


# ---- one download at a time ----


@contextlib.contextmanager
def lock(target: Path, *, announce: bool = False) -> Iterator[bool]:
    """Hold the lock of a file to download, waiting for the process or thread that holds it.

    The lock is the operating system's, on an empty file next to the target, so it is released when
    its holder ends in any way. Yields whether there is a lock: some network file systems have none,
    and then two processes may download the same file, each to its own temporary file. With
    `announce`, a wait is reported on stderr.
    """
    path = target.with_name(f".{target.name}.lock")
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _flock(
                fd, f"Another process downloads {target.name}; waiting for it." if announce else ""
            )
            if locked and not _is_still(path, fd):
                continue  # the last holder has removed the file; lock its successor
            try:
                yield locked
            finally:
                # Before the lock is released: the lock file that is removed here must be held by
                # us.
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(fd)


def _flock(fd: int, notice: str) -> bool:
    """Lock an open file, waiting as long as necessary, and return whether it is locked."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if notice:
            print(notice, file=sys.stderr)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
