"""Atomic downloads over HTTP: a file arrives complete or not at all.

Uses only the standard library's urllib, which honours `http_proxy`, `https_proxy`, `no_proxy` and
`SSL_CERT_FILE`.
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

from rvision._progress import bar
from rvision.errors import ArgumentError, DownloadError

# The base address that `RVISION_MIRROR` replaces.
PUBLISHED = "https://download.pytorch.org/models/"

_CHUNK = 1 << 18
# Seconds before the second, third and fourth attempt.
BACKOFF = (1.0, 3.0, 9.0)
_MAX_RETRY_AFTER = 30.0
# A connection counts as stalled after this time without data (or almost none).
_TIMEOUT = 30.0
_LEAST_BYTES_PER_SECOND = 256
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Transient(Exception):
    """A failure that may pass; `wait` is the number of seconds that the server requests."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass
class _Transfer:
    """A download into a temporary file, over one or more attempts."""

    target: Path
    file: IO[bytes]
    expected: str | None
    progress: bool
    digest: Any = field(default_factory=hashlib.sha256)
    received: int = 0
    total: int | None = None
    # The server's identification of the file's state: an attempt resumes where the last one broke
    # off only if it is unchanged.
    validator: str | None = None

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.sha256()
        self.received = 0
        self.total = None
        self.validator = None


def offline() -> bool:
    """Return whether `RVISION_OFFLINE` forbids network access."""
    return os.environ.get("RVISION_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def addresses(url: str) -> list[str]:
    """Return the addresses of a file: its own, or those by which `RVISION_MIRROR` replaces it.

    The variable holds one or more base addresses, separated by spaces or commas, which are tried in
    turn. It only applies to files published under `PUBLISHED`. To fall back to that address, name
    it last.
    """
    mirrors = os.environ.get("RVISION_MIRROR", "").replace(",", " ").split()
    if not mirrors or not url.startswith(PUBLISHED):
        return [url]
    return [f"{mirror.rstrip('/')}/{url.removeprefix(PUBLISHED)}" for mirror in mirrors]


def download(url: str, target: Path, expected: str | None, *, progress: bool) -> str:
    """Download a file, and move it to its place only when it is complete and correct.

    Parameters
    ----------
    url : str
        http, https or file address.
    target : Path
        The file's path; replaced if it exists.
    expected : str or None
        The first digits of its SHA-256, if known.
    progress : bool
        Whether to show a bar on stderr.

    Returns
    -------
    str
        The SHA-256 of the downloaded file.

    Raises
    ------
    DownloadError
        If no address delivers it. Nothing is left behind, even after an interrupt.
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
    # In the target's folder, because a rename is atomic only within a file system. Not opened by
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
    """Remove temporary files of killed downloads. Call it only while holding the target's lock."""
    for path in target.parent.glob(f".{target.name}.*.partial"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The rename itself must reach the disk too; not every file system can sync a folder.
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _download_from(url: str, transfer: _Transfer) -> None:
    """Download from one address, retrying after transient failures."""
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
    """Return for how many seconds a server may be silent: `RVISION_DOWNLOAD_TIMEOUT`, or the default."""
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
        # A new opener, because the one that `urlopen` uses keeps the proxies of the process's first
        # request.
        with build_opener().open(Request(url, headers=headers), timeout=timeout) as response:
            _begin(url, response, transfer)
            _receive(response, transfer, timeout)
    except HTTPError as error:
        error.close()
        message = f"the server answers {error.code} {error.reason}{_meaning(error.code)}"
        if error.code in _TRANSIENT_STATUS:
            raise _Transient(message, _retry_after(error)) from None
        if error.code == 416:  # our part is longer than the file is now
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
    """Read the response's headers before the file itself."""
    if url.startswith("https:") and not response.geturl().startswith("https:"):
        raise DownloadError(f"{url}: the server redirects to an unencrypted address, {response.geturl()}")
    if transfer.received and response.status != 206:
        transfer.restart()
    elif not response.headers.get("Content-Range", f"bytes {transfer.received}-").startswith(
        f"bytes {transfer.received}-"
    ):
        transfer.restart()
        raise _Transient("the server sent a different part than requested")
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
        # A weak tag does not guarantee the same bytes.
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
    return bar(
        desc=transfer.target.name,
        total=transfer.total,
        initial=transfer.received,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=not transfer.progress,
    )


# ---- error messages ----


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
