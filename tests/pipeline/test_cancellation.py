"""A run at work notices by itself that its server has cancelled it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling, Running

ROOT = Path(__file__).parents[2]
AT_WORK = (
    "import time; from flows.runtime.cancellation import watch_for_cancellation\n"
    "with watch_for_cancellation(): print('held', flush=True); time.sleep(600)"
)
pytestmark = pytest.mark.slow


@flow
def some_flow() -> None:
    """Is never run."""


def test_a_cancelled_run_without_a_worker_gets_sigterm_from_its_watcher(prefect_server: None) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(some_flow, state=Running())
        environment = {
            "PREFECT_API_URL": PREFECT_API_URL.value(),
            "PREFECT__RUNTIME__FLOW_RUN__ID": str(run.id),
            "PREFECT__RUNTIME__DEPLOYMENT__ID": str(uuid4()),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", AT_WORK], cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        client.set_flow_run_state(run.id, Cancelling(), force=True)
        assert process.wait(500) == -signal.SIGTERM
