"""rvision.benchmark and rvision.recommend. No test expects a speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rvision
from cli_results import assert_one_line_error
from rvision import Benchmark
from rvision._benchmark import BenchmarkRow, _measure
from rvision.errors import ArgumentError

NAMES = ["lenet5", "cifar10_resnet20"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """The names of the networks that are measured from now on."""
    names: list[str] = []
    measure = _measure.measured

    def noted(name: str, *args: object) -> BenchmarkRow:
        names.append(name)
        return measure(name, *args)

    monkeypatch.setattr(_measure, "measured", noted)
    return names


def quick(networks: object = NAMES, **kwargs: object) -> Benchmark:
    settings = {"seconds": 0, "path": "bench.json", "progress": False, **kwargs}
    return rvision.benchmark(networks, **settings)


def row(network: str, ms: float, mb: float, acc1: float | None) -> BenchmarkRow:
    return BenchmarkRow(
        network=network,
        weights=None,
        parameters=1000,
        megabytes=mb,
        gflops=1.0,
        acc1=acc1,
        acc5=None,
        image_size=(224, 224),
        median_ms=ms,
        best_ms=ms,
        pictures_per_second=1000 / ms,
        runs=3,
    )


# Accurate ones are slow, but for c, which a surpasses in all.
ROWS = (row("a", 10, 40, 70.0), row("b", 30, 20, 80.0), row("c", 12, 60, 69.0), row("d", 5, 5, None))
MACHINE = {"cpu": "a <fast> chip", "cores": 4, "system": "Linux x86_64", "isa": "avx2", "profile": "release"}
WRITTEN = Benchmark(ROWS, "0.0.1", MACHINE, {"batch_size": 2, "threads": 4, "seconds": 1.0})


def test_rows_hold_published_figures_and_times():
    found = quick(["squeezenet1_1", *NAMES], batch_size=2)
    first, lenet, cifar = found.rows
    meta = rvision.weights.SqueezeNet1_1_Weights.DEFAULT.meta
    assert first.weights == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    # torchvision's documentation: 58.178, 80.624, 1.2M parameters, 0.35 GFLOPS.
    assert (first.acc1, first.acc5, first.parameters, first.gflops) == (58.178, 80.624, 1235496, 0.349)
    assert first.megabytes == meta["_file_size"] and first.image_size == (224, 224)
    # LeNet-5's accuracy is on another data set, and is not compared with ImageNet's.
    assert (lenet.acc1, lenet.acc5, lenet.image_size) == (None, None, (28, 28))
    assert cifar.weights is None and cifar.image_size == (32, 32)
    model = rvision.models.cifar10_resnet20()
    assert cifar.parameters == sum(p.size for p in model.parameters())
    values = [np.asarray(value) for value in model.state_dict().values()]
    assert cifar.megabytes == sum(value.nbytes for value in values) / 2**20
    for each in found:
        assert 0 < each.best_ms <= each.median_ms and each.runs >= 3
        assert each.pictures_per_second == pytest.approx(2000 / each.median_ms)
    assert found.settings == {"batch_size": 2, "threads": rvision.get_num_threads(), "seconds": 0}
    assert found.version == rvision.__version__
    assert {"cpu", "cores", "isa"} <= found.machine.keys() and found.machine["cpu"]


def test_networks_are_measured_at_the_size_of_their_accuracy():
    # These weights are for 384 pixels, others of the same network for 224; the network must be made for it.
    member = _measure._default_weights("regnet_y_16gf")
    assert _measure._drawn("regnet_y_16gf", member)[1] == (3, 224, 224)
    vit = rvision.weights.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    model, size = _measure._drawn("vit_b_16", vit)
    assert size == (3, 384, 384) and model.image_size == 384


def test_default_networks_are_of_every_family_with_accuracy():
    def families(names: list[str]) -> set[str]:
        modules = {rvision.models.get_model_builder(name).__module__ for name in names}
        return {name.rpartition(".")[2] for name in modules}

    everything = _measure.chosen("all")
    assert families(_measure.chosen(None)) == families(everything)
    assert {"resnet50", "vit_h_14"} <= set(everything)
    # The same weights in another form, no accuracy, or not on ImageNet.
    assert not {"alexnet_lecture", "efficientnet_lite0", "lenet5", "zfnet"} & set(everything)


def test_measured_networks_are_not_measured_again(measured):
    first = quick(["lenet5"])
    both = quick(["cifar10_resnet20", "LENET5", "lenet5"])
    assert measured == ["lenet5", "cifar10_resnet20"]
    assert [each.network for each in both] == ["cifar10_resnet20", "lenet5"]
    assert both.rows[1] == first.rows[0]
    assert [each.network for each in Benchmark.load("bench.json")] == ["lenet5", "cifar10_resnet20"]
    quick("lenet5", again=True)
    assert measured == ["lenet5", "cifar10_resnet20", "lenet5"]
    assert [each.network for each in Benchmark.load("bench.json")] == ["lenet5", "cifar10_resnet20"]


def test_an_interrupted_benchmark_is_resumed(monkeypatch, folder):
    measure = _measure.measured

    def interrupted(name: str, *args: object) -> BenchmarkRow:
        if name == "cifar10_resnet20":
            raise KeyboardInterrupt
        return measure(name, *args)

    threads = rvision.get_num_threads()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_measure, "measured", interrupted)
        quick(threads=1)
    assert rvision.get_num_threads() == threads
    left = Benchmark.load("bench.json")
    assert [each.network for each in left] == ["lenet5"]
    assert [path.name for path in folder.iterdir()] == ["bench.json"]
    assert quick(threads=1).rows[0] == left.rows[0]


def test_a_failed_write_leaves_the_file_as_it_was(monkeypatch, folder):
    WRITTEN.save("bench.json")
    before = Path("bench.json").read_bytes()

    def full(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Path, "write_text", full)
        WRITTEN.save("bench.json")
    assert Path("bench.json").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["bench.json"]


def test_files_of_another_machine_version_or_setting_are_refused(measured):
    quick(["lenet5"])
    good = json.loads(Path("bench.json").read_text())
    for part, name, value in [
        ("machine", "cpu", "another"),
        ("machine", "isa", "sse2"),
        (None, "version", "0.0.1"),
        ("settings", "threads", 99),
    ]:
        other = json.loads(json.dumps(good))
        (other if part is None else other[part])[name] = value
        Path("bench.json").write_text(json.dumps(other))
        shown = "rvision" if name == "version" else name
        with pytest.raises(ArgumentError, match=f"cannot be continued: {shown} is .* here, {value} in"):
            quick()
        assert json.loads(Path("bench.json").read_text()) == other
    Path("bench.json").write_text(json.dumps(good))
    with pytest.raises(ArgumentError, match=r"batch_size is 4 here, 1 in the file.*again=True"):
        quick(batch_size=4)
    assert measured == ["lenet5"]
    again = quick(["cifar10_resnet20"], batch_size=4, again=True)
    assert Benchmark.load("bench.json") == again


DAMAGED = {
    "not JSON": '{"format": "rvision bench',
    "another file": '{"theses": [1, 2]}',
    "a list": "[]",
    "no rows": json.dumps({"format": "rvision benchmark 1", "machine": MACHINE, "settings": {}}),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("again", [False, True])
def test_other_and_damaged_files_are_refused_and_left(text, again):
    Path("bench.json").write_text(text)
    with pytest.raises(ArgumentError, match=r"bench\.json is not a benchmark of rvision, or damaged"):
        quick(again=again)
    assert Path("bench.json").read_text() == text


@pytest.mark.parametrize(
    ("name", "value"),
    [("median_ms", "fast"), ("median_ms", -1), ("acc1", True), ("image_size", 224), ("network", None)],
)
def test_damaged_rows_are_named(name, value):
    WRITTEN.save("bench.json")
    content = json.loads(Path("bench.json").read_text())
    content["rows"][1][name] = value
    Path("bench.json").write_text(json.dumps(content))
    with pytest.raises(ArgumentError, match=rf"row 1: {name}: unexpected value"):
        Benchmark.load("bench.json")
    del content["rows"][1][name]
    Path("bench.json").write_text(json.dumps(content))
    with pytest.raises(ArgumentError, match=f"no entry '{name}'"):
        Benchmark.load("bench.json")


def test_a_file_is_read_as_it_was_written():
    WRITTEN.save("bench.json")
    assert Benchmark.load("bench.json") == WRITTEN


def test_arguments_are_checked_before_anything_is_measured(measured):
    for networks, error, pattern in [
        (["lenet5", "resnet"], ValueError, "resnet"),
        ([], ArgumentError, "at least one"),
        ([1], TypeError, "names of networks"),
    ]:
        with pytest.raises(error, match=pattern):
            quick(networks)
    for name, value, error in [
        ("batch_size", 0, ArgumentError),
        ("threads", 0, ArgumentError),
        ("seconds", -1, ArgumentError),
        ("seconds", "long", TypeError),
    ]:
        with pytest.raises(error, match=f"benchmark: {name}"):
            quick(**{name: value})
    with pytest.raises(FileNotFoundError):
        quick(path="nowhere/bench.json")
    assert measured == []


def test_the_default_file_is_in_the_cache(folder):
    found = rvision.benchmark(["lenet5"], seconds=0, progress=False)
    assert Benchmark.load(folder / "cache" / "rvision" / "benchmark.json") == found == Benchmark.load()
    assert rvision.recommend().rows == found.rows


def names_of(found: object) -> list[str]:
    return [each.network for each in found]


def test_recommendations_are_within_limits_and_the_most_accurate_first():
    WRITTEN.save("bench.json")
    for source in (WRITTEN, "bench.json", Path("bench.json")):
        assert names_of(rvision.recommend(benchmark=source)) == ["b", "a", "c", "d"]
        assert names_of(rvision.recommend(max_ms=12, benchmark=source)) == ["a", "c", "d"]
        assert names_of(rvision.recommend(12, 50, benchmark=source)) == ["a", "d"]
        assert names_of(rvision.recommend(min_accuracy=70, benchmark=source)) == ["b", "a"]
        assert names_of(rvision.recommend(max_mb=20, min_accuracy=70, benchmark=source)) == ["b"]


def test_equally_accurate_networks_are_in_order_of_time():
    rows = (row("slow", 9, 1, 70.0), row("fast", 3, 1, 70.0))
    source = Benchmark(rows, "0.0.1", MACHINE, WRITTEN.settings)
    assert names_of(rvision.recommend(benchmark=source)) == ["fast", "slow"]


def test_the_nearest_is_named_if_none_is_within_limits():
    # The worst ratios: a 10/5 and 75/70 -> 2, b 30/5 = 6, c 12/5 = 2.4; d has no accuracy.
    found = rvision.recommend(max_ms=5, min_accuracy=75, benchmark=WRITTEN)
    assert len(found) == 0 and not found and found.nearest == ROWS[0]
    assert repr(found).startswith(
        "none of 4 networks (at most 5 ms, at least 75 % top-1); the nearest is a: 10.00 ms, 40.0 MB, 70.00 %"
    )
    assert "the nearest is a" in found._repr_html_()
    # a 10/4 and 40/30, b 30/4, c 12/4, d 5/4.
    assert rvision.recommend(max_ms=4, max_mb=30, benchmark=WRITTEN).nearest == ROWS[3]
    only_d = Benchmark(ROWS[3:], "0.0.1", MACHINE, WRITTEN.settings)
    found = rvision.recommend(min_accuracy=75, benchmark=only_d)
    assert found.nearest is None and "none has a published accuracy" in found.message


def test_recommend_says_what_to_run(folder):
    with pytest.raises(
        ArgumentError, match=r"no benchmark yet .*Run rvision\.benchmark\(\), .*rvision benchmark$"
    ):
        rvision.recommend(max_ms=20)
    with pytest.raises(
        ArgumentError, match=r"rvision\.benchmark\(path='x\.json'\).*benchmark --json x\.json$"
    ):
        rvision.recommend(max_ms=20, benchmark="x.json")
    with pytest.raises(ArgumentError, match="no networks"):
        rvision.recommend(benchmark=Benchmark((), "0.0.1", MACHINE, WRITTEN.settings))
    file = folder / "cache" / "rvision" / "benchmark.json"
    file.parent.mkdir(parents=True)
    WRITTEN.save(file)
    with pytest.raises(ArgumentError, match=r"measured on a <fast> chip.*again=True"):
        rvision.recommend(max_ms=20)
    assert names_of(rvision.recommend(max_ms=10, benchmark=file)) == ["a", "d"]


@pytest.mark.parametrize(
    ("limit", "value", "error"),
    [
        ("max_ms", 0, ArgumentError),
        ("max_mb", float("nan"), ArgumentError),
        ("min_accuracy", 0.75, ArgumentError),
        ("min_accuracy", 101, ArgumentError),
        ("max_ms", "20", TypeError),
    ],
)
def test_limits_are_checked(limit, value, error):
    with pytest.raises(error, match=f"recommend: {limit}"):
        rvision.recommend(**{limit: value}, benchmark=WRITTEN)


def test_results_are_shown_as_tables():
    lines = repr(WRITTEN).splitlines()
    assert " ".join(lines[2].split()) == "a 0.00 40.0 1 70.00 - 224 x 224 10.00 10.00 100"
    assert lines[-1] == "runs of 2 pictures on 4 threads of a <fast> chip (avx2), rvision 0.0.1"
    assert [line.split()[-1] for line in lines[2:6]] == ["100", "33.3", "83.3", "200"]
    html = WRITTEN._repr_html_()
    assert html.count("<tr>") == 5 and "a &lt;fast&gt; chip" in html and "<fast>" not in html
    found = rvision.recommend(max_ms=12, benchmark=WRITTEN)
    assert "3 of 4 networks (at most 12 ms); runs of 2" in repr(found).splitlines()[-1]
    assert found._repr_html_().count("<tr>") == 4


def test_pandas_takes_the_rows():
    pandas = pytest.importorskip("pandas")
    for rows in (WRITTEN, WRITTEN.rows):
        frame = pandas.DataFrame(rows)
        assert frame["network"].tolist() == ["a", "b", "c", "d"]
        assert frame["median_ms"].tolist() == [10, 30, 12, 5]
    assert pandas.DataFrame(rvision.recommend(max_ms=12, benchmark=WRITTEN))["acc1"][0] == 70


def test_the_pareto_front_is_marked():
    assert names_of(WRITTEN.pareto()) == ["a", "b"]
    figure = pytest.importorskip("matplotlib.figure")
    ax = figure.Figure().subplots()
    assert WRITTEN.plot(ax) is ax
    front, others = ax.lines
    np.testing.assert_array_equal(front.get_xydata(), [[10, 70], [30, 80]])
    np.testing.assert_array_equal(others.get_xydata(), [[12, 69]])
    assert {text.get_text(): text.get_fontweight() for text in ax.texts} == {
        "a": "bold",
        "b": "bold",
        "c": "normal",
    }
    assert ax.get_xscale() == "log" and "2 pictures" in ax.get_xlabel() and "a <fast> chip" in ax.get_title()
    with pytest.raises(ArgumentError, match="no network of the benchmark has a published accuracy"):
        Benchmark(ROWS[3:], "0.0.1", MACHINE, WRITTEN.settings).plot(ax)


def test_a_plot_of_one_network():
    figure = pytest.importorskip("matplotlib.figure")
    ax = Benchmark(ROWS[:1], "0.0.1", MACHINE, WRITTEN.settings).plot(figure.Figure().subplots())
    assert len(ax.lines) == 1 and [text.get_text() for text in ax.texts] == ["a"]


def test_the_command_measures_and_resumes(run, measured, folder):
    options = ["--json", "out.json", "--threads", 1, "--batch-size", 2, "--seconds", 0]
    first = run("benchmark", *NAMES, *options)
    assert first.status == 0 and first.err == ""
    assert [line.split()[0] for line in first.lines[2:4]] == NAMES
    assert run("benchmark", *NAMES, *options).out == first.out
    assert measured == NAMES
    assert names_of(Benchmark.load("out.json")) == NAMES
    default = folder / "cache" / "rvision" / "benchmark.json"
    assert run("benchmark", "lenet5", "--seconds", 0).err == f"rvision: the times are in {default}\n"
    assert names_of(Benchmark.load(default)) == ["lenet5"]
    measured.clear()
    other = run("benchmark", *NAMES, *options[:-2], "--seconds", 0.1)
    assert_one_line_error(other, r"seconds is 0\.1 here, 0\.0 in the file.*--again")
    assert measured == []


def test_the_command_draws(run, folder):
    pytest.importorskip("matplotlib")
    result = run("benchmark", "squeezenet1_1", "--json", "o.json", "--seconds", 0, "--plot", "o.png")
    assert result.status == 0 and "the plot is in o.png" in result.err
    assert Path("o.png").read_bytes().startswith(b"\x89PNG")
    assert_one_line_error(run("benchmark", "lenet5", "--plot", "nowhere/o.png"), "there is no such folder")


def test_the_command_says_what_a_plot_needs(run, monkeypatch, measured):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert_one_line_error(run("benchmark", "lenet5", "--plot", "o.png"), r"pip install \"rvision\[plot\]\"")
    assert measured == []


def test_the_command_recommends(run):
    assert_one_line_error(run("recommend", "--max-ms", 20), "no benchmark yet.*rvision benchmark")
    WRITTEN.save("out.json")
    result = run("recommend", "--max-ms", 12, "--max-mb", 50, "--benchmark", "out.json")
    assert result.status == 0 and [line.split()[0] for line in result.lines[2:4]] == ["a", "d"]
    none = run("recommend", "--max-ms", 5, "--min-accuracy", 75, "--benchmark", "out.json")
    assert none.out == ""
    assert_one_line_error(none, "none of 4 networks .*; the nearest is a: 10.00 ms")
    result = run("recommend", "--max-ms", 12, "--benchmark", "out.json", "--json")
    content = json.loads(result.out)
    assert [each["network"] for each in content["rows"]] == ["a", "c", "d"]
    assert content["limits"] == {"max_ms": 12} and content["nearest"] is None
    Path("out.json").write_text("{")
    assert_one_line_error(run("recommend", "--benchmark", "out.json"), "damaged")
    assert run("recommend", "--max-ms", "soon").status == 2
