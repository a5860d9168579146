"""`valle speak` with the real codec, phonemizer and judges, and a model that was never trained."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import yaml

from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.checkpoint import write_model
from valle.cli.arguments import parse
from valle.cli.speak import SpeakOptions, run
from valle.codec import open_codec
from valle.phonemes import phoneme_table
from valle.synthesis.long_form import LongFormOptions
from valle.synthesis.options import BestOfOptions, SamplingOptions
from valle.training.export import export_checkpoint
from warehouse.errors import ConfigurationError

CHANGED = {
    "long_form": (
        LongFormOptions,
        {"split": "lines", "max_characters": 50, "context_seconds": 3.0, "pause_seconds": 0.5},
    ),
    "best_of": (
        BestOfOptions,
        {"count": 3, "transcriber": "small", "speaker_encoder": "campplus"}
        | {"word_weight": 0.5, "character_weight": 0.25, "voice_weight": 2.0},
    ),
}
CASES = [(group, name, value) for group, (_, values) in CHANGED.items() for name, value in values.items()]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    card = toy_card(open_codec("mini").spec, phoneme_table().symbols)
    write_model(directory, card, untrained_model(card, stop=4.0).state_dict())
    return directory


@pytest.fixture
def speak(checkpoint, tmp_path):
    def speak(*arguments, checkpoint=checkpoint):
        own = ["--checkpoint", str(checkpoint), "--out", str(tmp_path / "new" / "speech.wav")]
        return run("speak", [*arguments, *own, "--sampling.max-seconds", "1"])

    speak.out = tmp_path / "new" / "speech.wav"
    return speak


@pytest.mark.parametrize("group", CHANGED)
def test_every_option_is_looked_at_here_and_says_what_it_does(group):
    model, values = CHANGED[group]
    assert set(values) == set(model.model_fields)
    assert all(getattr(model(), name) != value for name, value in values.items())
    assert all(field.description.endswith(".") for field in model.model_fields.values())


@pytest.mark.parametrize(("group", "name", "value"), CASES)
def test_every_option_is_a_flag_and_a_key_of_a_yaml_file(group, name, value, tmp_path):
    expected = CHANGED[group][0](**{name: value})
    flag = f"--{group}.{name}".replace("_", "-")
    assert getattr(parse(SpeakOptions, "speak", ["text", flag, str(value)]), group) == expected
    file = tmp_path / "options.yaml"
    file.write_text(yaml.safe_dump({group: {name: value}}))
    assert getattr(parse(SpeakOptions, "speak", ["text", "--config", str(file)]), group) == expected


def test_a_text_file_is_spoken_without_a_prompt_the_same_for_the_same_seed(speak, tmp_path, capsys):
    file = tmp_path / "text.txt"
    file.write_text("\ufeffOne two three. Mr. Four!\n\nFive", encoding="utf-8")
    codes = tmp_path / "codes" / "speech.npy"

    def spoken(seed):
        arguments = ("--text-file", str(file), "--codes", str(codes), "--sampling.seed", seed)
        assert speak(*arguments, "--long-form.pause-seconds", "0.2") == 0
        return np.load(codes), soundfile.read(speak.out)[0]

    (first, samples), (again, same), (other, _) = spoken("1"), spoken("1"), spoken("2")
    assert "(3 sentences)" in capsys.readouterr().out
    assert first.shape == (8, len(samples) // 320)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(samples, same)
    assert first.tolist() != other.tolist()


def test_standard_input_is_spoken_as_the_same_text_given_is(speak, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("One, naïve.".encode())))
    assert speak("-", "--sampling.seed", "1") == 0
    piped = soundfile.read(speak.out)[0]
    assert speak("One, naïve.", "--sampling.seed", "1") == 0
    np.testing.assert_array_equal(piped, soundfile.read(speak.out)[0])


def test_takes_are_shown_with_their_scores_and_the_chosen_one_is_marked(speak, capsys):
    clip = next(demo_clips())
    voice_only = ("--best-of.word-weight", "0", "--best-of.character-weight", "0")
    assert speak("One two.", "--prompt", str(clip.path), "--best-of.count", "3", *voice_only) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " seed " in line]
    scores = [float(line.split("score ")[1].split()[0]) for line in lines]
    assert len(lines) == 3
    assert [line.strip().startswith("*") for line in lines].index(True) == scores.index(max(scores))


def test_a_sentence_that_is_cut_or_missing_is_told_on_standard_error(speak, capsys):
    banned = ("--sampling.banned", "1024")
    assert speak("One.", *banned) == 0
    assert "'One.': it was cut after 1.0 s; set --sampling.max-seconds higher." in capsys.readouterr().err
    speak.out.unlink()
    assert speak("One.", "--sampling.banned", ",".join(map(str, range(1024)))) == 1
    assert "'One.': the model ended before it said anything; try another --sampling.seed." in capsys.readouterr().err
    assert not speak.out.exists()


def test_what_cannot_be_done_is_one_sentence(speak, tmp_path):
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, sentence in (
        ((), "Give what to say: a text, - for standard input, or --text-file"),
        (("One.", "--text-file", str(empty)), "Give what to say"),
        (("--text-file", str(empty)), "There is nothing to say"),
        (("--text-file", str(binary)), "The text cannot be read .*; give UTF-8 text"),
        (("--text-file", str(tmp_path / "none.txt")), "The text cannot be read"),
        (("One.", "--codes", "codes.txt"), "--codes must end in .npy, not 'codes.txt'"),
        (("One.", "--long-form.split", "words"), "--long-form.split: Input should be 'sentences', 'lines' or 'none'"),
        (("Eins.", "--language", "de", "--best-of.count", "2"), "tiny.en knows English only"),
        (("One.", "--best-of.count", "2", "--sampling.temperature", "0"), "All takes would be the same"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            speak(*arguments)


def test_a_checkpoint_speaks_as_its_card_says_unless_told_otherwise(speak, checkpoint, tmp_path):
    greedy = tmp_path / "greedy"
    export_checkpoint(checkpoint, greedy, sampling=SamplingOptions(temperature=0, shortest=1))

    def said(*arguments):
        assert speak("One.", *arguments, checkpoint=greedy) == 0
        return soundfile.read(speak.out)[0]

    by_default = said("--sampling.seed", "1")
    assert np.array_equal(by_default, said("--sampling.seed", "2"))
    assert not np.array_equal(by_default, said("--sampling.seed", "2", "--sampling.temperature", "1"))
