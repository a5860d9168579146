"""The start of a training for the page: `valle train` as a process of its own."""

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.data_root import DataRoot
    from valle.training.options import TrainSettings

_PROGRAM = "import sys; from valle.cli import main; sys.exit(main())"


class TrainCommand:
    """Start `valle train` as a process of its own, which lives on without the page.

    It is a run of the configured Prefect server, or of the local server of the data root where that runs.
    """

    def __init__(self, data_root: "DataRoot") -> None:
        self._data_root = data_root

    def __call__(self, training_set: str, run: str, settings: "TrainSettings") -> str:
        """Start a run; return one sentence. Raises ConfigurationError for a name that no run can have."""
        from flows.parameters import TrainParameters

        root = self._data_root.root.resolve()
        try:
            parameters = TrainParameters(data=root, training_set=training_set, run=run, options=settings)
        except ValidationError as error:
            raise ConfigurationError("; ".join(problem["msg"] for problem in error.errors())) from error
        if not (self._data_root.training_sets / training_set / "set.json").exists():
            raise ConfigurationError(f"There is no training set {training_set!r}; make it with `valle select`.")
        folder = self._data_root.runs / run
        folder.mkdir(parents=True, exist_ok=True)
        # As a file: a command line of all options would be longer than a terminal shows.
        config = folder / "started.yaml"
        config.write_text(
            json.dumps(parameters.model_dump(mode="json", exclude_defaults=True), indent=1), encoding="utf-8"
        )
        environment = self._environment()
        log = folder / "started.log"
        # Appended: a run that is continued keeps the log of its beginning.
        with log.open("ab") as output:
            subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "--config", str(config), "train"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                # Otherwise Ctrl-C of the page would end the training, too.
                start_new_session=True,
            )
        server = environment.get("PREFECT_API_URL", "")
        where = f"on the Prefect server {server.removesuffix('/api')}" if server else "in a process of its own"
        return f"{run} is started {where}; its log is {log}."

    def _environment(self) -> dict[str, str]:
        """Return the environment of the process, with the local server of the data root where it runs."""
        from flows.server.local_server import load_local_server

        environment = dict(os.environ)
        server = load_local_server(self._data_root.root)
        if "PREFECT_API_URL" not in environment and server is not None and _answers(server.api_url):
            environment["PREFECT_API_URL"] = server.api_url
        return environment


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=2).status_code < 500
    except httpx.HTTPError:
        return False
