"""What a cell shows of results: summary, profile, evaluation; and pandas takes their rows."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import nn
from rvision import transforms as T
from rvision._evaluate import Evaluation
from rvision.errors import ArgumentError

NAMES = ["red", "green", "<blue>"]


def strongest_channel(x: np.ndarray) -> np.ndarray:
    """A classifier of colours: (N, 3, H, W) to (N, 3)."""
    return x.mean(axis=(2, 3))


def evaluated(*rows: list[float], labels: list[int], **settings):
    pictures = np.array(rows, np.float32)[:, :, None, None]
    return rvision.evaluate(strongest_channel, pictures, labels, **settings)


# Right, wrong by a little, right, wrong by much.
MIXED = ([3, 2, 1], [1, 1.5, 1], [0, 0, 9], [0, 0, 9]), [0, 0, 2, 1]


def test_confusion_counts_truths_by_guesses():
    confusion = evaluated(*MIXED[0], labels=MIXED[1], categories=NAMES).confusion()
    np.testing.assert_array_equal(confusion.counts, [[1, 1, 0], [0, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(np.asarray(confusion), confusion.counts)
    assert confusion.pairs() == [("red", "green", 1, 0.5), ("green", "<blue>", 1, 1.0)]
    assert repr(confusion).splitlines() == [
        "Confusion(3 classes, 2 of 4 pictures right)",
        "truth, guess  red  green  <blue>",
        "--------------------------------",
        "red             1      1       0",
        "green           0      0       1",
        "<blue>          0      0       1",
    ]
    assert "&lt;blue&gt;" in confusion._repr_html_()
    assert "<blue>" not in confusion._repr_html_()


def test_confusion_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    found = evaluated(*rows.tolist(), labels=labels.tolist()).confusion()
    np.testing.assert_array_equal(found.counts, metrics.confusion_matrix(labels, rows.argmax(axis=1)))


def test_many_classes_are_shown_as_their_confusions():
    pictures = np.eye(40, dtype=np.float32)[[3, 4, 4]][:, :, None, None]
    found = rvision.evaluate(strongest_channel, pictures, [3, 7, 7]).confusion()
    assert repr(found).splitlines()[0] == "Confusion(40 classes, 1 of 3 pictures right), most often:"
    assert repr(found).splitlines()[-1].split() == ["class", "7", "class", "4", "2", "100%"]
    assert "class 7" in found._repr_html_()


def test_worst_are_the_most_certain_mistakes():
    worst = evaluated(*MIXED[0], labels=MIXED[1], categories=NAMES).worst()
    assert [row[:3] for row in worst] == [(3, "green", "<blue>"), (1, "red", "green")]
    # The softmax of (0, 0, 9) and (1, 1.5, 1).
    likely = [1 / (1 + 2 * np.exp(-9)), 1 / (1 + 2 * np.exp(-0.5))]
    assert [row.probability for row in worst] == pytest.approx(likely)
    assert "picture 3" in repr(worst)
    with pytest.raises(ArgumentError, match="k must be"):
        evaluated([1, 2, 3], labels=[0]).worst(0)
    assert repr(evaluated([1, 2, 3], labels=[2]).worst()) == "no mistakes"


def test_worst_names_files_and_shows_them(tmp_path):
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        Image.new("RGB", (5, 5), (200, 0, 0)).save(file)
    result = rvision.evaluate(strongest_channel, files, [1, 0], transforms=T.ToTensor(), categories=NAMES)
    [mistake] = result.worst()
    assert mistake.source == files[0]
    html = result._repr_html_()
    assert 'alt="green, taken for red"' in html
    files[0].unlink()
    assert "<img" not in result._repr_html_()


def test_an_evaluation_keeps_no_pictures():
    result = evaluated(*MIXED[0], labels=MIXED[1])
    assert list(result.sources) == [0, 1, 2, 3]
    assert result.truths.nbytes + result.guesses.nbytes + result.probabilities.nbytes == 20 * result.n


def test_an_evaluation_without_guesses_says_so():
    result = Evaluation(2, {1: 1}, np.array([0, 1]))
    assert "top-1" in result._repr_html_()
    with pytest.raises(ArgumentError, match="holds no guesses"):
        result.confusion()
    with pytest.raises(ArgumentError, match="holds no guesses"):
        result.worst()


def test_summary_and_profile_are_tables_that_fold():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    summary = rvision.summary(model, (1, 3, 8, 8))
    html = summary._repr_html_()
    assert "<details" in html
    assert "112 parameters" in html
    assert html.count("<tr>") == 4
    found = rvision.profile(model, np.zeros((1, 3, 8, 8), np.float32), runs=1)
    assert "<details" in found._repr_html_()
    assert found._repr_html_().count("<tr>") == len(found) + 2
    assert [row.name for row in summary] == ["0", "1"]
    assert len(summary) == 2


def test_rows_are_what_pandas_takes():
    pandas = pytest.importorskip("pandas")
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    frame = pandas.DataFrame(rvision.summary(model, (1, 3, 8, 8)))
    assert frame["num_params"].tolist() == [112, 0]
    found = rvision.profile(model, np.zeros((1, 3, 8, 8), np.float32), runs=1)
    assert {"name", "milliseconds"} <= set(pandas.DataFrame(found).columns)
    worst = pandas.DataFrame(evaluated(*MIXED[0], labels=MIXED[1]).worst())
    assert list(worst.columns) == ["source", "truth", "guess", "probability"]
