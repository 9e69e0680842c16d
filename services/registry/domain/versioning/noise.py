"""Configuration keys that say nothing about the trained model: where it was written, how much was logged."""

from __future__ import annotations

from collections.abc import Collection

NOISE = (
    # where files are
    "cache_dir",
    "checkpoint_dir",
    "data_dir",
    "data_path",
    "log_dir",
    "logging_dir",
    "out_dir",
    "output_dir",
    "save_dir",
    # what the run is called, and how it reports
    "log_level",
    "run_id",
    "run_name",
    "verbose",
    "verbosity",
    # on what it ran
    "device",
    "n_jobs",
    "num_workers",
    # chance: another seed is a repetition of the same training
    "random_seed",
    "random_state",
    "seed",
)
"""The default of `REGISTA_NOISE_KEYS`. The list is in docs/versions.md; a test compares both."""


def is_noise(path: tuple[str, ...], keys: Collection[str]) -> bool:
    """Return whether a configuration value does not count: its own key is listed, or its whole path is.

    A key is compared as it is written. What is below a listed key counts.
    """
    return path[-1] in keys or (len(path) > 1 and ".".join(path) in keys)
