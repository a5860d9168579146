"""Settings of a local server reach the installed Prefect, and its files are private and complete."""

import stat
import threading
from pathlib import Path

import pytest
from prefect.settings import Settings

from flows.server.local_server import HEARTBEAT_SECONDS, LocalServer, load_local_server
from flows.server.options import UpOptions
from flows.server.password import create_password, password_file, read_password
from flows.server.up import show_password
from warehouse.errors import ConfigurationError


@pytest.fixture
def server(tmp_path: Path) -> LocalServer:
    found = LocalServer(data=tmp_path, host="127.0.0.1", port=4200, names=("desk",))
    create_password(found.home)
    return found


def test_prefect_reads_every_setting_of_a_local_server(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    services = settings.server.services
    assert settings.home == server.home
    assert settings.api.url == server.api_url
    assert settings.server.analytics_enabled is False
    assert (services.scheduler.min_runs, services.scheduler.max_runs) == (2, 3)
    assert services.cancellation_cleanup.cancelling_timeout_seconds == 120
    assert settings.server.concurrency.lease_storage.endswith("filesystem")
    assert settings.flows.heartbeat_frequency == HEARTBEAT_SECONDS
    password = read_password(server.home)
    for auth_string in (settings.api.auth_string, settings.server.api.auth_string):
        assert auth_string is not None
        assert auth_string.get_secret_value() == password
    assert settings.server.api.cors_allowed_origins.split(",") == [
        "http://127.0.0.1:4200",
        "http://localhost:4200",
        "http://desk:4200",
    ]


def test_the_password_is_in_a_file_of_its_owner_and_stays_the_same(tmp_path: Path) -> None:
    password = create_password(tmp_path)
    assert len(password) > 30
    assert stat.S_IMODE(password_file(tmp_path).stat().st_mode) == 0o600
    assert create_password(tmp_path) == read_password(tmp_path) == password
    assert [path.name for path in tmp_path.iterdir()] == ["password"]


def test_callers_at_the_same_moment_get_the_same_password(tmp_path: Path) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def create() -> None:
        barrier.wait()
        found.append(create_password(tmp_path))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_missing_password_is_one_sentence_and_an_existing_one_is_printed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run `valle up`"):
        show_password(UpOptions(data=tmp_path))
    password = create_password(tmp_path / "prefect")
    assert show_password(UpOptions(data=tmp_path)) == password


def test_a_local_server_is_loaded_as_it_was_saved_also_below_a_moved_data_root(
    server: LocalServer, tmp_path: Path
) -> None:
    assert LocalServer.from_json(server.to_json()) == server
    server.save()
    assert load_local_server(tmp_path) == server
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    found = load_local_server(moved)
    assert found is not None
    assert found.home == moved / "prefect"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": 1, "host": 2, "port": 3, "names": 4}', "{"])
def test_a_damaged_description_is_no_local_server(tmp_path: Path, content: str) -> None:
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "local_server.json").write_text(content, encoding="utf-8")
    assert load_local_server(tmp_path) is None
