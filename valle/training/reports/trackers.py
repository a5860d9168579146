"""Experiment trackers that receive every line of metrics: TensorBoard, Weights & Biases, MLflow.

Each writes below the directory of its run unless its own environment variables name a server. A tracker that fails is
switched off with a warning: metrics are in `metrics.jsonl` anyway, and a training should not end for a server.
"""

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from valle.training.options import TrainOptions
from warehouse.errors import DependencyError

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """One destination of metrics."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Record numbers by name at a step."""

    def close(self) -> None:
        """Write what is buffered."""


class Trackers:
    """All trackers of a run, open from a step on; none without options, on ranks that do not report."""

    def __init__(self, options: TrainOptions | None, *, step: int) -> None:
        kinds = {} if options is None else {name: _KINDS[name] for name in options.trackers}
        self._trackers: dict[str, Tracker] = {
            name: kind(options, step) for name, kind in kinds.items() if options is not None
        }

    def log(self, line: Mapping[str, Any]) -> None:
        """Record the numbers of a line of metrics; lists of numbers get a name each."""
        numbers = _numbers(line)
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.log(numbers, int(line["step"]))
            except Exception as error:  # noqa: BLE001 - no error of its library may end the run
                log.warning("The tracker %s failed and gets no more metrics: %s", name, error)
                del self._trackers[name]

    def close(self) -> None:
        """Close every tracker."""
        for name, tracker in self._trackers.items():
            try:
                tracker.close()
            except Exception as error:  # noqa: BLE001 - as above
                log.warning("The tracker %s could not be closed: %s", name, error)


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            numbers |= {f"{name}/{key}": item for key, item in value.items()}
        elif isinstance(value, list):
            numbers |= {f"{name}/{index}": item for index, item in enumerate(value)}
        elif name != "step":
            numbers[name] = value
    return {name: float(value) for name, value in numbers.items() if isinstance(value, int | float)}


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"The tracker needs {package} ({error}); install it with `pip install {package}`, or leave it out."
        ) from error


class _TensorBoard:
    def __init__(self, options: TrainOptions, step: int) -> None:
        library = _load("torch.utils.tensorboard", "tensorboard")
        # Steps that a resumed run repeats replace the earlier ones.
        self._writer = library.SummaryWriter(str(options.run_dir / "tensorboard"), purge_step=step + 1)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, options: TrainOptions, step: int) -> None:
        library = _load("wandb", "wandb")
        self._run = library.init(
            project=os.environ.get("WANDB_PROJECT", "valle"),
            id=options.name,
            name=options.name,
            dir=str(options.run_dir),
            # `wandb sync` uploads later what an offline run wrote.
            mode=os.environ.get("WANDB_MODE", "offline"),
            resume="allow",
            config=options.model_dump(mode="json"),
        )

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class _MlFlow:
    def __init__(self, options: TrainOptions, step: int) -> None:
        library = _load("mlflow", "mlflow-skinny")
        path = (options.run_dir / "mlflow.db").absolute()
        self._client = library.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{path}"))
        experiment = self._client.get_experiment_by_name("valle")
        number = experiment.experiment_id if experiment else self._client.create_experiment("valle")
        found = self._client.search_runs([number], f"attributes.run_name = '{options.name}'")
        run = found[0] if found else self._client.create_run(number, run_name=options.name)
        self._run_id = run.info.run_id

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run_id)


_KINDS: Mapping[str, Callable[[TrainOptions, int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MlFlow,
}
