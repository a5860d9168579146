"""`valle speak --batch`: everything is checked before the first text, and one failing text does not stop the others."""

from pathlib import Path

import pytest

from valle.cli.speech.speak_options import SpeakOptions
from valle.cli.tasks.batch import BatchWork, read_batch, run_all
from warehouse.errors import CheckpointError, ConfigurationError


def options_of(path: Path, content: str, **changes) -> SpeakOptions:
    path.write_text(content, encoding="utf-8")
    return SpeakOptions(batch=path, **changes)


def test_each_line_has_its_own_text_file_prompt_and_language(tmp_path):
    own, voice = tmp_path / "own.wav", tmp_path / "voice.wav"
    own.touch()
    voice.touch()
    table = f'out\ttext\tprompt\tlanguage\na.wav\tHe said "yes\t\t\nb.flac\tJa\t{voice}\tde\n'
    options = options_of(tmp_path / "list.tsv", table, prompt=(own,), device="cpu")
    first, second = read_batch(options, "")
    assert first[0] == 'He said "yes' and second[0] == "Ja"
    assert (first[1].out, first[1].prompt, first[1].language) == (Path("a.wav"), (own,), "en")
    assert (second[1].out, second[1].prompt, second[1].language) == (Path("b.flac"), (voice,), "de")
    assert first[1].batch is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("out\na.wav\n", "the columns out, text"),
        ("out\ttext\tspeed\na.wav\tYes\t2\n", "not out, text, speed"),
        ("", "not nothing"),
        ("out\ttext\n", "each further line is a text"),
        ("out\ttext\na.wav\t \n", "Line 2 of .* has no"),
        ("out\ttext\na.wav\tYes\n./a.wav\tNo\n", "Two lines of .* write .*a.wav"),
        ("out\ttext\na.mp3\tYes\n", "Line 2 of .*: --out must end in"),
        ("out\ttext\na.wav\tYes\n\nb.wav\n", "Line 4 of .* has no text"),
        ("out\ttext\na.wav\tYes\tvoice.wav\n", "Line 2 of .* has more than 2 columns"),
        ("out\ttext\ttext\na.wav\tYes\tNo\n", "each once"),
        ("out\ttext\tprompt\na.wav\tYes\tabsent.wav\n", "Line 2 of .*: there is no recording absent.wav"),
        ("out\ttext\tprompt_seconds\na.wav\tYes\tmany\n", "Line 2 of .*: --prompt-seconds: .* number"),
        ("out\ttext\tprompt_seconds\na.wav\tYes\t0.1\n", "Line 2 of .*: --prompt-seconds: .* equal to 1"),
    ],
)
def test_a_table_that_cannot_be_spoken_is_refused_before_anything_is(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message):
        read_batch(options_of(tmp_path / "list.tsv", content), "")


def test_a_batch_has_no_text_beside_it_and_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match="leave out the text"):
        read_batch(options_of(tmp_path / "list.tsv", "out\ttext\na.wav\tYes\n"), "more")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_batch(SpeakOptions(batch=tmp_path / "absent.tsv"), "")


def test_a_line_has_every_option_of_its_prompt(tmp_path):
    paths = [tmp_path / name for name in ("a.flac", "b.flac")]
    for path in paths:
        path.touch()
    names = ["out", "text", "prompt", "prompt_shares", "prompt_seconds", "prefix_silence", "speech_language"]
    cells = ["o.wav", "Yes", " | ".join(map(str, paths)), "0.7|0.3", "4", "0.5", "de"]
    table = "\t".join(names) + "\n" + "\t".join(cells) + "\n"
    [(_, line)] = read_batch(options_of(tmp_path / "list.tsv", table), "")
    assert line.prompt == tuple(paths) and line.prompt_shares == (0.7, 0.3)
    assert (line.prompt_seconds, line.prefix_silence, line.speech_language) == (4.0, 0.5, "de")
    table = f"out\ttext\tprompt\no.wav\tYes\t{paths[0]}\n"
    with pytest.raises(ConfigurationError, match=r"Line 2 of .* has its own prompt"):
        read_batch(options_of(tmp_path / "list.tsv", table, prompt_text="Of another prompt."), "")


def test_the_table_of_a_task_has_the_columns_that_the_task_needs(tmp_path):
    source = tmp_path / "source.wav"
    source.touch()
    [(text, line)] = read_batch(options_of(tmp_path / "list.tsv", f"source\n{source}\n"), "", ("source",), ("text",))
    assert (text, line.source) == ("", source)
    with pytest.raises(ConfigurationError, match="the columns out, source"):
        read_batch(options_of(tmp_path / "list.tsv", "out\ttext\na.wav\tYes\n"), "", ("out", "source"), ("text",))


def test_a_failing_text_is_reported_and_the_others_are_spoken(capsys):
    done = []

    def fail() -> int:
        raise ConfigurationError("The prompt is silent.")

    jobs = [
        BatchWork("a.wav", lambda: done.append(1) or 0),
        BatchWork("b.wav", fail),
        BatchWork("c.wav", lambda: done.append(2) or 0),
    ]
    assert run_all(jobs) == 1
    assert done == [1, 2] and capsys.readouterr().err == "valle: b.wav: The prompt is silent.\n"
    with pytest.raises(ConfigurationError, match="silent"):
        run_all([BatchWork("b.wav", fail)])


def test_a_checkpoint_that_cannot_do_the_work_ends_the_batch_at_its_first_line():
    def fail() -> int:
        raise CheckpointError("It has not learnt to remove noise.")

    done = []
    with pytest.raises(CheckpointError, match="not learnt"):
        run_all([BatchWork("a.wav", fail), BatchWork("b.wav", lambda: done.append(1) or 0)])
    assert not done
