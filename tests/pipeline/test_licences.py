"""A set that was selected by licence is proved to be free of the others, by SQL and in what it exports."""

from pathlib import Path

import duckdb
import pytest

from manifests.corpora.registry import open_corpus
from manifests.corpus import CorpusOptions
from tests.pipeline.prepared import run_pipeline, write_folder
from valle.backends.registry import Backends
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.phonemes import phoneme_table
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.tools.sql_page import questions

_PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
_CLOSED = "CC-BY-NC-4.0"


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    data_root = DataRoot(tmp_path_factory.mktemp("licences"))
    for name, licence, count in (("open", "Apache-2.0", 3), ("closed", _CLOSED, 5)):
        options = CorpusOptions(language="en", licence=licence, speaker_from_folder=True)
        folder = write_folder(data_root.root / name, count, per_voice=count)
        run_pipeline(open_corpus("folder", folder, name=name, options=options), data_root.lake)
    codec, symbols = Backends().codec("mini").spec, phoneme_table().symbols
    policy = SplitPolicy(dev=0, test=0)
    for name, where in (("everything", "true"), ("free", f"licence <> '{_CLOSED}'")):
        select(Selection(name=name, where=where, split_policy=policy), data_root, codec=codec, phoneme_symbols=symbols)
    return data_root


def _proof(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int, int]]:
    """By set: items checked, items under the closed licence, items that disagree with their recordings."""
    page = questions(_PAGE.read_text(encoding="utf-8"))
    sql = next(question.sql for question in page if "items_under_it" in question.sql)
    rows = run_query(connection, sql).to_pylist()
    counts = ("items_checked", "items_under_it", "items_that_disagree")
    return {_name(row["training_set"]): tuple(row[count] for count in counts) for row in rows}  # type: ignore[misc]


def _name(set_id: str) -> str:
    return set_id.rpartition("-")[0]


def test_the_proof_of_the_page_tells_a_free_set_from_one_that_is_not(data_root: DataRoot) -> None:
    with connect(data_root.lake.snapshot()) as connection:
        found = _proof(connection)
    assert found == {"everything": (8, 5, 0), "free": (3, 0, 0)}


def test_the_audit_names_every_licence_of_every_set_by_the_set_and_by_its_recordings(data_root: DataRoot) -> None:
    with connect(data_root.lake.snapshot()) as connection:
        rows = run_query(connection, named_query("licence_audit").sql).to_pylist()
    found = {(_name(row["training_set"]), row["licence"], row["recorded_licence"]) for row in rows}
    assert found == {
        ("everything", "Apache-2.0", "Apache-2.0"), ("everything", _CLOSED, _CLOSED),
        ("free", "Apache-2.0", "Apache-2.0"),
    }  # fmt: skip


def test_exported_manifests_carry_the_licences_of_their_set(data_root: DataRoot) -> None:
    for name, licences in (("everything", {"Apache-2.0", _CLOSED}), ("free", {"Apache-2.0"})):
        path = data_root.training_sets / name / "cuts_train.jsonl.gz"
        rows = duckdb.execute(
            "SELECT DISTINCT s.custom.licence FROM (SELECT unnest(supervisions) AS s FROM read_json(?))", [str(path)]
        ).fetchall()
        assert {licence for (licence,) in rows} == licences


def test_an_item_whose_recording_lies_under_another_licence_is_found(data_root: DataRoot) -> None:
    with connect(data_root.lake.snapshot()) as connection:
        connection.execute("CREATE TABLE forged AS SELECT * REPLACE ('Apache-2.0' AS licence) FROM training_items")
        connection.execute("CREATE OR REPLACE VIEW training_items AS FROM forged")
        assert _proof(connection)["everything"] == (8, 5, 5)
