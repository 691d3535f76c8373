import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FLOWER = Path(__file__).parents[1]
# river only carries the Shuttle rows; what it would compute with is not installed.
CARRIES_DATA_ONLY = {"river"}


def pins(name: str) -> dict[str, str]:
    lines = (FLOWER / name).read_text().splitlines()
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


GUEST = pins("requirements.lock")
TESTS = pins("requirements-dev.lock")


def unmet(locked: dict[str, str], names: dict[str, str]) -> list[str]:
    """Requirements of the named packages that the locked ones do not meet."""
    problems: list[str] = []
    for name in names.keys() - CARRIES_DATA_ONLY:
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            version = locked.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                problems.append(f"{name} wants {text}, locked is {version}")
    return problems


def differing(locked: dict[str, str]) -> dict[str, str]:
    """Locked packages that are here in another version, with that version."""
    here = {name: metadata.version(name) for name in locked}
    # A build for CPUs may say so, as 2.13.0+cpu does.
    return {name: version for name, version in here.items() if version.split("+")[0] != locked[name]}


@pytest.mark.parametrize(("name", "version"), sorted({**GUEST, **TESTS}.items()))
def test_the_environment_is_the_locked_one(name: str, version: str) -> None:
    assert metadata.version(name) == version


def test_guests_need_nothing_that_is_not_locked() -> None:
    assert unmet(GUEST, GUEST) == []
    # Extras of a package are not seen from its side: flwr asks for those of sqlalchemy and uvicorn.
    assert {"greenlet", "uvloop", "httptools", "websockets", "watchfiles", "python-dotenv"} <= set(GUEST)


def test_tests_need_nothing_that_is_not_locked() -> None:
    assert unmet({**GUEST, **TESTS}, TESTS) == []


def test_no_package_is_locked_twice_and_none_for_tests_reaches_guests() -> None:
    assert not set(GUEST) & set(TESTS)
    assert not {"pytest", "pyone", "mypy", "ruff"} & set(GUEST)


@pytest.mark.parametrize("use", ["flwr", "numpy", "scikit-learn", "river"])
def test_guests_have_what_the_apps_use(use: str) -> None:
    assert use in GUEST
