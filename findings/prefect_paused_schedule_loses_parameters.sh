#!/usr/bin/env bash
# Prefect 3.8.8: pausing a schedule clears its parameter overrides, and resuming it does not bring them back.
#
# The update of a schedule has an empty mapping as the default of `parameters`, and the server stores every value that
# is not null. So an update of `active` alone, which is what a switch in the UI sends, replaces the parameters of the
# schedule by none: its runs then have the parameters of the deployment. A deployment per set of parameters keeps them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet prefect==3.8.8 fastapi==0.150.0 starlette==1.10.0
PREFECT_HOME="$folder/home" PREFECT_SERVER_ANALYTICS_ENABLED=false PREFECT_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" - <<'PYTHON'
import prefect
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.testing.utilities import prefect_test_harness


@prefect.flow
def count(up_to: int = 1) -> None:
    """Is never run."""


print("prefect", prefect.__version__)
with prefect_test_harness(server_startup_timeout=300), get_client(sync_client=True) as client:
    deployment = client.create_deployment(client.create_flow(count), "counting", parameters={"up_to": 1})
    nightly = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 2 * * *"), parameters={"up_to": 9})
    (made,) = client.create_deployment_schedules(deployment, [nightly])
    print("made:   ", made.active, made.parameters)
    shown = [made.parameters]
    for active in (False, True):
        client.request("PATCH", f"/deployments/{deployment}/schedules/{made.id}", json={"active": active})
        (now,) = client.read_deployment_schedules(deployment)
        print("paused: " if not active else "resumed:", now.active, now.parameters)
        shown.append(now.parameters)
assert shown == [{"up_to": 9}, {}, {}], "pausing a schedule keeps its parameters now"
PYTHON
