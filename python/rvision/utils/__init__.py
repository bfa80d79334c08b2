"""Pictures of results (`torchvision.utils`): boxes, heat maps, grids, as Pillow pictures; and `data`."""

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.dense
import rvision.nn
import rvision.ops
import rvision.transforms  # noqa: F401
from rvision.utils import data
from rvision.utils._draw import draw_bounding_boxes
from rvision.utils._grid import make_grid
from rvision.utils._heatmap import draw_heatmap
from rvision.utils._save import save_image

__all__ = ["data", "draw_bounding_boxes", "draw_heatmap", "make_grid", "save_image"]


def __dir__() -> list[str]:
    return sorted(__all__)
