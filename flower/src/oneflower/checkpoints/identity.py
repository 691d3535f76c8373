"""What a checkpoint belongs to: app, framework, strategy and model. Another's is never loaded."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneflower.checkpoints.manifest import Manifest
from oneflower.text import few_of

# Where Flower unpacks apps: .../apps/<publisher>.<name>.<version>.<first 8 digits of the hash>
_FAB_FOLDER = re.compile(r"(?P<publisher>[^.]+)\.(?P<name>[^.]+)\.(?P<version>.+)\.[0-9a-f]{8}\Z")
_FEW = 3


@dataclass(frozen=True)
class Identity:
    """Of one run. ``fab``, ``app`` and ``framework`` are None where they are not known."""

    run_id: str
    fab: str | None
    app: str | None
    framework: str | None
    strategy: str

    @classmethod
    def of_run(
        cls, run_id: int, run_config: Mapping[str, object], strategy: str, *, app: str | None, framework: str | None
    ) -> "Identity":
        """What is given, else what the folder of the app's sources and the run configuration say."""
        fab = fab_folder(sys.path)
        named = run_config.get("framework")
        return cls(
            run_id=str(run_id),
            fab=fab,
            app=app or (app_of_fab(fab) if fab else None),
            framework=framework or (named if isinstance(named, str) and named else None),
            strategy=strategy,
        )

    def completed(self, details: Mapping[str, object]) -> "Identity":
        """The same with ``app`` and ``framework`` of an app's details, where nothing else has told them."""
        found = {name: value for name in ("app", "framework") if isinstance(value := details.get(name), str) and value}
        return replace(self, app=self.app or found.get("app"), framework=self.framework or found.get("framework"))

    def differences(self, manifest: Manifest) -> list[str]:
        """In what a checkpoint is another's; what one of both does not know is not compared."""
        pairs = [
            ("app", manifest.app, self.app),
            ("framework", manifest.framework, self.framework),
            ("strategy", manifest.strategy, self.strategy),
        ]
        return [
            f"its {what} is {theirs}, that of this run is {ours}"
            for what, theirs, ours in pairs
            if theirs is not None and ours is not None and theirs != ours
        ]


def fab_folder(paths: Sequence[str]) -> str | None:
    """Name of the folder that Flower has unpacked the app into, where modules are looked for; None elsewhere."""
    for path in map(Path, paths):
        if path.parent.name == "apps" and _FAB_FOLDER.match(path.name):
            return path.name
    return None


def app_of_fab(fab: str) -> str | None:
    """The app's name in the name of such a folder."""
    match = _FAB_FOLDER.match(fab)
    return match["name"] if match else None


def array_differences(
    what: str, theirs: Mapping[str, Mapping[str, Any]], ours: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """In what names, shapes and types of a checkpoint's arrays differ from those of the run."""
    found: list[str] = []
    for missing, where in ((set(ours) - set(theirs), "lacks"), (set(theirs) - set(ours), "has beyond this run")):
        if missing:
            found.append(f"it {where} the {what} {few_of(sorted(missing))}")
    if not found and list(theirs) != list(ours):
        found.append(f"its {what} arrays come in another order")
    for name in ours:
        if name in theirs and _form(theirs[name]) != _form(ours[name]):
            found.append(f"its {what} {name} is {_form(theirs[name])}, that of this run is {_form(ours[name])}")
    return found[:_FEW] + ([f"and {len(found) - _FEW} more differences"] if len(found) > _FEW else [])


def _form(described: Mapping[str, Any]) -> str:
    return f"{described['dtype']} {tuple(described['shape'])}"
