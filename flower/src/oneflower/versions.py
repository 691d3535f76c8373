"""Versions of what trains, as a node tells them beside its arrays and a server with its model."""

import platform
from importlib import metadata

from flwr.app import ConfigRecord

# Record of a node's reply to a training message that holds them.
VERSIONS_RECORD = "versions"


def versions_record(*packages: str) -> ConfigRecord:
    """Versions of the node's packages, by their names in an index; those that are not installed are left out."""
    return ConfigRecord({**installed(*packages)})


def installed(*packages: str) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def server_versions() -> dict[str, str]:
    """Versions of what aggregates."""
    return {"python": platform.python_version(), **installed("flwr", "numpy")}
