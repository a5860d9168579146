"""`valle up` and `valle down`: two at once, who may use the server, and the end of a server at work."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.parameters import CorpusChoice
from flows.server.connection import connect_to_prefect
from flows.server.deploy import automations, declared_deployments
from flows.server.forms import find_choices, update_forms
from flows.server.local_server import LocalServer, load_local_server, supervisor_lock, supervisor_pid
from flows.server.options import UpOptions
from flows.server.password import create_password, read_password
from flows.server.schedules import CorpusSchedule, add_schedule
from flows.server.up import Up, bring_down, bring_up, remaining_processes, show_password
from tests.local_server import free_port, start, wait_for_run, wait_until
from tests.pipeline.prepared import rows_of, write_folder
from valle.data_root import DataRoot
from warehouse.errors import ConfigurationError, DependencyError
from warehouse.upkeep.fsck import fsck

ROOT = Path(__file__).parents[2]
_SECONDS = 600.0
_CLIPS = 24
pytestmark = pytest.mark.slow


def valle(*arguments: str) -> "subprocess.Popen[str]":
    code = "import sys; from valle.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, error = process.communicate(timeout=_SECONDS)
    return process.returncode, out, error


@contextmanager
def client_of(server: LocalServer) -> Iterator[SyncPrefectClient]:
    with SyncPrefectClient(server.api_url, auth_string=read_password(server.home)) as client:
        yield client


@pytest.fixture(scope="module")
def two_ups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Up]]:
    """Bring up one data root, which has a scheduled corpus, on one port twice at the same moment."""
    options = UpOptions(data=tmp_path_factory.mktemp("up"), port=free_port())
    corpus = CorpusChoice(kind="folder", root=options.data_root.root, name="radio")
    add_schedule(options.data_root.root, CorpusSchedule(corpus=corpus))
    try:
        with ThreadPoolExecutor(2) as pool:
            yield list(pool.map(bring_up, [options] * 2))
    finally:
        bring_down(options.data_root.root)
        assert list(remaining_processes(options.data_root.root / "prefect")) == []


@pytest.fixture(scope="module")
def server(two_ups: list[Up]) -> LocalServer:
    return two_ups[0].server


def test_two_at_once_bring_up_one_server_and_both_succeed(two_ups: list[Up], server: LocalServer) -> None:
    assert sorted(up.was_up for up in two_ups) == [False, True]
    assert sorted(up.describe().split(":")[0] for up in two_ups) == ["already up", "up"]
    assert {up.server for up in two_ups} == {server} == {load_local_server(server.data)}
    assert set(server.running()) == {"server", "worker cpu", "worker gpu", "worker train"}
    with client_of(server) as client:
        assert [len(client.read_automations_by_name(one.name)) for one in automations()] == [1, 1]
        names = sorted(one.name for one in client.read_deployments(limit=200))
        assert names == sorted([*two_ups[0].deployments, "nightly-radio", "nightly-radio"])
        form = client.read_deployment_by_name("train/train").parameter_openapi_schema
        assert form is not None
        settings = form["definitions"]["TrainSettings"]["properties"]
        assert "tiny" in settings["model"]["enum"]
        assert len(settings) == 11
        # A second update finds nothing to change.
        assert update_forms(client, find_choices(DataRoot(server.home.parent))) == ()
    assert sorted(two_ups[0].deployments) == sorted(declared_deployments(ROOT))


def test_with_another_port_it_is_refused_in_one_sentence(server: LocalServer) -> None:
    code, _, error = finish(valle("up", "--data", str(server.data), "--port", str(free_port())))
    assert code == 1
    assert error.startswith(f"valle: The local server of {server.data} is up at {server.url}; end it with")
    assert len(error.splitlines()) == 1
    assert load_local_server(server.data) == server


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 400),
        ({"authorization": ""}, 401),
        ({"authorization": "Basic dmFsbGU6Z3Vlc3M="}, 401),
    ],
)
def test_only_clients_with_the_password_and_its_own_pages_start_runs(
    server: LocalServer, headers: Mapping[str, str], status: int
) -> None:
    with client_of(server) as client:
        deployment = client.read_deployment_by_name("query/query").id
    user, secret = read_password(server.home).split(":")
    # A body without a content type needs no preflight request of the browser.
    with httpx.Client(auth=None if "authorization" in headers else (user, secret)) as outside:
        content = json.dumps({"state": {"type": "SCHEDULED"}, "parameters": {"parameters": {"query": "drops"}}})
        answer = outside.post(
            f"{server.api_url}/deployments/{deployment}/create_flow_run", content=content, headers=headers
        )
    assert answer.status_code == status, answer.text


def test_the_browser_may_not_read_answers_for_foreign_pages_and_may_for_its_own(server: LocalServer) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    own, foreign = (
        httpx.options(f"{server.api_url}/flow_runs/filter", headers=asked | {"origin": origin})
        for origin in (server.url, "http://evil.example")
    )
    assert own.headers["access-control-allow-origin"] == server.url
    assert "access-control-allow-origin" not in foreign.headers


def test_the_ui_asks_for_the_password(server: LocalServer) -> None:
    assert httpx.get(f"{server.url}/ui-settings").json()["auth"] == "BASIC"
    assert show_password(UpOptions(data=server.data)) == read_password(server.home)


def test_a_command_of_another_data_root_is_refused_in_one_sentence_without_the_password(
    server: LocalServer, tmp_path: Path
) -> None:
    with temporary_settings({PREFECT_API_URL: server.api_url}, restore_defaults={PREFECT_API_AUTH_STRING}):
        refused = f"The Prefect server at {server.api_url} refuses this command .401.; set [^\n]*$"
        with pytest.raises(DependencyError, match=refused), connect_to_prefect(tmp_path):
            pass
        with connect_to_prefect(server.data), get_client(sync_client=True) as client:
            assert client.read_deployment_by_name("select/select").name == "select"


@pytest.mark.long
def test_a_run_from_a_form_may_not_start_a_command(server: LocalServer, tmp_path: Path) -> None:
    written = tmp_path / "written"
    with client_of(server) as client:
        run = start(client, "evaluate/evaluate", {"command": f"touch {written}", "training_set": "none"})
        state = wait_for_run(client, run, _SECONDS).state
    assert state is not None
    assert state.is_failed()
    assert "may not start a command" in str(state.message)
    assert not written.exists()


@pytest.mark.long
def test_down_while_a_flow_works_leaves_nothing_and_the_next_run_does_the_rest(
    server: LocalServer, tmp_path: Path
) -> None:
    clips = write_folder(tmp_path / "clips", _CLIPS, per_voice=4)
    options = {"language": "en", "licence": "Apache-2.0", "shard_megabytes": 0.06}
    parameters = {
        "corpus": {"kind": "folder", "root": str(clips), "name": "clips", "options": options},
        "stages": {"transcribe": {"check_given": False}, "quality": {"scorers": []}},
    }
    lake = DataRoot(server.data).lake
    with client_of(server) as client:
        run = start(client, "prepare/prepare", parameters)
        wait_until(lambda: rows_of(lake, "segments"), _SECONDS)
        state = client.read_flow_run(run).state
        assert state is not None
        assert state.is_running()
    code, out, error = finish(valle("down", "--data", str(server.data)))
    assert (code, error) == (0, ""), error
    assert out.startswith("down: ")
    assert list(remaining_processes(server.home)) == []
    assert supervisor_pid(server.home) is None
    assert fsck(lake).is_sound

    code, _, error = finish(valle("up", "--data", str(server.data), "--port", str(server.port)))
    assert code == 0, error
    with client_of(server) as client:
        state = wait_for_run(client, run, _SECONDS).state
        assert state is not None
        assert not state.is_completed()
        state = wait_for_run(client, start(client, "prepare/prepare", parameters), _SECONDS).state
        assert state is not None
        assert state.is_completed(), state
    assert len(rows_of(lake, "utterances")) == _CLIPS
    assert fsck(lake).is_sound


def test_a_port_that_another_program_holds_is_one_sentence_and_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            bring_up(UpOptions(data=tmp_path, port=port))
    assert str(refused.value) == f"Cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port."
    assert load_local_server(tmp_path) is None
    assert list(remaining_processes(tmp_path / "prefect")) == []


def test_a_second_supervisor_ends_in_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    first = LocalServer(data=tmp_path, host="127.0.0.1", port=4242)
    create_password(first.home)
    with supervisor_lock(first.home):
        first.save()
        second = LocalServer(data=tmp_path, host="127.0.0.1", port=4243)
        command = [sys.executable, "-m", "flows.server.supervisor", second.to_json()]
        ended = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Another supervisor runs the local server" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert load_local_server(tmp_path) == first
