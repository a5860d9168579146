"""A synthetic corpus that grows: resumable anywhere, balanced over voices, apart from the texts of tests."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sine_speaker
import soundfile
from sine_speaker import HELD_OUT, VOICES, SineSpeaker, small

from manifests.demo.clips import demo_clips
from manifests.reading.growing import grow_corpus
from manifests.synthesis.kokoro import HELD_OUT_VOICES, MAIN_VOICES, Kokoro, KokoroFrontend, kokoro_phonemes
from manifests.synthesis.synthesize import CorpusSynthesisOptions, synthesize, trim
from manifests.synthesis.texts import is_reserved, words_of
from warehouse.errors import ConfigurationError, DependencyError, ManifestError


def rows_of(folder):
    with (folder / "corpus.tsv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


def sound_of(folder):
    return {row["id"]: soundfile.read(folder / row["file"])[0].tobytes() for row in rows_of(folder)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = synthesize(small(folder), SineSpeaker())
    return folder, result


def test_a_corpus_has_the_hours_asked_for_and_says_so(whole):
    folder, result = whole
    rows = rows_of(folder)
    training = sum(float(row["duration_s"]) for row in rows if row["split"] == "main")
    assert 5 <= training < 6
    assert training == pytest.approx(result.training_seconds)
    assert result.clips == len(rows)
    assert result.seconds == pytest.approx(sum(float(row["duration_s"]) for row in rows))


def test_every_clip_is_opus_of_the_length_in_its_row(whole):
    folder, _ = whole
    rows = rows_of(folder)
    for row in rows:
        header = soundfile.info(folder / row["file"])
        assert (header.format, header.subtype, header.samplerate, header.channels) == ("OGG", "OPUS", 24000, 1)
        assert header.frames / 24000 == pytest.approx(float(row["duration_s"]), abs=0.006)
    assert sorted(path.name for path in (folder / "audio").iterdir()) == sorted(f"{row['id']}.ogg" for row in rows)


def test_test_clips_come_first_and_any_beginning_is_balanced_over_voices(whole):
    rows = rows_of(whole[0])
    assert [(row["split"], row["voice"]) for row in rows[:4]] == [("heldout", voice) for voice in HELD_OUT] * 2
    training = [row["voice"] for row in rows[4:]]
    for end in range(1, len(training)):
        counts = [training[:end].count(voice) for voice in VOICES]
        assert max(counts) - min(counts) <= 1


def test_test_texts_are_reserved_and_training_texts_are_not(whole):
    rows = rows_of(whole[0])
    assert all(is_reserved(row["text"]) == (row["split"] == "heldout") for row in rows)


def test_test_clips_alone_can_be_of_any_voice(tmp_path):
    result = synthesize(small(tmp_path, hours=0.0, voices=(), held_out_voices=MAIN_VOICES[:2]), SineSpeaker())
    assert [row["voice"] for row in rows_of(tmp_path)] == [*MAIN_VOICES[:2]] * 2
    assert result.training_seconds == 0


def test_a_row_says_who_speaks_and_how(whole):
    rows = {row["voice"]: row for row in rows_of(whole[0])}
    assert (rows["am_two"]["accent"], rows["am_two"]["gender"]) == ("en-US", "male")
    assert (rows["bf_three"]["accent"], rows["bf_three"]["gender"]) == ("en-GB", "female")
    assert rows["bf_three"]["phonemes"] == rows["bf_three"]["prompt"].lower()
    assert rows["bf_three"]["speed"] in {"0.9", "1.0", "1.1"}


def test_a_complete_corpus_is_left_as_it_is_and_more_hours_only_add(whole, tmp_path):
    synthesize(small(tmp_path, hours=2 / 3600), SineSpeaker())
    before = (tmp_path / "corpus.tsv").read_bytes()
    assert synthesize(small(tmp_path, hours=2 / 3600), SineSpeaker(strength=0)).clips == 0
    assert (tmp_path / "corpus.tsv").read_bytes() == before
    synthesize(small(tmp_path), SineSpeaker())
    assert (tmp_path / "corpus.tsv").read_bytes().startswith(before)
    assert sound_of(tmp_path) == sound_of(whole[0])


@pytest.mark.parametrize("strength", [0, 4, 11])
def test_an_interrupted_corpus_goes_on_where_it_stood(whole, tmp_path, strength):
    with pytest.raises(KeyboardInterrupt):
        synthesize(small(tmp_path), SineSpeaker(strength=strength))
    assert len(rows_of(tmp_path)) == strength
    rest = synthesize(small(tmp_path), SineSpeaker())
    assert rest.clips == whole[1].clips - strength
    assert (tmp_path / "corpus.tsv").read_bytes() == (whole[0] / "corpus.tsv").read_bytes()


def test_a_corpus_whose_process_is_killed_ends_like_one_that_was_not(tmp_path):
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    for _ in range(2):
        begun = rows_of(killed) if (killed / "corpus.tsv").exists() else []
        command = [sys.executable, sine_speaker.__file__, str(killed), "1000"]
        root = Path(__file__).parents[3]
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)})
        deadline = time.monotonic() + 300
        while not (killed / "corpus.tsv").exists() or len(rows_of(killed)) < len(begun) + 5:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    hours = (sum(float(row["duration_s"]) for row in rows_of(killed) if row["split"] == "main") + 1) / 3600
    for folder in (killed, calm):
        synthesize(small(folder, hours=hours), SineSpeaker())
    assert (killed / "corpus.tsv").read_bytes() == (calm / "corpus.tsv").read_bytes()
    assert sound_of(killed) == sound_of(calm)
    assert not list((killed / "audio").glob(".*"))


def test_a_row_that_was_cut_off_is_made_again(whole, tmp_path):
    synthesize(small(tmp_path, hours=2 / 3600), SineSpeaker())
    table = tmp_path / "corpus.tsv"
    table.write_bytes(table.read_bytes()[:-9])
    synthesize(small(tmp_path), SineSpeaker())
    assert table.read_bytes() == (whole[0] / "corpus.tsv").read_bytes()


def test_texts_of_named_tables_and_of_the_demo_corpus_are_avoided_across_splits(whole, tmp_path):
    rows = rows_of(whole[0])
    spoken = {split: {words_of(row["text"]) for row in rows if row["split"] == split} for split in ("main", "heldout")}
    other = tmp_path / "other.tsv"
    lines = [f"heldout\t{text}" for text in spoken["main"]] + [f"main\t{text}" for text in spoken["heldout"]]
    other.write_text("\n".join(["split\ttext", *lines]) + "\n", encoding="utf-8")
    synthesize(small(tmp_path / "apart", avoid=(other,)), SineSpeaker())
    for split, across in (("main", "heldout"), ("heldout", "main")):
        texts = {words_of(row["text"]) for row in rows_of(tmp_path / "apart") if row["split"] == split}
        assert texts
        assert not texts & spoken[split]
        assert not texts & {words_of(clip.text) for clip in demo_clips() if clip.split == across}


def test_a_second_process_is_refused(tmp_path):
    with grow_corpus(tmp_path), pytest.raises(ConfigurationError, match="Another process writes"):
        synthesize(small(tmp_path), SineSpeaker())


def test_a_table_of_another_form_and_a_missing_file_are_one_sentence(tmp_path):
    (tmp_path / "corpus.tsv").write_text("id\ttext\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="other columns"):
        synthesize(small(tmp_path), SineSpeaker())
    synthesize(small(tmp_path / "b", hours=0), SineSpeaker())
    next((tmp_path / "b" / "audio").iterdir()).unlink()
    with pytest.raises(ManifestError, match="is missing: delete its row"):
        synthesize(small(tmp_path / "b"), SineSpeaker())
    with pytest.raises(ManifestError, match="split and text"):
        synthesize(small(tmp_path / "c", avoid=(tmp_path / "none.tsv",)), SineSpeaker())


def test_silence_is_one_sentence_and_no_clip(tmp_path):
    with pytest.raises(ManifestError, match="is silent"):
        synthesize(small(tmp_path), SineSpeaker(loudness=0.0))
    assert rows_of(tmp_path) == []


def test_trimming_leaves_a_tenth_of_a_second_and_never_full_scale():
    tone = np.full(2400, 1.5, dtype=np.float32)
    trimmed = trim(np.pad(tone, 9000), 24_000)
    assert trimmed.size == 2400 + 2 * 2400
    assert np.abs(trimmed).max() == pytest.approx(0.95)
    quiet = np.full(100, 0.2, dtype=np.float32)
    assert np.array_equal(trim(quiet, 24_000), quiet)


def test_options_that_train_on_held_out_voices_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="held out"):
        CorpusSynthesisOptions(out=tmp_path, hours=1, voices=("af_river",))
    with pytest.raises(ConfigurationError, match="less than none"):
        CorpusSynthesisOptions(out=tmp_path, hours=-1)


def test_the_splits_of_the_voices_are_those_of_the_demo_corpus():
    for split, voices in (("main", MAIN_VOICES), ("heldout", HELD_OUT_VOICES)):
        assert {clip.speaker for clip in demo_clips() if clip.split == split} == set(voices)


@pytest.mark.parametrize(
    ("text", "british", "phonemes"),
    [
        ("Six five one.", False, "sˈɪks fˈIv wˌʌn."),
        ("Eight six two three.", False, "ˈAt sˈɪks tˈu θɹˈi."),
        ("Seven three five, three seven.", False, "sˈɛvən θɹˈi fˈIv, θɹˈi sˈɛvən."),
        (
            "The paper boat floated almost to the other bank.",
            False,
            "ðə pˈApəɹ bˈOt flˈOTᵻd ˈɔlmOst tə ðɪ ˈʌðəɹ bˈæŋk.",
        ),
        ("Zero nine two.", True, "zˈɪəɹQ nˈIn tˈuː."),
        ("There are boxes near the market.", True, "ðɛːɹˌɑː bˈɒksɪz nˌɪə ðə mˈɑːkɪt."),
    ],
)
def test_text_is_read_in_the_alphabet_of_the_network(text, british, phonemes):
    assert KokoroFrontend().phonemize(text, british=british) == phonemes


def test_affricates_and_syllabic_consonants_become_one_letter():
    assert kokoro_phonemes("t^ʃˈɛɹi d^ʒˈʌmp", british=False) == "ʧˈɛɹi ʤˈʌmp"
    assert kokoro_phonemes("bˈʌʔn\u0329", british=False) == "bˈʌtᵊn"
    assert "\u0329" not in kokoro_phonemes("ɹˈɪdn\u0329", british=True)


def test_missing_voices_name_the_command_that_fetches_them(tmp_path):
    with pytest.raises(DependencyError, match=r"npm pack kokoro-js@1\.2\.1"):
        Kokoro(tmp_path / "none.tgz")


def test_the_clip_that_a_killed_process_was_writing_is_removed(tmp_path):
    synthesize(small(tmp_path, hours=2 / 3600), SineSpeaker())
    leftover = tmp_path / "audio" / ".clip.20211-9efcc73afa08.tmp.ogg"
    leftover.write_bytes(b"half a clip")
    synthesize(small(tmp_path, hours=2 / 3600), SineSpeaker())
    assert not leftover.exists()
