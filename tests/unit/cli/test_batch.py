"""`valle speak --batch`: everything is checked before the first text, and one failing text does not stop the others."""

from pathlib import Path

import pytest

from valle.cli.speech.speak import SpeakOptions
from valle.cli.tasks.batch import read_batch, run_all
from warehouse.errors import ConfigurationError


def options_of(path: Path, content: str, **changes) -> SpeakOptions:
    path.write_text(content, encoding="utf-8")
    return SpeakOptions(batch=path, **changes)


def test_each_line_has_its_own_text_file_prompt_and_language(tmp_path):
    table = 'out\ttext\tprompt\tlanguage\na.wav\tHe said "yes\t\t\nb.flac\tJa\tvoice.wav\tde\n'
    options = options_of(tmp_path / "list.tsv", table, prompt=(Path("own.wav"),), device="cpu")
    first, second = read_batch(options, "")
    assert first[0] == 'He said "yes' and second[0] == "Ja"
    assert (first[1].out, first[1].prompt, first[1].language) == (Path("a.wav"), (Path("own.wav"),), "en")
    assert (second[1].out, second[1].prompt, second[1].language) == (Path("b.flac"), (Path("voice.wav"),), "de")
    assert first[1].batch is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("out\na.wav\n", "the columns out, text"),
        ("out\ttext\tspeed\na.wav\tYes\t2\n", "not out, text, speed"),
        ("", "not nothing"),
        ("out\ttext\n", "each further line is a text"),
        ("out\ttext\na.wav\t \n", "Line 2 of .* has no"),
        ("out\ttext\na.wav\tYes\na.wav\tNo\n", "Two lines of .* write a.wav"),
        ("out\ttext\na.mp3\tYes\n", "--out must end in"),
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


def test_a_failing_text_is_reported_and_the_others_are_spoken(capsys):
    done = []

    def fail() -> int:
        raise ConfigurationError("The prompt is silent.")

    assert run_all([lambda: done.append(1) or 0, fail, lambda: done.append(2) or 0]) == 1
    assert done == [1, 2] and "The prompt is silent." in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="silent"):
        run_all([fail])
