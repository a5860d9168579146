"""Devices of a run: their names, and one set of models for each."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.machine.devices import leased_backends, process_backends
from flows.parameters import Workers
from valle.backends.registry import Backends
from valle.devices import expand_devices
from warehouse.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
PLACE = """
import sys
from flows.parameters import Workers
from flows.machine.devices import leased_backends
with leased_backends(Workers(runner="processes", devices=("cpu", "meta")), sys.argv[1]) as backends:
    print(backends.device, flush=True)
    sys.stdin.read()
"""


def test_names_are_expanded_to_one_device_per_set_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expand_devices(("cuda:0", "cuda:2")) == ("cuda:0", "cuda:2")
    assert expand_devices(("cpu x 2", "cuda:1")) == ("cpu", "cpu", "cuda:1")
    monkeypatch.setattr("valle.devices._num_gpus", lambda: 0)
    assert expand_devices(("auto",)) == ("cpu",)
    with pytest.raises(ConfigurationError, match="no CUDA device"):
        expand_devices(("cuda",))
    monkeypatch.setattr("valle.devices._num_gpus", lambda: 2)
    assert expand_devices(("auto",)) == expand_devices(("cuda",)) == ("cuda:0", "cuda:1")
    for name in ("gpu 1", "cpu x 0", ""):
        with pytest.raises(ConfigurationError, match="A device is"):
            expand_devices((name,))


def test_a_form_gives_devices_as_a_list_or_as_text_and_each_takes_a_shard_at_a_time() -> None:
    assert Workers.model_validate({"devices": "cuda:0, cuda:1"}).devices == ("cuda:0", "cuda:1")
    assert Workers.model_validate({"devices": ["cpu x 3"]}).slots == 3
    assert Workers(width=4).slots == 4
    with pytest.raises(ValidationError):
        Workers.model_validate({"device": "cpu"})


def test_two_sets_of_models_are_never_lent_to_two_shards_at_a_time() -> None:
    workers = Workers(devices=("cpu x 2",))
    with leased_backends(workers, "run") as first:
        found: list[Backends] = []

        def other() -> None:
            with leased_backends(workers, "run") as second:
                found.append(second)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert found[0] is not first
    with leased_backends(workers, "run") as again:
        assert again is first is process_backends(workers)


def test_each_process_of_a_run_has_a_device_of_its_own(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PLACE, tmp_path.name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        first = other.stdout.readline().strip()
        with leased_backends(Workers(runner="processes", devices=("cpu", "meta")), tmp_path.name) as backends:
            assert {first, str(backends.device)} == {"cpu", "meta"}
        other.communicate("")
