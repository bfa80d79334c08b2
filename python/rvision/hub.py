"""Published files: their cache and downloads (the part of `torch.hub` that weights need).

Files are stored in and taken from torch's own cache. Environment variables:

============================ ==========================================================================
`TORCH_HOME`                 the cache's folder (`$XDG_CACHE_HOME/torch`, `~/.cache/torch`)
`RVISION_OFFLINE`            1: use what is there, never the network
`RVISION_MIRROR`             base addresses to use instead of `https://download.pytorch.org/models`
`RVISION_DOWNLOAD_TIMEOUT`   seconds without data after which a connection counts as stalled (30)
`SSL_CERT_FILE`              certificates to trust
`http_proxy`, `https_proxy`  proxies, as everywhere
============================ ==========================================================================
"""

from __future__ import annotations

import rvision.weights  # noqa: F401  (the package before its submodules, for threads)
from rvision.errors import DownloadError
from rvision.weights._cache import get_dir, set_dir
from rvision.weights._fetch import cached_file, download_url_to_file, load_state_dict_from_url, local_file

__all__ = [
    "DownloadError",
    "cached_file",
    "download_url_to_file",
    "get_dir",
    "load_state_dict_from_url",
    "local_file",
    "set_dir",
]
