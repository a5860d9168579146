from pathlib import Path

import pytest

from valle import doctor
from valle.backends import weights
from valle.doctor import diagnose


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return {finding.name: finding for finding in diagnose(tmp_path_factory.mktemp("data"))}


def test_every_needed_part_is_installed(findings):
    assert [f for f in findings.values() if f.is_needed and f.status != "ok" and f.name != "disk"] == []
    assert findings["espeak"].detail == "hello is həlˈoʊ"
    assert findings["haqumei"].detail.endswith("東京 is to̞o̞kʲo̞o̞")


def test_every_finding_that_is_not_ok_names_a_command(findings):
    assert all(finding.fix for finding in findings.values() if finding.status != "ok")
    assert all(not finding.fix for finding in findings.values() if finding.status == "ok")


def test_a_missing_wheel_is_missing_and_not_an_error(monkeypatch):
    monkeypatch.setattr(weights, "package_directory", lambda package: None)
    finding = doctor._weights("tiny.en", doctor._tiny, fix=weights.TINY_COMMAND)
    assert (finding.status, finding.fix) == ("missing", weights.TINY_COMMAND)


def test_a_library_that_is_not_installed_is_missing():
    finding = doctor._library("no_such_library", fix="pip install it")
    assert (finding.status, finding.fix) == ("missing", "pip install it")


def test_a_data_folder_that_cannot_be_written_is_broken(tmp_path: Path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    assert doctor._data_directory(blocker / "data").status == "broken"
    assert doctor._data_directory(tmp_path / "not" / "yet").status == "ok"
