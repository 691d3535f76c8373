from pathlib import Path

import pytest
from flwr.app import Context, RecordDict

from conftest import ReadEvents
from oneflower.device import cpu_name, device_of, use_device


def test_a_node_names_its_device_once_a_run(journal: ReadEvents, caplog: pytest.LogCaptureFixture) -> None:
    context = Context(run_id=7, node_id=1, node_config={}, state=RecordDict(), run_config={})
    caplog.set_level("INFO", "flwr.oneflower")
    for _ in range(3):
        device = use_device(context, "sklearn")
    assert (device.kind, device.place) == ("cpu", "cpu")
    assert [event["event"] for event in journal()] == ["node_device"]
    assert journal()[0]["data"] == {"run_id": "7", "device": "cpu", "name": cpu_name()}
    assert [record.getMessage() for record in caplog.records if "Device" in record.getMessage()] == [
        f"Device: CPU, {cpu_name()}"
    ]


def test_the_cpu_has_a_name_where_the_kernel_gives_none(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: A fast one\n\nprocessor\t: 1\nmodel name\t: A fast one\n")
    assert cpu_name(facts).startswith("A fast one, ")
    assert cpu_name(tmp_path / "absent")


def test_an_unknown_framework_is_an_error() -> None:
    with pytest.raises(ValueError, match="no framework jax"):
        device_of("jax")
