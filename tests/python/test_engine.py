"""What a run promises to its users: threads, forks, signals, processors, memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import rvision
from rvision import nn


class Net(nn.Module):
    """A stem, a residual block, grouped, depthwise and dilated convolutions, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.dilated = nn.Conv2d(32, 48, 3, padding=2, dilation=2)
        self.fc = nn.Linear(48, 10)

    def forward(self, x):
        x = self.pool(self.relu(self.norm(self.stem(x))))
        x = self.relu(self.conv2(self.relu(self.conv1(x))) + x)
        features = self.relu(self.dilated(self.depthwise(x)))
        return self.fc(features.mean([2, 3])), features


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def threads():
    """Restores the number of threads."""
    before = rvision.get_num_threads()
    yield rvision.set_num_threads
    rvision.set_num_threads(before)


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).random(shape, dtype=np.float32)


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a separate process."""
    path = os.pathsep.join(p for p in sys.path if p)
    env = os.environ | {"PYTHONPATH": path} | environment
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_same_bits_for_every_number_of_threads_and_place_in_a_batch(net, threads):
    batch = picture(0, 5, 3, 75, 90)
    expected = net(batch)
    for n in (1, 2, 3, 4):
        threads(n)
        for together, alone in zip(expected, net(batch), strict=True):
            np.testing.assert_array_equal(together, alone)
        for i in (0, 3):
            for together, alone in zip(expected, net(batch[i]), strict=True):
                np.testing.assert_array_equal(together[i], alone)


def test_eight_threads_run_one_model_at_once(net):
    pictures = [picture(i, 1, 3, 60 + 4 * (i % 3), 64) for i in range(8)]
    expected = [net(p) for p in pictures]
    wrong = []

    def work(i: int) -> None:
        for _ in range(20):
            for found, wanted in zip(net(pictures[i]), expected[i], strict=True):
                if not np.array_equal(found, wanted):
                    wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_interpreter_runs_on_during_a_run(net):
    big = picture(1, 8, 3, 512, 512)
    net(big)
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.0005)

    counter = threading.Thread(target=count)
    counter.start()
    before = turns
    net(big)
    during = turns - before
    done.set()
    counter.join()
    assert during > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_use_after_fork():
    code = """
        import os, sys, warnings
        import numpy as np
        from rvision import models
        warnings.simplefilter("ignore")
        model = models.squeezenet1_1()
        x = np.linspace(-1, 1, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
        expected = model(x)
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                grandchild = os.fork()
                same = np.array_equal(model(x), expected)
                if grandchild == 0:
                    os._exit(0 if same else 1)
                _, status = os.waitpid(grandchild, 0)
                os._exit(0 if same and status == 0 else 1)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        assert statuses == [0] * 4, statuses
        assert np.array_equal(model(x), expected)
    """
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forking_while_other_threads_run():
    code = """
        import os, threading, warnings
        import numpy as np
        from rvision import models
        warnings.simplefilter("ignore")
        model = models.squeezenet1_1()
        x = np.linspace(-1, 1, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
        expected = model(x)
        stop = threading.Event()
        def work(size):
            while not stop.is_set():
                model(x[:, :, :size])
                size = 32 + (size + 1) % 32
        workers = [threading.Thread(target=work, args=(40 + i,)) for i in range(3)]
        for worker in workers: worker.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.array_equal(model(x), expected) else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for worker in workers: worker.join()
    """
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_ctrl_c_stops_a_run():
    code = """
        import signal
        import numpy as np
        import rvision
        # A shell's background job, as this may be one of, starts with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rvision.set_num_threads(1)
        model = rvision.nn.Sequential(*(rvision.nn.Conv2d(64, 64, 5, padding=2) for _ in range(200)))
        x = np.ones((4, 64, 256, 256), np.float32)
        print("ready", flush=True)
        try:
            model(x)
        except KeyboardInterrupt:
            print("stopped", flush=True)
            small = np.ones((1, 64, 8, 8), np.float32)
            print(model(small).shape, flush=True)
    """
    path = os.pathsep.join(p for p in sys.path if p)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    rest, _ = process.communicate(timeout=60)
    # All of it would take minutes.
    assert time.monotonic() - start < 30
    assert rest == "stopped\n(1, 64, 8, 8)\n"


def test_the_environment_sets_the_threads():
    code = "import rvision; print(rvision.get_num_threads())"
    assert python(code, RVISION_NUM_THREADS="3").stdout == "3\n"
    result = python(code, RVISION_NUM_THREADS="many")
    assert result.returncode != 0
    assert "RVISION_NUM_THREADS=many: expected a number between 1 and" in result.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_threads_without_work_use_no_processor(threads):
    result = python(
        """
        import time
        import numpy as np
        from rvision import models

        model = models.resnet18()
        for _ in range(3):
            model(np.zeros((1, 3, 96, 96), np.float32))
        time.sleep(0.2)  # Threads look for more work before they go to sleep.
        before = time.process_time()
        time.sleep(1)
        print(time.process_time() - before)
        """,
        RVISION_NUM_THREADS=str(threads),
    )
    assert result.returncode == 0, result.stderr
    # Of all threads together. One that span or polled would use the whole second, or milliseconds of it.
    assert float(result.stdout) < 0.05


def test_no_more_threads_than_allowed_processors():
    code = """
        import os, rvision
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(rvision.get_num_threads())
    """
    assert python(code, RVISION_NUM_THREADS="").returncode != 0
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout == "1\n"


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set_agrees(isa):
    if isa not in rvision.build_info()["available_isas"]:
        pytest.skip(f"this processor has no {isa}")
    code = f"""
        import numpy as np, rvision
        from rvision import models
        assert rvision.build_info()["isa"] == "{isa}"
        x = np.linspace(-1, 1, 2 * 3 * 97 * 65, dtype=np.float32).reshape(2, 3, 97, 65)
        print(" ".join(map(repr, models.resnet18()(x)[:, :20].ravel().tolist())))
    """
    result = python(code, RVISION_ISA=isa, RVISION_REQUIRE_ISA=isa)
    assert result.returncode == 0, result.stderr
    found = np.array(result.stdout.split(), dtype=np.float64)
    x = np.linspace(-1, 1, 2 * 3 * 97 * 65, dtype=np.float32).reshape(2, 3, 97, 65)
    expected = rvision.models.resnet18()(x)[:, :20].ravel()
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


def test_an_instruction_set_that_is_not_there_is_an_error():
    code = "import rvision; rvision.build_info()"
    result = python(code, RVISION_ISA="portable", RVISION_REQUIRE_ISA="avx2")
    assert result.returncode != 0
    assert "RVISION_REQUIRE_ISA=avx2: expected the instruction set in use, which is portable" in result.stderr
    assert "RVISION_ISA=sse9: expected portable" in python(code, RVISION_ISA="sse9").stderr


def test_non_finite_values_are_never_hidden(net):
    x = picture(3, 1, 3, 64, 64)
    for bad in (np.nan, np.inf):
        y = x.copy()
        y[0, 1, 30, 31] = bad
        logits, _ = net(y)
        assert not np.isfinite(logits).any()
    # ReLU and max pool pass NaN on.
    assert np.isnan(nn.ReLU()(np.float32([np.nan]))).all()
    assert np.isnan(nn.MaxPool2d(2)(np.full((1, 1, 2, 2), np.nan, np.float32))).all()


def test_denormal_numbers_count_as_zero_and_leave_the_callers_mode_alone():
    tiny = np.full((1, 16, 8, 8), 1e-40, np.float32)
    conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
    assert not conv(tiny).any()
    assert (tiny * np.float32(0.5)).all()


def test_empty_batches():
    model = Net()
    logits, features = model(np.empty((0, 3, 64, 64), np.float32))
    assert logits.shape == (0, 10)
    assert features.shape == (0, 48, 16, 16)


def environment(**changes: str | None) -> dict[str, str]:
    """Return a process's environment; the thread variables are set only if they are given."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RVISION_NUM_THREADS", "OMP_NUM_THREADS")}
    path = os.pathsep.join(p for p in sys.path if p)
    return kept | {"PYTHONPATH": path} | {k: v for k, v in changes.items() if v is not None}


def threads_with(**changes: str | None) -> int:
    code = "import rvision; print(rvision.get_num_threads())"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(**changes), capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3", 3), (" 5 ", 5), ("7,2", 7), (" 6 , 2 , 1 ", 6)],
)
def test_openmps_variable_tells_a_worker_its_share(value, expected):
    assert threads_with(OMP_NUM_THREADS=value) == expected


def test_openmps_variable_is_ignored_where_it_is_no_number():
    default = threads_with()
    for value in ("", " ", "0", "-2", "two", "2.5", ",3", "3,", "3,x", "3,0", "1e3"):
        assert threads_with(OMP_NUM_THREADS=value) == default, value


def test_the_own_variable_comes_before_openmps_and_a_call_before_both():
    assert threads_with(RVISION_NUM_THREADS="3", OMP_NUM_THREADS="5") == 3
    code = "import rvision; rvision.set_num_threads(4); print(rvision.get_num_threads())"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(RVISION_NUM_THREADS="3", OMP_NUM_THREADS="5"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout == "4\n"


def test_a_value_that_is_no_text_is_an_error():
    changes = environment() | {"RVISION_NUM_THREADS": os.fsdecode(b"\xff")}
    code = "import rvision; rvision.get_num_threads()"
    result = subprocess.run(
        [sys.executable, "-c", code], env=changes, capture_output=True, text=True, timeout=60
    )
    assert "environment variable RVISION_NUM_THREADS=" in result.stderr


def test_the_number_of_threads_is_the_pools_while_it_lives():
    code = """
        import os
        import numpy as np
        import rvision
        os.environ["OMP_NUM_THREADS"] = "3"  # As Ray sets it, before anything has run.
        assert rvision.get_num_threads() == 3
        rvision.nn.ReLU()(np.zeros((1, 3, 4, 4), np.float32))
        os.environ["OMP_NUM_THREADS"] = "2"
        print(rvision.get_num_threads())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout == "3\n", result.stderr


def test_threads_may_change_while_networks_run(threads):
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten())
    plain = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4))
    x, y = picture(1, 2, 3, 12, 12), picture(2, 5, 20)
    threads(1)
    wanted = model(x), plain(y)
    over, errors, runs = threading.Event(), [], []

    def run() -> None:
        count = 0
        try:
            while not over.is_set():
                np.testing.assert_array_equal(model(x), wanted[0])
                np.testing.assert_array_equal(plain(y), wanted[1])
                count += 2
                if count % 200 == 0:
                    rvision.profile(plain, y, runs=2)
        except BaseException as error:  # a panic is no Exception
            errors.append(error)
        runs.append(count)

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    end = time.monotonic() + 2
    while time.monotonic() < end and not errors:
        for n in (1, 2, 3, 2):
            threads(n)
            time.sleep(0)
    over.set()
    for worker in workers:
        worker.join(60)
    assert not errors, errors[0]
    assert sum(runs) > 400


AFFINITY = """
    import os, sys, threading, time
    import numpy as np
    import rvision

    everything = sorted(os.sched_getaffinity(0))[:2]

    def tasks():
        return [int(name) for name in os.listdir("/proc/self/task")]

    def mask(thread):
        try:
            return os.sched_getaffinity(thread)
        except ProcessLookupError:
            return None

    rvision.set_num_threads(3)
    nn = rvision.nn
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.MaxPool2d(2))
    x = np.ones((1, 3, 40, 40), np.float32)
    model(x)
    over = threading.Event()
    runs = 0

    def run():
        global runs
        while not over.is_set():
            model(x)
            runs += 1

    other = threading.Thread(target=run)
    other.start()
    for turn in range(40):
        given = [{everything[0]}, {everything[1]}, set(everything)][turn % 3]
        for thread in tasks():
            os.sched_setaffinity(thread, given)
        before = runs
        end = time.monotonic() + 20
        while runs < before + 3 and time.monotonic() < end:
            time.sleep(0.001)
        # In a run a worker may be kept to some of them, but to nothing else.
        for thread in tasks():
            now = mask(thread)
            assert now is None or now <= given, (turn, thread, now, given)
    over.set()
    other.join()
    for thread in tasks():
        assert mask(thread) == given, (thread, mask(thread), given)
    # One thread that was given processors of its own keeps them, in runs as well.
    worker = [t for t in tasks() if open(f"/proc/self/task/{t}/comm").read().startswith("rvision-2")][-1]
    os.sched_setaffinity(worker, {everything[0]})
    for _ in range(20):
        model(x)
    assert mask(worker) == {everything[0]}
    print("ok", runs)
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs affinity and two processors",
)
def test_processors_that_are_given_while_networks_run_are_kept():
    result = python(AFFINITY)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("ok")
