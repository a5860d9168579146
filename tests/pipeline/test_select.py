"""Selecting: no speaker and no recording in two splits, codes load through Lhotse, a set never changes."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from lhotse import CutSet
from lhotse.utils import fastcopy

from tests.pipeline.prepared import by_stage, folder_corpus, part_names, run_pipeline, write_folder
from valle.backends.registry import Backends
from valle.codec.base import GIVEN, Codec, CodecSpec
from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.items.load import load_items
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy, assign_splits
from valle.data.selection.training_set import TrainingSet, load_training_set
from valle.data_root import DataRoot
from valle.evaluation.codec.clips import clips_of_lake
from valle.evaluation.items.items import choose_items
from valle.evaluation.items.registry import register_items
from valle.evaluation.plan import items_of_cuts, items_of_training_set
from valle.model.config import preset
from valle.phonemes import PhonemeTable, Phonemizer, open_phonemizer, phoneme_table
from valle.reviews import review
from valle.stages.align import Align
from valle.stages.phonemize import Phonemize
from valle.stages.quantize import Quantize
from valle.stages.speakers import Speakers
from warehouse.catalogue.views import connect
from warehouse.errors import CatalogueError, PipelineError, TrainingError
from warehouse.upkeep.maintenance import compact, vacuum


def _select(data_root: DataRoot, **options: object) -> TrainingSet:
    selection = Selection(**({"name": "set"} | options))
    return select(selection, data_root, codec=Backends().codec("mini").spec, phoneme_symbols=phoneme_table().symbols)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    root = tmp_path_factory.mktemp("select")
    run_pipeline(folder_corpus(write_folder(root / "clips", 24, per_voice=4)), DataRoot(root).lake)
    return DataRoot(root)


@pytest.fixture(scope="module")
def chosen(data_root: DataRoot) -> TrainingSet:
    return _select(data_root, split_policy=SplitPolicy(dev=0.15, test=0.15))


def test_no_speaker_is_in_two_splits(chosen: TrainingSet) -> None:
    splits = defaultdict(set)
    for row in chosen.items.to_pylist():
        splits[row["speaker"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert set(chosen.card.utterances) == {"train", "dev", "test"}
    assert min(chosen.card.utterances.values()) > 0
    used = {symbol for symbols in chosen.split("train")["symbols"].to_pylist() for symbol in symbols}
    assert chosen.card.used_symbols == tuple(sorted(used)) != ()


@pytest.mark.parametrize("seed", range(40))
def test_splits_are_disjoint_by_speaker_and_by_source_for_any_mixture(seed: int) -> None:
    draw = random.Random(seed)
    count, people = draw.randint(1, 80), draw.randint(1, 30)
    speakers = [f"s{draw.randrange(people)}" for _ in range(count)]
    sources = [f"r{draw.randrange(people)}" for _ in range(count)]
    durations = [draw.uniform(0.5, 20) for _ in range(count)]
    policy = SplitPolicy(dev=0.2, test=0.2, seed=seed)
    with duckdb.connect() as connection:
        chosen = {"segment_id": [f"{row:02}" for row in range(count)], "speaker": speakers, "source": sources}
        connection.register("listed", pa.table(chosen | {"duration": durations, "in_test": [False] * count}))
        connection.execute("CREATE TABLE chosen AS FROM listed")
        assign_splits(connection, policy)
        rows = connection.execute("SELECT split FROM chosen JOIN speaker_splits USING (speaker) ORDER BY segment_id")
        splits = [split for (split,) in rows.fetchall()]
    for names in (speakers, sources):
        held = defaultdict(set)
        for name, split in zip(names, splits, strict=True):
            held[name].add(split)
        assert all(len(found) == 1 for found in held.values())


def test_what_the_policy_sends_to_test_takes_its_whole_speaker_along(data_root: DataRoot) -> None:
    speaker = connect(data_root.lake.snapshot()).execute("SELECT min(speaker) FROM utterances").fetchone()[0]  # type: ignore[index]
    policy = SplitPolicy(dev=0, test=0, test_where=f"speaker = '{speaker}'")
    items = _select(data_root, name="held-out", split_policy=policy).items.to_pylist()
    assert {row["speaker"] for row in items if row["split"] == "test"} == {speaker}
    assert {row["split"] for row in items if row["speaker"] != speaker} == {"train"}


def test_a_cut_loads_its_codes_from_the_lake_and_a_truncated_one_its_part(
    data_root: DataRoot, chosen: TrainingSet
) -> None:
    cuts = CutSet.from_file(data_root.training_sets / "set" / "cuts_train.jsonl.gz")
    cut = next(cut for cut in cuts if cut.duration > 2)
    with connect(data_root.lake.snapshot()) as connection:
        row = connection.execute("SELECT q0, q7 FROM codes WHERE segment_id = ?", [cut.id]).fetchone()
    codes = cut.load_codes()
    assert row is not None
    assert np.array_equal(codes[:, 0], row[0])
    assert np.array_equal(codes[:, 7], row[1])
    part = cut.truncate(offset=0.4, duration=1.0).load_codes()
    assert np.array_equal(part, codes[30:105])


def test_the_same_selection_is_the_same_set_and_another_needs_another_name(
    data_root: DataRoot, chosen: TrainingSet
) -> None:
    again = _select(data_root, split_policy=SplitPolicy(dev=0.15, test=0.15))
    assert again.card == chosen.card
    with pytest.raises(TrainingError, match="another name"):
        _select(data_root, where="duration > 2")


class _Lisping(Backends):
    """Phonemizes `s` as `θ`."""

    def phonemizer(self, name: str) -> Phonemizer:
        class Lisp:
            def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
                said = open_phonemizer(name).phonemize(texts, language)
                return [["θ" if symbol == "s" else symbol for symbol in symbols] for symbols in said]

        return Lisp()


def test_other_phonemes_are_another_set(tmp_path: Path) -> None:
    corpus, data_root = folder_corpus(write_folder(tmp_path / "clips", 4)), DataRoot(tmp_path)
    run_pipeline(corpus, data_root.lake)
    first = _select(data_root)
    run_pipeline(corpus, data_root.lake, [Phonemize(max_unknown=1)], _Lisping())
    with pytest.raises(TrainingError, match="another name"):
        _select(data_root)
    assert _select(data_root, name="again").items["symbols"] != first.items["symbols"]


def test_a_set_outlives_compaction_and_vacuum(data_root: DataRoot, chosen: TrainingSet) -> None:
    compact(data_root.lake)
    vacuum(data_root.lake, grace_hours=0)
    reopened = load_training_set(chosen.directory)
    assert reopened.items.equals(chosen.items)
    assert all((data_root.lake.root / part).exists() for part in set(reopened.items["codes_file"].to_pylist()))


def test_a_selection_that_fails_at_its_end_leaves_neither_pin_nor_directory(data_root: DataRoot) -> None:
    directory = data_root.training_sets / "failing"
    (directory / "cuts_train.jsonl.gz").mkdir(parents=True)  # where the cuts of a split are written
    before = data_root.lake.pins()
    with pytest.raises((OSError, PipelineError), match=r"cuts_train\.jsonl"):
        _select(data_root, name="failing")
    assert data_root.lake.pins() == before
    assert not directory.exists()
    assert _select(data_root, name="failing").card.name == "failing"


def test_a_condition_that_selects_nothing_is_one_sentence(data_root: DataRoot) -> None:
    with pytest.raises(TrainingError, match="No utterance"):
        _select(data_root, name="none", where="duration > 1000")


def test_items_of_an_evaluation_are_chosen_by_what_the_set_knows_of_them(
    data_root: DataRoot, chosen: TrainingSet
) -> None:
    with pytest.raises(CatalogueError, match='"loudnes" not found'):
        items_of_training_set(data_root, chosen.card.name, where="loudnes > 1", count=2, trials=1, seed=0)
    listed = items_of_training_set(data_root, chosen.card.name, where="split = 'train'", count=2, trials=1, seed=0)
    of_train = {row["segment_id"] for row in chosen.items.to_pylist() if row["split"] == "train"}
    assert len(listed.items) == 2
    assert {item.utterance for item in listed.items} <= of_train


def test_what_evaluations_have_used_is_not_trained_on_unless_that_is_asked_for(
    data_root: DataRoot, chosen: TrainingSet
) -> None:
    with connect(data_root.lake.snapshot()) as connection:
        rows = connection.execute("SELECT * FROM utterances ORDER BY segment_id").to_arrow_table()
    evaluated = choose_items(rows, count=2)
    register_items(evaluated, data_root.lake, items_hash="abc", source="a test")
    speakers = {item.speaker for item in evaluated}
    used = {name for item in evaluated for name in (item.utterance, item.prompt)}
    all_train = SplitPolicy(dev=0, test=0)

    with pytest.raises(TrainingError, match=f"{len(used)} of the selected utterances were used by evaluations") as told:
        _select(data_root, name="again", split_policy=all_train)
    assert "allow-evaluation-items" in str(told.value)
    assert not (data_root.training_sets / "again").exists()

    inside = "segment_id IN (SELECT segment_id FROM evaluated_segments)"
    without = _select(data_root, name="without", where=f"NOT ({inside})", split_policy=all_train)
    assert used.isdisjoint(without.items["segment_id"].to_pylist())
    assert without.card.evaluation_items == 0

    policy = SplitPolicy(dev=0, test=0, test_where=inside)
    held_out = _select(data_root, name="as-test", split_policy=policy).items.to_pylist()
    assert {row["speaker"] for row in held_out if row["split"] == "test"} == speakers

    allowed = _select(data_root, name="allowed", split_policy=all_train, allow_evaluation_items=True)
    assert allowed.card.evaluation_items == len(used)
    assert load_training_set(allowed.directory).card.evaluation_items == len(used)
    assert _select(data_root, split_policy=SplitPolicy(dev=0.15, test=0.15)).card == chosen.card


def test_weights_are_a_column_of_sql(data_root: DataRoot) -> None:
    items = _select(data_root, name="weighted", weight="1 / duration", allow_evaluation_items=True).items.to_pylist()
    assert all(row["weight"] == pytest.approx(1 / row["duration"], rel=1e-5) for row in items)


def test_a_set_knows_which_clips_of_a_speaker_sound_alike_once_their_voices_are_known(
    data_root: DataRoot, chosen: TrainingSet
) -> None:
    assert chosen.items["similar"].null_count == len(chosen.items)
    run_pipeline(folder_corpus(data_root.root / "clips"), data_root.lake, [Speakers()])
    with pytest.raises(TrainingError, match="another name"):
        _select(data_root, split_policy=SplitPolicy(dev=0.15, test=0.15), allow_evaluation_items=True)
    items = _select(data_root, name="voices", allow_evaluation_items=True).items.to_pylist()
    speaker = {row["segment_id"]: row["speaker"] for row in items}
    with connect(data_root.lake.snapshot()) as connection:
        found = connection.execute("SELECT segment_id, embedding FROM current_speakers").fetchall()
    voice = {segment: np.array(embedding) for segment, embedding in found}
    for row in items:
        own, similar = row["segment_id"], row["similar"]
        assert own not in similar
        assert {speaker[other] for other in similar} == {row["speaker"]}
        cosines = [float(voice[own] @ voice[other]) for other in similar]
        assert cosines == sorted(cosines, reverse=True)
        others = [float(voice[own] @ voice[other]) for other in speaker if speaker[other] == row["speaker"]]
        assert cosines[0] == pytest.approx(sorted(others)[-2], abs=1e-5)


_ATTACKS = {
    "reads a file": ("error((SELECT content FROM read_text('{secret}')))", "the secret"),
    "reads a file quietly": ("(SELECT length(content) FROM read_text('{secret}')) > 0", "the secret"),
    "lists a folder": ("(SELECT count(*) FROM glob('{folder}/*')) > 0", ""),
    "writes a file": ("true); COPY (SELECT 1) TO '{written}'; SELECT (true", ""),
    "attaches a database": ("true); ATTACH '{written}' AS other; SELECT (true", ""),
    "installs an extension": ("true); INSTALL httpfs; SELECT (true", ""),
    "asks two questions": ("true; SELECT 2", ""),
    "hides the end": ("true) --", ""),
}


@pytest.mark.parametrize("attack", _ATTACKS)
@pytest.mark.parametrize("door", ["where", "weight", "test_where", "evaluate", "codec-report"])
def test_sql_from_a_form_reads_only_the_lake(
    door: str, attack: str, data_root: DataRoot, chosen: TrainingSet, tmp_path: Path
) -> None:
    secret, written = tmp_path / "secret.txt", tmp_path / "written"
    secret.write_text("the secret", encoding="utf-8")
    pattern, leaked = _ATTACKS[attack]
    sql = pattern.format(secret=secret, folder=tmp_path, written=written)
    with pytest.raises(CatalogueError) as refused:
        if door == "evaluate":
            items_of_training_set(data_root, chosen.card.name, where=sql, count=1, trials=1, seed=0)
        elif door == "codec-report":
            clips_of_lake(data_root.lake, where=sql, count=1, longest=10)
        elif door == "test_where":
            _select(data_root, name="attack", split_policy=SplitPolicy(test_where=sql))
        else:
            _select(data_root, name="attack", **{door: sql})
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert not leaked or leaked not in sentence
    assert not written.exists()
    assert not (data_root.training_sets / "attack").exists()


def test_a_condition_may_end_in_a_comment(data_root: DataRoot) -> None:
    assert clips_of_lake(data_root.lake, where="duration > 0 -- all of them", count=1, longest=10)


_FOUR_BOOKS = CodecSpec("encodec_24khz_3kbps", "0", 24_000, 320, 4, 1024)


class _FourBooks:
    """A codec with four codebooks of counted frames, in the place of one whose weights are fetched."""

    spec = _FOUR_BOOKS

    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.tile(np.arange(self.spec.num_frames(len(w))) % 1024, (4, 1)).astype(np.int16) for w in waveforms]


class _TwoCodecs(Backends):
    """Opens `_FourBooks` under the name of EnCodec."""

    def codec(self, name: str) -> Codec:
        return cast(Codec, _FourBooks()) if name == _FOUR_BOOKS.name else super().codec(name)


def test_codes_of_two_codecs_are_current_side_by_side(data_root: DataRoot, chosen: TrainingSet) -> None:
    corpus = folder_corpus(data_root.root / "clips")
    before = part_names(data_root.lake, "codes")
    reports = run_pipeline(corpus, data_root.lake, [Quantize(codec="encodec_24khz_3kbps")], _TwoCodecs())
    assert by_stage(reports) == {"quantize": 24}
    assert set(before) <= set(part_names(data_root.lake, "codes")), "codes of the other codec are redone or lost"
    with connect(data_root.lake.snapshot()) as connection:
        counts = connection.execute("SELECT codec, count(*) FROM current_codes GROUP BY ALL ORDER BY ALL").fetchall()
        shown = connection.execute("SELECT codec, count(*), min(rate_ratio) FROM utterances GROUP BY ALL").fetchall()
    label = Backends().codec("mini").spec.label
    assert counts == [(_FOUR_BOOKS.label, 24), (label, 24)]
    assert shown == [(_FOUR_BOOKS.label, 24, 1.0)], "one row a segment, of the codec that was used last"
    assert by_stage(run_pipeline(corpus, data_root.lake)) == {}, "the first codec is still current"
    again = _select(data_root, name="mini-again", allow_evaluation_items=True)
    other = select(
        Selection(name="other-codec", allow_evaluation_items=True),
        data_root,
        codec=_FOUR_BOOKS,
        phoneme_symbols=phoneme_table().symbols,
    )
    assert (again.card.codec.label, other.card.codec) == (label, _FOUR_BOOKS)
    assert again.items["segment_id"].equals(other.items["segment_id"])
    cut = next(iter(CutSet.from_file(other.directory / "cuts_train.jsonl.gz")))
    assert cut.load_codes().shape[1] == 4
    assert cut.custom["codec"] == _FOUR_BOOKS.label
    without_weights = select(
        Selection(name="no-weights", allow_evaluation_items=True),
        data_root,
        codec=replace(_FOUR_BOOKS, revision=GIVEN),
        phoneme_symbols=phoneme_table().symbols,
    )
    assert without_weights.card.codec == _FOUR_BOOKS, "a machine without the weights selects the stored codes"
    with pytest.raises(TrainingError, match="were made by"):
        select(
            Selection(name="third"),
            data_root,
            codec=replace(_FOUR_BOOKS, revision="1"),
            phoneme_symbols=phoneme_table().symbols,
        )


def test_words_in_time_are_in_the_items_and_the_cuts_and_make_another_set(tmp_path: Path) -> None:
    clips, root = write_folder(tmp_path / "clips", 3), DataRoot(tmp_path)
    run_pipeline(folder_corpus(clips), root.lake)
    before = _select(root, name="before", split_policy=SplitPolicy(dev=0, test=0))
    assert before.items["word_times"].null_count == 3
    assert by_stage(run_pipeline(folder_corpus(clips), root.lake, [Align()])) == {"align": 3}
    assert run_pipeline(folder_corpus(clips), root.lake, [Align()]) == []
    after = _select(root, name="after", split_policy=SplitPolicy(dev=0, test=0))
    assert before.card.id.removeprefix("before") != after.card.id.removeprefix("after")
    cuts = {cut.id: cut for cut in CutSet.from_file(root.training_sets / "after" / "cuts_train.jsonl.gz")}
    for row in after.items.to_pylist():
        times = row["word_times"]
        assert len(times) == 2 * len(row["text"].split()) and times == sorted(times)
        assert times[0] >= 0 and times[-1] <= row["duration"] + 0.05
        (supervision,) = cuts[row["segment_id"]].supervisions
        words = supervision.alignment["word"]
        assert [word.symbol for word in words] == row["text"].split()
        assert [word.start for word in words] == pytest.approx(times[::2])


def _cuts_of(data_root: DataRoot, name: str) -> list[Path]:
    return [data_root.training_sets / name / f"cuts_{split}.jsonl.gz" for split in ("train", "dev", "test")]


def test_a_set_made_of_the_cuts_of_a_set_is_the_same_set(data_root: DataRoot, chosen: TrainingSet) -> None:
    policy = SplitPolicy(dev=0.15, test=0.0, test_where="duration > 3 AND duration < 3.2")
    trusted = {"allow_evaluation_items": True}  # an earlier test has registered some
    by_sql = _select(data_root, name="by-sql", split_policy=policy, weight="1 + duration / 7", **trusted)
    rebuilt = _select(data_root, name="rebuilt", cuts=_cuts_of(data_root, "by-sql"), **trusted)
    assert rebuilt.card.id.rpartition("-")[2] == by_sql.card.id.rpartition("-")[2]
    assert rebuilt.items.drop(["training_set"]).equals(by_sql.items.drop(["training_set"]))


def test_filtered_weighted_and_truncated_cuts_are_what_is_trained_on(
    data_root: DataRoot, chosen: TrainingSet, tmp_path: Path
) -> None:
    cuts = [cut for path in _cuts_of(data_root, "set") for cut in CutSet.from_file(path) if cut.duration > 2][:5]
    expected = cuts[0].load_codes()[30:105]
    part = cuts[0].truncate(offset=0.4, duration=1.0)
    part.supervisions[0].text = "nine"
    cuts[1].supervisions[0].custom["weight"] = 2.5
    for cut in (part, *cuts[1:]):
        del cut.custom["split"]
    CutSet.from_cuts([part, *cuts[1:]]).to_file(tmp_path / "mine.jsonl.gz")
    mine = _select(data_root, name="mine", cuts=[tmp_path / "mine.jsonl.gz"], split_policy=SplitPolicy(dev=0, test=0))
    rows = {row["segment_id"]: row for row in mine.items.to_pylist()}
    assert rows.keys() == {cut.id for cut in cuts}
    assert rows[cuts[1].id]["weight"] == 2.5
    row = rows[cuts[0].id]
    assert (row["codes_start"], row["num_frames"], row["text"]) == (30, 75, "nine")
    assert row["symbols"] == open_phonemizer("espeak").phonemize(["nine"], "en")[0]
    config = preset("nano", mine.card.codec, num_symbols=len(mine.card.phoneme_symbols), languages=["en"])
    items = load_items(mine.items, PhonemeTable(mine.card.phoneme_symbols).encode, config.language_id)
    index = items.ids.to_pylist().index(cuts[0].id)
    codes = Collator(items, CodesReader(mine.lake), config)._read_codes(index, None)
    assert np.array_equal(codes.T, expected)
    # The exported cut of the part loads the same codes, and makes the same set again.
    exported = {cut.id: cut for cut in CutSet.from_file(data_root.training_sets / "mine" / "cuts_train.jsonl.gz")}
    assert np.array_equal(exported[cuts[0].id].load_codes(), expected)
    again = _select(data_root, name="again", cuts=_cuts_of(data_root, "mine"))
    assert again.card.id.rpartition("-")[2] == mine.card.id.rpartition("-")[2]


def test_cuts_that_cannot_be_trained_on_are_named(data_root: DataRoot, chosen: TrainingSet, tmp_path: Path) -> None:
    first, second = [cut for path in _cuts_of(data_root, "set") for cut in CutSet.from_file(path)][:2]
    stranger = fastcopy(second, id="stranger", recording=fastcopy(second.recording, id="elsewhere"))
    for name, cuts, sentence in (
        ("part", [first.truncate(duration=0.5)], "their text is that of the whole"),
        ("twice", [first, fastcopy(first, id="copy")], "another cut uses too"),
        ("unknown", [first, stranger], r"1 cuts \(stranger\) are not inside a segment"),
        ("fast", [first.perturb_speed(1.1)], "changed in speed"),
        ("long", [first.append(second)], "mixed"),
        ("leak", [first, fastcopy(second, custom={**second.custom, "split": "nothing"})], "without a split"),
    ):
        CutSet.from_cuts(cuts).to_file(tmp_path / f"{name}.jsonl.gz")
        with pytest.raises(PipelineError, match=sentence):
            _select(data_root, name=name, cuts=[tmp_path / f"{name}.jsonl.gz"])
    with pytest.raises(TrainingError, match="either a condition"):
        _select(data_root, name="both", cuts=_cuts_of(data_root, "set"), where="duration > 1")


def test_an_evaluation_takes_its_items_from_cuts(data_root: DataRoot, chosen: TrainingSet) -> None:
    items = items_of_cuts(data_root, _cuts_of(data_root, "set")[:1], count=None, trials=1, seed=0)
    listed = {cut.id for cut in CutSet.from_file(_cuts_of(data_root, "set")[0])}
    assert items.items and {item.utterance for item in items.items} | {item.prompt for item in items.items} <= listed


def test_a_segment_that_a_listener_found_bad_is_selected_only_when_asked_for(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    run_pipeline(folder_corpus(write_folder(tmp_path / "clips", 4, per_voice=2)), root.lake)
    everything = _select(root, name="before").items["segment_id"].to_pylist()
    with pytest.raises(PipelineError, match="no segment 'nothing'"):
        review(root, [everything[0], "nothing"], "bad")
    assert _select(root, name="unchanged").items["segment_id"].to_pylist() == everything
    review(root, [everything[0]], "bad", "a door slams")
    with connect(root.lake.snapshot()) as connection:
        found = connection.execute("SELECT segment_id FROM utterances WHERE verdict = 'bad'").fetchall()
    assert found == [(everything[0],)]
    assert _select(root, name="after").items["segment_id"].to_pylist() == everything[1:]
    assert _select(root, name="all", allow_bad=True).items["segment_id"].to_pylist() == everything
    review(root, [everything[0]], "good")
    assert _select(root, name="again").items["segment_id"].to_pylist() == everything
