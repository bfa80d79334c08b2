"""Detections from a classifier: windows at all positions and scales, the best of overlapping ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._numbers import integer, integers, real
from rvision.dense._convolutionize import Size
from rvision.dense._map import Map
from rvision.dense._pad import check_pad
from rvision.dense._pictures import Scale, Transform
from rvision.dense._predict import predict
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.ops import batched_nms, clip_boxes_to_image

__all__ = ["SlidingWindowDetector", "scale_factors"]


class SlidingWindowDetector:
    """A classifier as a detector: a picture to boxes, labels and scores, as from torchvision's detectors.

    The classifier runs on every window of the picture, at every scale, by
    :func:`rvision.dense.predict`. For each class, windows with a probability above `threshold`
    compete: the best is kept, those that overlap it by more than `iou` are dropped, and so on
    (non-maximum suppression). The boxes are the windows themselves: an object's outline is not
    known, so a box is as large as the window at that scale.

    Parameters
    ----------
    model : Module
        A classifier, (N, C, H, W) to (N, classes).
    scales : sequence, or "overfeat"
        Factors of the picture's size, or sizes, as for :func:`rvision.dense.predict`. In a smaller
        picture a window covers more of it, so larger objects are found; :func:`scale_factors` makes
        a series. Scales other than (1.0,) need a picture that `transform` prepares.
    stride : int or (vertical, horizontal), optional
        From one window to the next, in pixels of the scaled picture; by default the network's own.
    threshold : float
        Probability (softmax over the classes) above which a window counts, 0 to 1. It counts for every class
        above the threshold, of which there can be several below 0.5.
    iou : float
        Intersection over union above which the worse of two windows of a class is dropped, 0 to 1.
    input_size, padding, squeeze, transform, pad
        Passed to :func:`rvision.dense.predict`. With `pad`, windows may extend beyond the picture's
        edge; boxes are clipped to the picture.
    classes : sequence of int, optional
        The classes to detect; by default all, including a background class if there is one.
    max_detections : int, optional
        The largest number of detections to return, best first; by default all.
    progress : bool
        Whether to show a bar on stderr.

    Raises
    ------
    ArgumentError
        If an argument is out of range.

    Notes
    -----
    Sermanet et al.: "OverFeat: Integrated Recognition, Localization and Detection using
    Convolutional Networks" (arXiv:1312.6229), without box regression.

    Examples
    --------
    >>> detector = SlidingWindowDetector(model, scales=[1.0, 0.7, 0.5], transform=weights.transforms())
    >>> found = detector(Image.open("picture.jpg"))
    >>> found["boxes"].shape, found["labels"].shape, found["scores"].shape
    ((3, 4), (3,), (3,))
    """

    def __init__(
        self,
        model: Module,
        scales: Sequence[Scale] | str = (1.0,),
        stride: Size | None = None,
        threshold: float = 0.5,
        iou: float = 0.3,
        *,
        input_size: Size | None = None,
        padding: str = "shared",
        squeeze: str | None = None,
        transform: Transform | None = None,
        pad: str | None = None,
        classes: Sequence[int] | None = None,
        max_detections: int | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.scales = scales if isinstance(scales, str) else tuple(scales)
        if not self.scales:
            raise ArgumentError(f"SlidingWindowDetector: scales: expected one or more, got {scales!r}")
        for name, value in (("threshold", threshold), ("iou", iou)):
            if not 0 <= real(value, f"SlidingWindowDetector: {name}") <= 1:
                raise ArgumentError(f"SlidingWindowDetector: {name} must be 0 to 1, got {value}")
        if max_detections is not None:
            max_detections = integer(max_detections, "SlidingWindowDetector: max_detections", 1)
        self.stride = stride
        self.threshold = threshold
        self.iou = iou
        self.input_size = input_size
        self.padding = padding
        self.squeeze = squeeze
        self.transform = transform
        check_pad(pad, "SlidingWindowDetector")
        self.pad = pad
        self.classes = (
            None if classes is None else sorted({*integers(classes, "SlidingWindowDetector: classes")})
        )
        self.max_detections = max_detections
        self.progress = progress

    def __call__(self, image: Any) -> dict[str, NDArray[Any]]:
        """Detect objects on a picture.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            As :func:`rvision.dense.predict` takes it.

        Returns
        -------
        dict
            Best first: ``"boxes"``, float32 (K, 4), xyxy in pixels of the picture, clipped to it;
            ``"labels"``, int64 (K,), classes; ``"scores"``, float32 (K,), probabilities.
        """
        return self.select(self.maps(image))

    def maps(self, image: Any) -> list[Map]:
        """Return the maps of a picture, one per scale, from which `select` takes the detections."""
        arguments: dict[str, Any] = {
            "input_size": self.input_size,
            "padding": self.padding,
            "squeeze": self.squeeze,
            "transform": self.transform,
            "pad": self.pad,
            "progress": self.progress,
        }
        # A prepared array cannot be scaled, and need not be here.
        if self.scales == (1.0,):
            return [predict(self.model, image, self.stride, **arguments)]
        return predict(self.model, image, self.stride, scales=self.scales, **arguments)

    def select(self, maps: Sequence[Map]) -> dict[str, NDArray[Any]]:
        """Return the detections on a picture from its maps, as calling the detector does."""
        found = [self._above(map) for map in maps]
        boxes, labels, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        best = batched_nms(boxes, scores, labels, self.iou)[: self.max_detections]
        return {"boxes": boxes[best], "labels": labels[best], "scores": scores[best]}

    def _above(self, map: Map) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Return the windows of a map above the threshold, with class and probability."""
        probabilities = map.probabilities()
        labels = np.arange(len(probabilities))
        if self.classes is not None:
            if self.classes and not 0 <= self.classes[0] <= self.classes[-1] < len(labels):
                raise ArgumentError(
                    f"SlidingWindowDetector: classes: the network has 0 to {len(labels) - 1}, "
                    f"got {self.classes}"
                )
            labels = np.array(self.classes, np.int64)
            probabilities = probabilities[labels]
        # NaN is not above the threshold either.
        which, rows, columns = np.nonzero(probabilities > np.float32(self.threshold))
        boxes = clip_boxes_to_image(map.windows()[rows, columns], map.image_size)
        return boxes, labels[which].astype(np.int64), probabilities[which, rows, columns]


def scale_factors(
    image_size: tuple[int, int], window_size: tuple[int, int], count: int, largest: float = 1.0
) -> list[float]:
    """Return a geometric series of scales, down to where the window covers the picture's shorter side.

    Parameters
    ----------
    image_size, window_size : (int, int)
        Height and width of the picture and of the network's window.
    count : int
        Number of scales.
    largest : float
        The first scale. For a picture that must be enlarged to hold the window, only that scale is
        returned.

    Returns
    -------
    list of float
        In descending order; fewer than `count` if some would coincide.
    """
    if count < 1:
        raise ArgumentError(f"scale_factors: count must be 1 or more, got {count}")
    smallest = max(window / side for window, side in zip(window_size, image_size, strict=True))
    if count == 1 or smallest >= largest:
        return [max(smallest, largest)]
    ratio = (smallest / largest) ** (1 / (count - 1))
    # The last scale exactly: rounded down, the window would not fit.
    return [largest * ratio**i for i in range(count - 1)] + [smallest]
