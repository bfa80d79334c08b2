"""`rvision.datasets`: pictures in class folders and random ones, against torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.datasets import DatasetFolder, FakeData, ImageFolder


@pytest.fixture
def root(tmp_path):
    for index, name in enumerate(["dog/b.PNG", "dog/a.png", "cat/deep/c.jpg", "cat/d.bmp", "dog/notes.txt"]):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".txt":
            file.write_text("no picture")
        else:
            Image.new("L" if index == 1 else "RGB", (3, 2), 10 * index).save(file)
    return tmp_path / "data"


def test_an_image_folder(root):
    found = ImageFolder(root)
    assert found.classes == ["cat", "dog"] and found.class_to_idx == {"cat": 0, "dog": 1}
    files = [root / name for name in ["cat/d.bmp", "cat/deep/c.jpg", "dog/a.png", "dog/b.PNG"]]
    assert found.samples == found.imgs == list(zip(map(str, files), [0, 0, 1, 1], strict=True))
    assert found.targets == [0, 0, 1, 1] and len(found) == 4
    picture, target = found[2]
    assert (picture.mode, picture.size, target) == ("RGB", (3, 2), 1)
    assert picture.getpixel((0, 0)) == (10, 10, 10)
    found = ImageFolder(str(root), transform=np.asarray, target_transform=str)
    assert found[0][0].shape == (2, 3, 3) and found[0][1] == "0"


def test_it_is_torchvisions(torch, root):
    from torchvision import datasets

    ours, theirs = ImageFolder(root), datasets.ImageFolder(root)
    assert (ours.classes, ours.samples, ours.targets) == (theirs.classes, theirs.samples, theirs.targets)
    for (a, x), (b, y) in zip(ours, theirs, strict=True):
        assert x == y and np.array_equal(np.asarray(a), np.asarray(b))


def test_other_files_and_loaders(root):
    found = DatasetFolder(
        root, lambda path: path[-5:], is_valid_file=lambda path: path.endswith("txt"), allow_empty=True
    )
    assert [found[i] for i in range(len(found))] == [("s.txt", 1)]


def test_what_is_missing(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        ImageFolder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no class folders"):
        ImageFolder(root / "dog")
    (root / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"classes bird.*allow_empty=True"):
        ImageFolder(root)
    assert ImageFolder(root, allow_empty=True).targets == [1, 1, 2, 2]
    with pytest.raises(rvision.ArgumentError, match="either extensions or is_valid_file"):
        DatasetFolder(root, len)
    (root / "dog" / "a.png").write_bytes(b"broken")
    with pytest.raises(OSError, match=r"a\.png: not a picture"):
        ImageFolder(root, allow_empty=True)[2]


def test_fake_data():
    data = FakeData(3, (3, 4, 5), 10, random_offset=1)
    picture, target = data[0]
    # torchvision 0.29: FakeData(3, (3, 4, 5), 10)[1]
    assert target == 5 and picture.size == (5, 4)
    expected = [[[123, 220, 228], [65, 62, 74]], [[101, 212, 35], [7, 196, 63]]]
    difference = np.abs(np.asarray(picture)[:2, :2].astype(int) - expected)
    assert difference.max() <= 1
    assert len(list(data)) == len(data) == 3
    assert FakeData(2, (1, 2, 2), transform=np.asarray, target_transform=str)[1][0].shape == (2, 2)


def test_fake_data_is_torchvisions(torch):
    from torchvision import datasets

    ours, theirs = FakeData(4, (3, 16, 16), 7), datasets.FakeData(4, (3, 16, 16), 7)
    for (a, x), (b, y) in zip(ours, theirs, strict=True):
        difference = np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int))
        # A level below 0 wraps around to 255.
        assert x == y and np.isin(difference, [0, 1, 255]).all() and (difference != 0).mean() < 0.02


@pytest.mark.parametrize("workers", [0, 2])
def test_with_a_loader(root, workers):
    from rvision.transforms import ToTensor
    from rvision.utils.data import DataLoader

    x, y = next(iter(DataLoader(ImageFolder(root, ToTensor()), batch_size=4, num_workers=workers)))
    assert x.shape == (4, 3, 2, 3) and y.tolist() == [0, 0, 1, 1]
