"""`valle speak` with the real codec, phonemizer and metric models, and an untrained model."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import yaml

from manifests.demo.clips import demo_clips
from tests.unit.cli.parsing import parse_options
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.cli.app import build_app
from valle.cli.arguments import run_command
from valle.codec import open_codec
from valle.phonemes import phoneme_table
from valle.synthesis.options import BestOfOptions, LongFormOptions, SamplingOptions
from valle.synthesis.synthesizer import Synthesizer
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
        | {"word_weight": 0.5, "character_weight": 0.25, "similarity_weight": 2.0},
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
        return run_command(build_app().meta, ["speak", *arguments, *own, "--sampling.max-seconds", "1"])

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
    assert getattr(parse_options("speak", "text", flag, str(value)), group) == expected
    file = tmp_path / "options.yaml"
    file.write_text(yaml.safe_dump({group: {name: value}}))
    assert getattr(parse_options("speak", "text", config=file), group) == expected


def test_a_text_file_is_spoken_without_a_prompt_the_same_for_the_same_seed(speak, tmp_path, capsys):
    file = tmp_path / "text.txt"
    file.write_text("\ufeffOne two three. Mr. Four!\n\nFive", encoding="utf-8")
    codes = tmp_path / "codes" / "speech.npy"

    def spoken(seed):
        arguments = ("--text-file", str(file), "--codes", str(codes), "--sampling.seed", seed)
        assert speak(*arguments, "--long-form.pause-seconds", "0.2") == 0
        return np.load(codes), soundfile.read(speak.out)[0]

    (first, samples), (again, same), (other, _) = spoken("1"), spoken("1"), spoken("2")
    assert "(3 of 3 sentences)" in capsys.readouterr().out
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


def test_candidates_are_shown_with_their_scores_and_the_chosen_one_is_marked(speak, capsys):
    clip = next(demo_clips())
    voice_only = ("--best-of.word-weight", "0", "--best-of.character-weight", "0")
    assert speak("One two.", "--prompt", str(clip.path), "--best-of.count", "3", *voice_only) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " seed " in line]
    scores = [float(line.split("score ")[1].split()[0]) for line in lines]
    assert len(lines) == 3
    assert [line.strip().startswith("*") for line in lines].index(True) == scores.index(max(scores))


def test_a_sentence_that_is_cut_or_missing_is_told_on_standard_error(speak, capsys):
    no_stop = ("--sampling.suppressed-codes", "1024")
    assert speak("One.", *no_stop) == 0
    assert "'One.': it was cut after 1.0 s; set --sampling.max-seconds higher." in capsys.readouterr().err
    speak.out.unlink()
    assert speak("One.", "--sampling.suppressed-codes", ",".join(map(str, range(1024)))) == 1
    assert "'One.': the model ended it before the first frame; try another --sampling.seed." in capsys.readouterr().err
    assert not speak.out.exists()


def test_what_cannot_be_done_is_one_sentence(speak, tmp_path):
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, sentence in (
        ((), "Give a text, - for standard input, or --text-file"),
        (("One.", "--text-file", str(empty)), "Give a text"),
        (("--text-file", str(empty)), "There is nothing to speak"),
        (("--text-file", str(binary)), "The text cannot be read .*; give UTF-8 text"),
        (("--text-file", str(tmp_path / "none.txt")), "The text cannot be read"),
        (("One.", "--codes", "codes.txt"), "--codes must end in .npy, not 'codes.txt'"),
        (("One.", "--long-form.split", "words"), "--long-form.split: Input should be 'sentences', 'lines' or 'none'"),
        (("Eins.", "--language", "de", "--best-of.count", "2"), "tiny.en supports English only"),
        (("One.", "--best-of.count", "2", "--sampling.temperature", "0"), "All candidates would be the same"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            speak(*arguments)


def test_a_checkpoint_speaks_as_its_card_says_unless_told_otherwise(speak, checkpoint, tmp_path):
    greedy = tmp_path / "greedy"
    export_checkpoint(checkpoint, greedy, sampling=SamplingOptions(temperature=0, min_duration_ratio=1))

    def said(*arguments):
        assert speak("One.", *arguments, checkpoint=greedy) == 0
        return soundfile.read(speak.out)[0]

    by_default = said("--sampling.seed", "1")
    assert np.array_equal(by_default, said("--sampling.seed", "2"))
    assert not np.array_equal(by_default, said("--sampling.seed", "2", "--sampling.temperature", "1"))


def write_prompt(path, seconds, *, amplitude=0.3, rate=24_000):
    times = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, amplitude * np.sin(2 * np.pi * 150 * times), rate)
    return path


@pytest.mark.parametrize(
    ("seconds", "amplitude", "sentence"),
    [
        (0.01, 0.3, r"lasts 0\.01 s; give 3 to 6 seconds"),
        (0.9, 0.3, r"lasts 0\.90 s"),
        (4, 0.0, "is silent; give 3 to 6"),
        (16, 0.0, "is silent in its first 15 s; give 3 to 6"),
    ],
)
def test_a_prompt_that_defines_no_speaker_is_refused(speak, tmp_path, seconds, amplitude, sentence):
    prompt = write_prompt(tmp_path / "prompt.wav", seconds, amplitude=amplitude)
    with pytest.raises(ConfigurationError, match=sentence):
        speak("One.", "--prompt", str(prompt))


def test_of_a_long_prompt_the_first_seconds_are_used(speak, tmp_path, capsys):
    short, long = write_prompt(tmp_path / "short.wav", 15), write_prompt(tmp_path / "long.wav", 40)
    assert speak("One.", "--prompt", str(short), "--sampling.seed", "1") == 0
    expected = soundfile.read(speak.out)[0]
    assert speak("One.", "--prompt", str(long), "--sampling.seed", "1") == 0
    np.testing.assert_array_equal(soundfile.read(speak.out)[0], expected)
    assert "the first 15 s of" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="longer than 15 s, so that --prompt-text does not fit"):
        speak("One.", "--prompt", str(long), "--prompt-text", "two")


def test_a_flac_from_a_pipe_is_a_prompt(speak, tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(72_000) / 20) * 0.3, 24_000, format="FLAC")
    content = bytearray(buffer.getvalue())
    content[21] &= 0xF0  # the number of samples in STREAMINFO, which an encoder that writes to a pipe leaves at 0
    content[22:26] = bytes(4)
    piped = tmp_path / "piped.flac"
    piped.write_bytes(content)
    whole = tmp_path / "whole.flac"
    whole.write_bytes(buffer.getvalue())
    spoken = []
    for prompt in (piped, whole):
        assert speak("One.", "--prompt", str(prompt), "--sampling.suppressed-codes", "1024") == 0
        spoken.append(soundfile.read(speak.out)[0])
    np.testing.assert_array_equal(*spoken)


def test_an_unknown_device_is_one_sentence(speak):
    for device in ("nonsense", "cuda:99", "meta"):
        with pytest.raises(ConfigurationError, match=rf"There is no device '{device}' \(.*\); use cpu"):
            speak("One.", "--device", device)


def test_a_sentence_in_a_foreign_script_is_left_out_and_told(speak, capsys):
    assert speak("One. Привет. Two.", "--sampling.seed", "1") == 1
    assert "'Привет.': it has 6 letters" in capsys.readouterr().err
    for text in ("مرحبا", "สวัสดี", "six, مرحبا two."):
        with pytest.raises(ConfigurationError, match="There is nothing to speak"):
            speak(text)


def test_a_lone_surrogate_is_one_sentence(speak):
    with pytest.raises(ConfigurationError, match="Character 4 of the text is no Unicode"):
        speak("One\udcff.")


def test_each_sentence_is_in_the_file_before_the_next_one_begins(speak, monkeypatch, tmp_path):
    codes, lengths = tmp_path / "speech.npy", []
    speak_many = Synthesizer.speak_many

    def watch(self, requests):
        if speak.out.exists():
            lengths.append((soundfile.info(speak.out).frames, np.load(codes).shape[1] * 320))
        if len(lengths) == 2:
            raise KeyboardInterrupt
        return speak_many(self, requests)

    monkeypatch.setattr(Synthesizer, "speak_many", watch)
    with pytest.raises(KeyboardInterrupt):
        speak("One two. Three four. Five six.", "--codes", str(codes), "--sampling.suppressed-codes", "1024")
    assert lengths == [(24_000, 24_000), (48_000, 48_000)]
    assert len(soundfile.read(speak.out)[0]) == 48_000


def test_progress_is_shown_between_sentences(speak, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert speak("One two. Three four. Five six.", "--sampling.suppressed-codes", "1024") == 0
    shown = capsys.readouterr().err
    assert "sentence 1 of 3, 1.0 s of speech" in shown
    assert "sentence 2 of 3, 2.0 s of speech" in shown


def test_a_stream_in_a_pipe_is_the_speech_of_the_growing_file(speak, checkpoint, monkeypatch, tmp_path):
    codes = tmp_path / "codes.npy"
    endless = ("--sampling.suppressed-codes", "1024")
    whole = ("--stream", "--streaming.window", "0")
    assert speak("One two. Three.", *whole, *endless, "--codes", str(codes)) == 0
    streamed = soundfile.read(speak.out)[0]
    assert np.load(codes).shape == (8, len(streamed) // 320)
    [decoded] = open_codec("mini").decode([np.load(codes)])
    np.testing.assert_allclose(streamed, decoded, atol=1e-3)
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
    piped = ["--checkpoint", str(checkpoint), "--sampling.max-seconds", "1", "--out", "-"]
    assert run_command(build_app().meta, ["speak", "One two. Three.", *whole, *endless, *piped]) == 0
    np.testing.assert_allclose(soundfile.read(io.BytesIO(pipe.getvalue()))[0], streamed, atol=1e-4)


def test_a_stream_that_makes_no_sense_is_refused(speak):
    with pytest.raises(ConfigurationError, match="whole sentences"):
        speak("One.", "--stream", "--best-of.count", "2")
    with pytest.raises(ConfigurationError, match="likeliest-of out"):
        speak("One.", "--stream", "--sampling.likeliest-of", "2")
    with pytest.raises(ConfigurationError, match="--out - needs --stream"):
        run_command(build_app().meta, ["speak", "One.", "--out", "-"])
