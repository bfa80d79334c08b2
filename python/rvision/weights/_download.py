"""Downloading a file over HTTP so that it arrives whole or not at all.

Only the standard library's urllib, which honours `http_proxy`, `https_proxy`, `no_proxy` and `SSL_CERT_FILE`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from rvision.errors import ArgumentError, DownloadError

# What `RVISION_MIRROR` stands in for.
PUBLISHED = "https://download.pytorch.org/models/"

_CHUNK = 1 << 18
# Seconds before the second, third and fourth attempt.
BACKOFF = (1.0, 3.0, 9.0)
_MAX_RETRY_AFTER = 30.0
# Nothing (or next to nothing) for so long is a stalled connection.
_TIMEOUT = 30.0
_LEAST_BYTES_PER_SECOND = 256
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Transient(Exception):
    """Something that may go better another time; `wait` is the number of seconds the server asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass
class _Transfer:
    """A download on its way into a temporary file, over as many attempts as it takes."""

    target: Path
    file: IO[bytes]
    expected: str | None
    progress: bool
    digest: Any = field(default_factory=hashlib.sha256)
    received: int = 0
    total: int | None = None
    # What the server said that identifies the file's state: attempts go on where the last one broke off only
    # while it stays the same.
    validator: str | None = None

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.sha256()
        self.received = 0
        self.total = None
        self.validator = None


def offline() -> bool:
    """Return whether `RVISION_OFFLINE` forbids to use the network."""
    return os.environ.get("RVISION_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def addresses(url: str) -> list[str]:
    """Return where to look for a file: its address, or those `RVISION_MIRROR` puts in its place.

    The variable holds one or more base addresses, separated by spaces or commas; they are tried in turn. It
    concerns files published under `PUBLISHED` only. To fall back to that one, name it last.
    """
    mirrors = os.environ.get("RVISION_MIRROR", "").replace(",", " ").split()
    if not mirrors or not url.startswith(PUBLISHED):
        return [url]
    return [f"{mirror.rstrip('/')}/{url.removeprefix(PUBLISHED)}" for mirror in mirrors]


def download(url: str, target: Path, expected: str | None, *, progress: bool) -> str:
    """Download a file, and put it in its place only when it is whole and right.

    Parameters
    ----------
    url : str
        http, https or file address.
    target : Path
        Where it shall lie; replaced if there is something.
    expected : str or None
        The first digits of its SHA-256, if known.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    str
        The SHA-256 of what has arrived.

    Raises
    ------
    DownloadError
        If it cannot be had from any address. Nothing is left behind, at an interrupt neither.
    """
    with _temporary(target) as file:
        transfer = _Transfer(target, file, expected, progress)
        complaints = []
        for address in addresses(url):
            transfer.restart()
            try:
                _download_from(address, transfer)
            except DownloadError as error:
                complaints.append(str(error))
                continue
            try:
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise _disk_error(error, target) from error
            Path(file.name).replace(target)
            _sync_folder(target.parent)
            return transfer.digest.hexdigest()
    raise DownloadError(
        "\n".join(complaints)
        + f"\nWhat you can do: put the file at {target} by other means, name a mirror in RVISION_MIRROR, or "
        "pass the path of a file you have as weights="
    )


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[IO[bytes]]:
    # In the target's folder, because a rename is atomic only within a file system. Opened plainly, not by
    # tempfile, so that it has the permissions of any new file.
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        file = path.open("xb")
    except OSError as error:
        raise _disk_error(error, target) from error
    try:
        with file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def clear_leftovers(target: Path) -> None:
    """Remove temporary files of downloads that were killed. To be called under the target's lock only."""
    for path in target.parent.glob(f".{target.name}.*.partial"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The rename itself has to reach the disk too; not every file system lets a folder be synced.
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _download_from(url: str, transfer: _Transfer) -> None:
    """Download from one address, trying again after what may pass."""
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise DownloadError(f"{url}: expected an http, https or file address")
    for wait in (*BACKOFF, None):
        try:
            _attempt(url, transfer)
            break
        except _Transient as error:
            if wait is None:
                raise DownloadError(f"{url}: {error} (tried {len(BACKOFF) + 1} times)") from None
            time.sleep(min(max(wait, error.wait), _MAX_RETRY_AFTER))
    got, expected = transfer.digest.hexdigest(), transfer.expected
    if expected is not None and not got.startswith(expected):
        raise DownloadError(
            f"{url}: what arrived is not the file: its SHA-256 begins with {got[: len(expected)]}, its name "
            f"says {expected} ({transfer.received} bytes: a proxy's page, or a damaged copy)"
        )


def _timeout() -> float:
    """Return how many seconds a server may be silent: `RVISION_DOWNLOAD_TIMEOUT`, or the default."""
    value = os.environ.get("RVISION_DOWNLOAD_TIMEOUT", "").strip()
    try:
        seconds = float(value or _TIMEOUT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ArgumentError(
            f"environment variable RVISION_DOWNLOAD_TIMEOUT={value}: expected a positive number of seconds"
        )
    return seconds


def _attempt(url: str, transfer: _Transfer) -> None:
    headers = {"User-Agent": "rvision"}
    if transfer.received and transfer.validator is not None:
        headers |= {"Range": f"bytes={transfer.received}-", "If-Range": transfer.validator}
    elif transfer.received:
        transfer.restart()
    timeout = _timeout()
    try:
        # A new opener, because the one behind `urlopen` keeps the proxies of the process's first request.
        with build_opener().open(Request(url, headers=headers), timeout=timeout) as response:
            _begin(url, response, transfer)
            _receive(response, transfer, timeout)
    except HTTPError as error:
        error.close()
        message = f"the server answers {error.code} {error.reason}{_meaning(error.code)}"
        if error.code in _TRANSIENT_STATUS:
            raise _Transient(message, _retry_after(error)) from None
        if error.code == 416:  # what we have is longer than the file is now
            transfer.restart()
            raise _Transient(message) from None
        raise DownloadError(f"{url}: {message}") from None
    except TimeoutError:
        raise _Transient(f"nothing came for {timeout:g} seconds") from None
    except http.client.HTTPException as error:
        raise _Transient(f"the connection broke off ({type(error).__name__})") from None
    except URLError as error:
        raise _unreachable(url, error.reason, timeout) from None
    except (ConnectionError, ssl.SSLError) as error:
        raise _Transient(f"the connection broke off ({error.strerror or type(error).__name__})") from None


def _begin(url: str, response: Any, transfer: _Transfer) -> None:
    """Take note of what the server says of the file before the file itself comes."""
    if url.startswith("https:") and not response.geturl().startswith("https:"):
        raise DownloadError(f"{url}: the server redirects to an unencrypted address, {response.geturl()}")
    if transfer.received and response.status != 206:
        transfer.restart()
    elif not response.headers.get("Content-Range", f"bytes {transfer.received}-").startswith(
        f"bytes {transfer.received}-"
    ):
        transfer.restart()
        raise _Transient("the server sent another part than the one asked for")
    length = response.headers.get("Content-Length")
    if length is not None and length.isdigit():
        transfer.total = transfer.received + int(length)
        folder = transfer.target.parent
        free = shutil.disk_usage(folder).free
        if int(length) > free:
            raise DownloadError(
                f"{transfer.target.name} needs {int(length) / 2**20:.1f} MiB, but {folder} has only "
                f"{free / 2**20:.1f} MiB free; make room, or set TORCH_HOME to a folder on another disk"
            )
    if response.headers.get("Accept-Ranges") == "bytes":
        etag = response.headers.get("ETag", "W/")
        # A weak tag does not promise the same bytes.
        transfer.validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag


def _receive(response: Any, transfer: _Transfer, timeout: float) -> None:
    with _bar(transfer) as bar:
        began, mark = time.monotonic(), transfer.received
        while block := response.read1(_CHUNK):
            try:
                transfer.file.write(block)
            except OSError as error:
                raise _disk_error(error, transfer.target) from error
            transfer.digest.update(block)
            transfer.received += len(block)
            bar.update(len(block))
            now = time.monotonic()
            if now - began >= timeout:
                if transfer.received - mark < _LEAST_BYTES_PER_SECOND * timeout:
                    raise _Transient(f"next to nothing came for {timeout:g} seconds")
                began, mark = now, transfer.received
    if transfer.total is not None and transfer.received != transfer.total:
        raise _Transient(f"only {transfer.received} of {transfer.total} bytes came")


def _bar(transfer: _Transfer) -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm(
        desc=transfer.target.name,
        total=transfer.total,
        initial=transfer.received,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=not transfer.progress,
    )


# ---- what went wrong ----


def _meaning(status: int) -> str:
    if status in (401, 403, 407):
        return ": it does not let this machine have the file (a proxy or firewall may answer in its place)"
    if status in (404, 410):
        return ": the file is not, or no longer, there"
    return ""


def _retry_after(error: HTTPError) -> float:
    value = error.headers.get("Retry-After", "") if error.headers else ""
    return float(value) if value.isdigit() else 0.0


def _unreachable(url: str, reason: Any, timeout: float) -> Exception:
    host = urlsplit(url).hostname or url
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            f"{url}: the certificate of {host} is not trusted ({reason.verify_message}); behind a proxy that "
            "re-encrypts, set SSL_CERT_FILE to its certificate"
        )
    if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
        return DownloadError(
            f"{url}: there is no host {host} (no network, or a proxy is needed: set https_proxy)"
        )
    if isinstance(reason, TimeoutError):
        return _Transient(f"{host} does not answer within {timeout:g} seconds")
    if isinstance(reason, FileNotFoundError | PermissionError | IsADirectoryError):
        return DownloadError(f"{url}: {reason.strerror}")
    return _Transient(f"{host} cannot be reached ({getattr(reason, 'strerror', None) or reason})")


def _disk_error(error: OSError, target: Path) -> DownloadError:
    if error.errno in _DISK_FULL:
        return DownloadError(
            f"{target.parent} is full: no room for {target.name}; make some, or set TORCH_HOME to a folder "
            "on another disk"
        )
    return DownloadError(
        f"{target} cannot be written ({error.strerror or error}); set TORCH_HOME to a folder that can, or "
        "pass the path of a file you have as weights="
    )
