"""What a station tells Prefect is understood by the Prefect that is installed."""

from pathlib import Path

import pytest
from prefect.settings import Settings

from flows.server.local_server import HEARTBEAT_SECONDS, Station, home_of


def test_prefect_understands_every_setting_of_a_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station = Station(home=home_of(tmp_path), data=tmp_path, host="127.0.0.1", port=4200)
    for name, value in station.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    services = settings.server.services
    assert settings.home == station.home
    assert settings.api.url == station.api_url
    assert settings.server.analytics_enabled is False
    assert (services.scheduler.min_runs, services.scheduler.max_runs) == (2, 3)
    assert services.cancellation_cleanup.cancelling_timeout_seconds == 120
    assert settings.server.concurrency.lease_storage.endswith("filesystem")
    assert settings.flows.heartbeat_frequency == HEARTBEAT_SECONDS
