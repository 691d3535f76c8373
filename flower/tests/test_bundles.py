"""What of an app is handed to Flower: the same bytes wherever and whenever it is built, and nothing but the app."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from flwr.cli.build import build_fab_from_disk

APPS = sorted((Path(__file__).parents[1] / "apps").iterdir())
MOST_BYTES = 10_000_000


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
class TestBundle:
    def test_a_copy_elsewhere_of_another_time_gives_the_same_bytes(self, app: Path, tmp_path: Path) -> None:
        built = []
        for place, time in (("one", 1_000_000_000), ("another/deeper", 1_700_000_000)):
            copy = tmp_path / place / app.name
            shutil.copytree(app, copy, ignore=shutil.ignore_patterns("__pycache__"))
            for path in copy.rglob("*"):
                os.utime(path, (time, time))
            built.append(build_fab_from_disk(copy))
        assert built[0] == built[1]

    def test_holds_the_app_and_nothing_else(self, app: Path, tmp_path: Path) -> None:
        copy = tmp_path / app.name
        shutil.copytree(app, copy, ignore=shutil.ignore_patterns("__pycache__"))
        clean = build_fab_from_disk(copy)
        for folder in ("__pycache__", ".pytest_cache", f"{app.name.replace('-', '_')}/__pycache__"):
            (copy / folder).mkdir()
            (copy / folder / "left.cpython-311.pyc").write_bytes(b"left")
        assert build_fab_from_disk(copy) == clean
        assert len(clean) < MOST_BYTES
        names = zipfile.ZipFile(io.BytesIO(clean)).namelist()
        assert "pyproject.toml" in names
        strange = [name for name in names if "test" in name.lower() or "cache" in name.lower()]
        assert strange == []
