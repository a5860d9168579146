"""Checks of `valle doctor --prefect`: the server, its version, pools, workers, deployments and automations."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import prefect
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from flows.server.deploy import automations, declared_deployments
from flows.server.local_server import POOLS, checkout, load_local_server
from flows.server.password import read_password
from valle.doctor import BROKEN, MISSING, OK, Finding

_UP = "valle up"


def diagnose_prefect(data: Path) -> Sequence[Finding]:
    """Check the configured server, or else the local server of a data root; stop when none answers."""
    local = load_local_server(data)
    url = PREFECT_API_URL.value() or (local.api_url if local is not None else None)
    if url is None:
        return [Finding("prefect server", MISSING, f"none is configured, and none was started below {data}", _UP)]
    is_local = local is not None and local.api_url == url
    password = read_password(local.home) if local is not None and is_local else PREFECT_API_AUTH_STRING.value()
    with SyncPrefectClient(url, auth_string=password) as client:
        problem = client.api_healthcheck()
        if problem is not None:
            fix = _UP if is_local else "export PREFECT_API_URL=<its address>/api"
            return [Finding("prefect server", BROKEN, f"{url} does not answer: {problem!s:.100}", fix)]
        try:
            return [Finding("prefect server", OK, url), *_checks(client)]
        except PrefectHTTPStatusError as error:
            fix = "export PREFECT_API_AUTH_STRING=<its password>"
            return [Finding("prefect server", BROKEN, f"{url} refuses: {error!s:.100}", fix)]


def _checks(client: SyncPrefectClient) -> list[Finding]:
    found = [_version(client), *(_pool(client, name) for name in POOLS)]
    return [*found, *_deployments(client, checkout()), *_automations(client)]


def _version(client: SyncPrefectClient) -> Finding:
    server, client_version = client.api_version(), prefect.__version__
    if server == client_version:
        return Finding("prefect version", OK, f"{server}, client and server")
    detail = f"the server is {server} and the client is {client_version}; runs may fail to report"
    return Finding("prefect version", BROKEN, detail, f"pip install prefect=={server}")


def _pool(client: SyncPrefectClient, name: str) -> Finding:
    label = f"pool {name}"
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        return Finding(label, MISSING, "there is no such work pool", _UP)
    # A paused pool has workers online and starts nothing.
    if pool.is_paused:
        return Finding(label, BROKEN, "it is paused, so nothing starts", f"prefect work-pool resume {name}")
    online = [worker.name for worker in client.read_workers_for_work_pool(name) if worker.status == "ONLINE"]
    if not online:
        return Finding(label, BROKEN, "no worker polls it", f"prefect worker start --pool {name} --type process")
    limit = "any number of runs" if pool.concurrency_limit is None else f"{pool.concurrency_limit} run(s)"
    return Finding(label, OK, f"{limit} at a time; polled by {', '.join(sorted(online))}")


def _deployments(client: SyncPrefectClient, folder: Path) -> Iterator[Finding]:
    declared = declared_deployments(folder)
    # More than the project declares; by default Prefect returns a page of the newest.
    known = {deployment.name: deployment for deployment in client.read_deployments(limit=200)}
    missing = [name for name in declared if name not in known]
    if missing:
        yield Finding("deployments", MISSING, f"missing: {', '.join(missing)}", _UP)
    else:
        yield Finding("deployments", OK, f"all {len(declared)} of prefect.yaml")
    schedules = [
        f"{name} {getattr(schedule.schedule, 'cron', '')}".strip()
        for name in declared
        if name in known
        for schedule in known[name].schedules
        if schedule.active and not known[name].paused
    ]
    yield Finding("schedules", OK, ", ".join(schedules) or "none is active")


def _automations(client: SyncPrefectClient) -> Iterator[Finding]:
    for expected in automations():
        name = expected.name
        if any(automation.enabled for automation in client.read_automations_by_name(name)):
            yield Finding("dead runs", OK, name.removeprefix("valle: "))
        else:
            yield Finding("dead runs", MISSING, f"the automation {name!r} is missing or off", _UP)
