"""Reports of a run beside its metrics: trackers and the trace of a profiler."""

import json
import sys

import pytest

from valle.training.loop import train
from valle.training.reports.trackers import Trackers
from warehouse.errors import DependencyError


def test_tensorboard_has_the_metrics_of_a_run_and_the_profiler_its_updates(options):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    chosen = options.model_copy(update={"trackers": ("tensorboard",), "profile_steps": 1})
    train(chosen)
    events = accumulators.EventAccumulator(str(options.run_dir / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 7))
    assert events.Scalars("top10_nar_by_codebook/1")
    trace = json.loads((options.run_dir / "profile" / "trace.json").read_text())
    assert any("backward" in event.get("name", "").lower() for event in trace["traceEvents"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_other_trackers_write_offline_below_the_run(options, name, monkeypatch):
    pytest.importorskip(name, exc_type=ImportError)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    trackers = Trackers(options.model_copy(update={"trackers": (name,)}), step=0)
    for step in (1, 2):
        trackers.log({"step": step, "loss": 1.0 / step, "top10": None})
    assert trackers._trackers, "it failed"
    trackers.close()
    if name == "wandb":
        assert list(options.run_dir.glob("wandb/offline-run-*/*.wandb"))
    else:
        tracker = trackers._trackers[name]
        history = tracker._client.get_metric_history(tracker._run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5)]


def test_a_tracker_that_is_not_installed_is_one_sentence(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(DependencyError, match=r"needs wandb .*pip install wandb"):
        Trackers(options.model_copy(update={"trackers": ("wandb",)}), step=0)


def test_a_tracker_that_fails_is_switched_off(options, caplog):
    trackers = Trackers(options, step=0)

    class Full:
        def log(self, numbers, step):
            raise OSError("No space left on device")

        def close(self):
            raise AssertionError("it was switched off")

    trackers._trackers["full"] = Full()
    trackers.log({"step": 1, "loss": 2.0})
    trackers.close()
    assert "full failed and gets no more metrics: No space left" in caplog.text
