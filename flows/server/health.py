"""What `valle doctor --prefect` looks at: the server, its version, pools, workers, deployments and automations."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import prefect
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from flows.server.deploy import automations, declared_deployments
from flows.server.local_server import POOLS, checkout, load_station
from valle.doctor import BROKEN, MISSING, OK, Finding

_UP = "valle up"


def diagnose_prefect(data: Path) -> Sequence[Finding]:
    """Every check against the configured server, or else the station of a data root; stops when nothing answers."""
    station = load_station(data)
    url = PREFECT_API_URL.value() or (station.api_url if station is not None else None)
    if url is None:
        return [Finding("prefect server", MISSING, f"none is configured, and none was started below {data}", _UP)]
    with SyncPrefectClient(url) as client:
        problem = client.api_healthcheck()
        if problem is not None:
            fix = _UP if station is not None and station.api_url == url else "export PREFECT_API_URL=<its address>/api"
            return [Finding("prefect server", BROKEN, f"{url} does not answer: {problem!s:.100}", fix)]
        found = [Finding("prefect server", OK, url), _version(client)]
        found += [_pool(client, name) for name in POOLS]
        found += _deployments(client, checkout())
        found += _automations(client)
    return found


def _version(client: SyncPrefectClient) -> Finding:
    server, ours = client.api_version(), prefect.__version__
    if server == ours:
        return Finding("prefect version", OK, f"{ours} here and there")
    detail = f"the server is {server} and this is {ours}; runs may fail to report"
    return Finding("prefect version", BROKEN, detail, f"pip install prefect=={server}")


def _pool(client: SyncPrefectClient, name: str) -> Finding:
    label = f"pool {name}"
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        return Finding(label, MISSING, "there is no such work pool", _UP)
    if pool.is_paused:
        return Finding(label, BROKEN, "it is paused, so nothing starts", f"prefect work-pool resume {name}")
    online = [worker.name for worker in client.read_workers_for_work_pool(name) if worker.status == "ONLINE"]
    if not online:
        return Finding(label, BROKEN, "no worker polls it", f"prefect worker start --pool {name} --type process")
    limit = "any number of runs" if pool.concurrency_limit is None else f"{pool.concurrency_limit} run(s)"
    return Finding(label, OK, f"{limit} at a time; polled by {', '.join(sorted(online))}")


def _deployments(client: SyncPrefectClient, folder: Path) -> Iterator[Finding]:
    declared = declared_deployments(folder)
    known = {one.name: one for one in client.read_deployments(limit=200)}
    missing = [name for name in declared if name not in known]
    if missing:
        yield Finding("deployments", MISSING, f"not registered: {', '.join(missing)}", _UP)
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
    for wanted in automations():
        enabled = [one for one in client.read_automations_by_name(wanted.name) if one.enabled]
        if enabled:
            yield Finding("dead runs", OK, wanted.name.removeprefix("valle: "))
        else:
            yield Finding("dead runs", MISSING, f"the automation {wanted.name!r} is not there or is off", _UP)
