"""The Rust half of rvision."""

__version__: str
