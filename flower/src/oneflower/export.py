"""Turns a model file into the form of its framework, by the app's own module ``export``.

Run as ``python -m oneflower.export --app-folder DIR --model FILE.npz --manifest FILE.json --format F --output PATH``.
The manifest is a JSON object whose ``details`` are those that the app told with its model. The app's package has a
module ``export`` with ``FORMATS`` and ``export(arrays, details, format, target) -> Path``; the form ``npz`` needs no
app. Exit status: 0 when the
file (or folder) is written, 3 when the environment lacks the framework, 1 for everything else; in both cases one
line on stderr says why. What was begun is removed.
"""

import argparse
import importlib
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from oneflower.model_file import ModelFileError, read_model, write_model
from oneflower.text import one_line

NO_FRAMEWORK = 3
# The form that every model has.
ARRAYS = "npz"
# How a checkpoint names its parts; array names of models hold no slash.
MODEL_PART = "model/"
CONSTANT_PART = "constant/"
_COMPONENT = re.compile(r"(?P<package>[A-Za-z_][A-Za-z0-9_]*)\.[A-Za-z0-9_.]+:[A-Za-z0-9_]+\Z")


class ExportError(Exception):
    """The model cannot be given in this form."""


class FrameworkMissingError(ExportError):
    """The environment lacks what the form is made with; another one may have it."""


class Exporter(Protocol):
    """The module ``export`` of an app."""

    FORMATS: Collection[str]

    def export(self, arrays: Mapping[str, Any], details: Mapping[str, Any], format: str, target: Path) -> Path:  # noqa: A002
        """Write ``target``."""


def exporter_of(app_folder: Path) -> Exporter:
    """The module ``export`` of the app in a folder, which joins Python's path.

    :raises ExportError: the folder holds no app, or one without that module.
    """
    package = _package_of(app_folder)
    sys.path.insert(0, str(app_folder.resolve()))
    name = f"{package}.export"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in (package, name):
            raise ExportError(
                f"The app in {app_folder} gives its model as .npz only: it has no module {name}"
            ) from error
        raise FrameworkMissingError(f"This environment lacks {error.name}, which the app's export needs") from error
    return cast(Exporter, module)


def export_model(app_folder: Path, model: Path, manifest: Path, form: str, output: Path) -> Path:
    """Write a model in one of its app's forms. Returns ``output``.

    :raises FrameworkMissingError: the environment lacks the framework.
    :raises ExportError: the app does not know the form, or the files are not a model of it.
    """
    exporter = exporter_of(app_folder)
    if form not in exporter.FORMATS:
        raise ExportError(f"The app gives its model as npz, {', '.join(exporter.FORMATS)}; not as {form}")
    try:
        arrays = model_arrays(read_model(model))
    except ModelFileError as error:
        raise ExportError(str(error)) from error
    details = _details(manifest)
    try:
        return exporter.export(arrays, details, form, output)
    except ImportError as error:
        raise FrameworkMissingError(f"This environment lacks {error.name}, which the form {form} needs") from error
    except Exception as error:  # Whatever an app raises is told in one line.
        raise ExportError(f"The model could not be given as {form}: {error}") from error


def export_arrays(model: Path, output: Path) -> Path:
    """Write the arrays of a model by their names, without what else a checkpoint holds. Returns ``output``.

    :raises ExportError: the file is no model, or the disk is full.
    """
    try:
        write_model(model_arrays(read_model(model)), output)
    except ModelFileError as error:
        raise ExportError(str(error)) from error
    return output


def model_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The model's arrays of a model file or a checkpoint, which holds the strategy's state as well."""
    if not any(name.startswith(MODEL_PART) for name in arrays):
        return dict(arrays)
    parts = (MODEL_PART, CONSTANT_PART)
    return {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(parts)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Export as the command line says. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="oneflower.export", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--app-folder", type=Path, help="folder of the app, with pyproject.toml; not needed for npz")
    parser.add_argument("--model", type=Path, required=True, help="model file or checkpoint (.npz)")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file with the model's details")
    parser.add_argument("--format", required=True, help="form to write, such as pt, joblib or peft")
    parser.add_argument("--output", type=Path, required=True, help="file or folder to write; must not exist")
    options = parser.parse_args(arguments)
    if options.output.exists():
        sys.stderr.write(f"{options.output} exists already\n")
        return 1
    if options.app_folder is None and options.format != ARRAYS:
        parser.error(f"--app-folder is needed for {options.format}")
    try:
        if options.format == ARRAYS:
            export_arrays(options.model, options.output)
        else:
            export_model(options.app_folder, options.model, options.manifest, options.format, options.output)
    except ExportError as error:
        _remove(options.output)
        sys.stderr.write(f"{one_line(str(error))}\n")
        return NO_FRAMEWORK if isinstance(error, FrameworkMissingError) else 1
    return 0


def _package_of(app_folder: Path) -> str:
    try:
        with (app_folder / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)
        component = project["tool"]["flwr"]["app"]["components"]["serverapp"]
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ExportError(f"{app_folder} holds no Flower app: {error!r}") from error
    match = _COMPONENT.match(component) if isinstance(component, str) else None
    if match is None:
        raise ExportError(f"{app_folder}: serverapp is {component!r}, PACKAGE.MODULE:NAME is wanted")
    return match["package"]


def _details(manifest: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"Manifest {manifest} could not be read: {error}") from error
    details = document.get("details") if isinstance(document, dict) else None
    if not isinstance(details, dict):
        raise ExportError(f"Manifest {manifest} states no details of the model")
    return details


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
