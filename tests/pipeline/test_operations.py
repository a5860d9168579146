"""The pools, automations, deployments and triggers of `valle up` on a real server, and the output of doctor."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow, flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, Settings, temporary_settings

from flows.parameters import DemoParameters
from flows.runtime.events import announce, start_once
from flows.select import select
from flows.server import deploy
from flows.server.deploy import automations, create_automations, create_work_pools, declared_deployments
from flows.server.health import diagnose_prefect
from flows.server.local_server import (
    HEARTBEAT_SECONDS,
    POOLS,
    LocalServer,
    checkout,
    home_of,
    load_local_server,
    supervisor_lock,
    supervisor_pid,
)
from flows.server.password import create_password
from flows.server.schedules import CorpusSchedule, add_schedule, apply_schedules, read_schedules, remove_schedule
from valle.cli.flow import flow_session
from valle.data_root import DataRoot
from warehouse.errors import ConfigurationError

DECLARED = yaml.safe_load((checkout() / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
# What a finished step tells the next, as `announce` sends it.
EVENT = {"subject": "clips", "data": "/somewhere", "rows": 3, "day": "2026-01-01"}


@pytest.fixture
def client(prefect_server: None) -> SyncPrefectClient:
    with get_client(sync_client=True) as client:
        yield client


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    path, name = deployment["entrypoint"].split(":")
    flow: Flow[..., Any] = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
    return flow


def rendered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rendered(one) for name, one in value.items()}
    for name, told in EVENT.items():
        if isinstance(value, str):
            value = value.replace(f"{{{{ event.payload.{name} }}}}", str(told))
    return value


def test_every_trigger_waits_for_an_event_that_a_flow_sends_and_hands_on_parameters_that_the_next_accepts() -> None:
    sent = {f"valle.{one['name']}.finished" for one in DECLARED}
    triggers = [(one, trigger) for one in DECLARED for trigger in one.get("triggers", ())]
    assert {one["name"] for one, trigger in triggers if trigger.get("enabled", True)} == {
        "segment", "transcribe", "phonemize", "quality", "speakers", "quantize",
    }  # fmt: skip
    for deployment, trigger in triggers:
        known = DeploymentEventTrigger.model_validate(trigger)
        assert known.expect <= sent
        parameters = rendered(trigger["parameters"])
        assert "{{" not in str(parameters)
        flow_of(deployment).validate_parameters(parameters)


def test_what_is_scheduled_runs_at_night_and_once_a_week() -> None:
    schedules = {one["name"]: one["schedules"] for one in DECLARED if one.get("schedules")}
    assert {name: [(s["cron"], s.get("active", True)) for s in found] for name, found in schedules.items()} == {
        "ingest": [("0 2 * * *", False)],
        "quantize": [("0 5 * * *", False)],
        "corpus-report": [("0 6 * * 1", True)],
    }


def test_every_field_of_every_form_has_a_help_text() -> None:
    for deployment in DECLARED:
        assert deployment["description"] and deployment["tags"], deployment["name"]
        (parameter,) = flow_of(deployment).fn.__annotations__.keys() - {"return"}
        model = flow_of(deployment).fn.__annotations__[parameter]
        assert undocumented(model.model_json_schema()) == [], deployment["name"]


def undocumented(schema: dict[str, Any]) -> list[str]:
    parts = [("", schema), *schema.get("$defs", {}).items()]
    return [
        f"{part}.{name}"
        for part, content in parts
        for name, field in content.get("properties", {}).items()
        if not field.get("description")
    ]


def test_pools_and_automations_are_registered_once_and_keep_what_they_watch(client: SyncPrefectClient) -> None:
    limits = {"cpu": 2, "gpu": 1, "train": 1}
    create_work_pools(client, limits)
    create_work_pools(client, limits | {"cpu": 5})
    assert client.read_work_pool("cpu").concurrency_limit == 5
    create_automations(client)
    before = {one.id for wanted in automations() for one in client.read_automations_by_name(wanted.name)}
    create_automations(client)
    after = {one.id for wanted in automations() for one in client.read_automations_by_name(wanted.name)}
    assert len(before) == 2
    assert before == after


def test_doctor_names_what_is_missing_and_what_fixes_it(client: SyncPrefectClient, tmp_path: Path) -> None:
    create_work_pools(client, {"cpu": 2, "gpu": 1})
    found = {finding.name: finding for finding in diagnose_prefect(tmp_path)}
    assert found["prefect server"].status == found["prefect version"].status == "ok"
    assert (found["pool cpu"].status, found["pool cpu"].detail) == ("broken", "no worker polls it")
    assert "prefect worker start --pool cpu" in found["pool cpu"].fix
    assert found["deployments"].fix == "valle up"


def test_doctor_says_that_no_server_answers_and_that_none_was_started(tmp_path: Path) -> None:
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        (finding,) = diagnose_prefect(tmp_path)
        assert (finding.status, finding.fix) == ("broken", "export PREFECT_API_URL=<its address>/api")
    with temporary_settings(updates={PREFECT_API_URL: None}):
        (finding,) = diagnose_prefect(tmp_path)
        assert (finding.status, finding.fix) == ("missing", "valle up")
        LocalServer(data=tmp_path, host="127.0.0.1", port=9).save()
        create_password(home_of(tmp_path))
        (finding,) = diagnose_prefect(tmp_path)
        assert (finding.status, finding.fix) == ("broken", "valle up")


def test_a_wrong_parameter_is_refused_before_there_is_a_run(client: SyncPrefectClient) -> None:
    entrypoint = RunnerDeployment.from_entrypoint(f"{checkout() / 'flows' / 'select.py'}:select", name="refused")
    made = entrypoint.apply()
    for wrong in ({"name": "Not A Name!"}, {"name": "good", "wheer": "true"}):
        with pytest.raises(PrefectHTTPStatusError, match="Validation failed"):
            client.create_flow_run_from_deployment(made, parameters={"parameters": {"selection": wrong}})
    assert [run for run in client.read_flow_runs(limit=200) if run.deployment_id == made] == []
    assert select.name == "select"


def test_a_schedule_becomes_runs(client: SyncPrefectClient) -> None:
    entrypoint = f"{checkout() / 'flows' / 'select.py'}:select"
    made = RunnerDeployment.from_entrypoint(entrypoint, name="nightly", cron="0 2 * * *").apply()
    client.request("POST", f"/deployments/{made}/schedule", json={"min_runs": 2, "max_runs": 2}).raise_for_status()
    runs = [run for run in client.read_flow_runs(limit=200) if run.deployment_id == made]
    assert [run.expected_start_time.hour for run in runs if run.expected_start_time] == [2, 2]


def test_scheduled_corpora_are_ingested_and_quantized_every_night(client: SyncPrefectClient, tmp_path: Path) -> None:
    declared = {"corpus": {"kind": "folder", "root": "/x", "name": "x"}, "workers": {"devices": ["cpu"], "width": 3}}
    for file, name, parameters in (
        ("ingest", "ingest", declared),
        ("stages", "quantize", declared | {"corpus": "x"}),
    ):
        RunnerDeployment.from_entrypoint(
            f"{checkout() / 'flows' / f'{file}.py'}:{name}", name=name, parameters={"parameters": parameters}
        ).apply()

    def schedule(name: str, **times: str) -> CorpusSchedule:
        corpus = {"kind": "folder", "root": f"/corpora/{name}", "name": name, "options": {"language": "de"}}
        return CorpusSchedule.model_validate({"corpus": corpus, **times})

    def on_server(flow_name: str) -> dict[str, Any]:
        found = client.read_deployments(limit=200)
        flow_id = client.read_deployment_by_name(f"{flow_name}/{flow_name}").flow_id
        return {one.name: one for one in found if one.flow_id == flow_id and one.name.startswith("nightly-")}

    add_schedule(tmp_path, schedule("one"))
    add_schedule(tmp_path, schedule("two", ingest_at="30 1 * * 6"))
    apply_schedules(client, read_schedules(tmp_path))
    ingest, quantize = on_server("ingest"), on_server("quantize")
    crons = {name: [at.schedule.cron for at in one.schedules] for name, one in ingest.items()}
    assert crons == {"nightly-one": ["0 2 * * *"], "nightly-two": ["30 1 * * 6"]}
    assert quantize["nightly-two"].parameters["parameters"] == declared | {"corpus": "two"}
    assert ingest["nightly-one"].parameters["parameters"]["corpus"]["options"]["language"] == "de"
    assert flow_of({"entrypoint": "flows/ingest.py:ingest"}).validate_parameters(ingest["nightly-one"].parameters)

    # A person pauses one in the UI: it stays so until its time changes, with its corpus. The removed one is gone.
    (nightly,) = ingest["nightly-one"].schedules
    path = f"/deployments/{ingest['nightly-one'].id}/schedules/{nightly.id}"
    client.request("PATCH", path, json={"active": False}).raise_for_status()
    remove_schedule(tmp_path, "two")
    apply_schedules(client, read_schedules(tmp_path))
    (left,) = on_server("ingest").values()
    assert ([one.active for one in left.schedules], left.parameters) == ([False], ingest["nightly-one"].parameters)
    assert set(on_server("quantize")) == {"nightly-one"}
    add_schedule(tmp_path, schedule("one", ingest_at="0 3 * * *"))
    apply_schedules(client, read_schedules(tmp_path))
    (left,) = on_server("ingest").values()
    assert [(one.schedule.cron, one.active) for one in left.schedules] == [("0 3 * * *", True)]
    with pytest.raises(ConfigurationError, match="no schedule of two; scheduled: one"):
        remove_schedule(tmp_path, "two")


def test_a_flow_that_a_person_runs_from_a_shell_starts_nothing_else(client: SyncPrefectClient, tmp_path: Path) -> None:
    before = len(client.read_flow_runs(limit=200))
    announce("ingest", "clips", DataRoot(tmp_path), 3)
    start_once("evaluate/evaluate", {"run": "x"}, key="once")
    assert len(client.read_flow_runs(limit=200)) == before


def test_what_follows_is_started_once_per_key_and_keeps_what_its_deployment_declares(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {"run": "base", "workers": {"devices": ["cpu"], "width": 2}}
    entrypoint = f"{checkout() / 'flows' / 'evaluate.py'}:evaluate"
    made = RunnerDeployment.from_entrypoint(entrypoint, name="once", parameters={"parameters": declared}).apply()
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", str(made))

    @flow
    def finished() -> None:
        for key in ("evaluate base-3", "evaluate base-3", "evaluate base-6"):
            start_once("evaluate/once", {"run": "other"}, key=key)

    finished()
    runs = [run for run in client.read_flow_runs(limit=200) if run.deployment_id == made]
    assert [run.parameters["parameters"] for run in runs] == [{**declared, "run": "other"}] * 2
    assert {run.idempotency_key for run in runs} == {"evaluate base-3", "evaluate base-6"}


def test_a_flow_of_a_shell_says_that_it_lives_as_often_as_the_automation_wants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "180")  # so that it is put back
    monkeypatch.delenv("PREFECT_FLOWS_HEARTBEAT_FREQUENCY")
    with flow_session(DemoParameters()):
        pass
    dead, _ = automations()
    assert isinstance(dead.trigger, EventTrigger)
    frequency = Settings().flows.heartbeat_frequency
    assert frequency is not None
    assert 2 * frequency < dead.trigger.within.total_seconds()


def test_one_process_supervises_a_local_server_and_its_end_is_known_at_once(tmp_path: Path) -> None:
    server = LocalServer(data=tmp_path, host="0.0.0.0", port=4242, names=("desk",))
    server.save()
    assert load_local_server(tmp_path) == server
    assert server.api_url == "http://127.0.0.1:4242/api"
    assert supervisor_pid(server.home) is None
    with supervisor_lock(server.home):
        assert supervisor_pid(server.home) == os.getpid()
        with pytest.raises(ConfigurationError, match="Another supervisor"), supervisor_lock(server.home):
            pass
    assert supervisor_pid(server.home) is None


def test_all_deployments_of_the_file_are_declared_by_name() -> None:
    assert declared_deployments(checkout()) == tuple(one["name"] for one in DECLARED)


def test_the_file_of_the_cluster_has_a_worker_for_every_pool_and_deploys_before_they_start() -> None:
    services = yaml.safe_load((checkout() / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
    workers = {name: one for name, one in services.items() if name.startswith("worker-")}
    assert sorted(one["command"].split("--pool ")[1].split()[0] for one in workers.values()) == sorted(POOLS)
    for one in workers.values():
        assert one["depends_on"] == {"deploy": {"condition": "service_completed_successfully"}}
        assert one["environment"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_SECONDS)
    assert services["deploy"]["command"] == f"python -m {deploy.__name__}"
    assert set(services["deploy"]["depends_on"]) <= set(services)
