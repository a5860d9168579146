"""Commands, groups, options, and the sentences for wrong ones."""

import os
import subprocess
import sys

import pytest
import yaml

from flows.parameters import DemoParameters, PrepareParameters, TrainParameters
from tests.pipeline.prepared import write_folder
from tests.unit.cli.parsing import parse_options
from valle.cli import main
from valle.cli.app import build_app, command_names
from warehouse.errors import ConfigurationError

CORPUS = ("--corpus.kind", "folder", "--corpus.root", "/clips", "--corpus.name", "clips")


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ | environment
    ).stdout


def sentence_of(capsys, *tokens):
    """The exit code and the one line on standard error."""
    code = main(tokens)
    [line] = capsys.readouterr().err.splitlines()
    return code, line


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["speek", "x"], "There is no command 'speek'; did you mean 'speak'?"),
        (["data", "quantise"], "There is no command 'data quantise'; did you mean 'data quantize'?"),
        (["evaluate", "agregate", "x"], "There is no command 'evaluate agregate'; did you mean 'evaluate aggregate'?"),
        (["lake", "x"], "There is no command 'lake x'; there are catalogue, fsck, compact, vacuum."),
        (
            ["train", "--training-set", "a", "--run", "b", "--options.codebook-weights", "3", "2"],
            "`valle train` takes no '2' there; write the values of a list with commas, such as 1,2,3.",
        ),
        (
            ["train", "--training-set", "a", "--run", "b", "--options.prompt-seconds", "1,2"],
            "--options.prompt-seconds must have 2 values with spaces between them.",
        ),
        (["speak", "x", "--sampling.bean.width", "3"], "Did you mean --sampling.beam.width?"),
        (["prepare", "--data", "x"], "--corpus.kind and --corpus.root and --corpus.name must have a value."),
        (["data", "retry"], "STAGE must have a value."),
        (["speak", "--promt=x.wav"], "Unknown option: --promt=x.wav."),
        (["prepare"], "--corpus.kind must have a value."),
        (["sql", "SELECT 1", "--limit"], "--limit must have a value."),
    ],
)
def test_a_wrong_command_line_is_one_sentence_with_the_right_word(capsys, tokens, sentence):
    code, line = sentence_of(capsys, *tokens)
    assert code == 2
    assert sentence in line
    assert line.startswith("valle: ")
    assert line.endswith("`--help` lists commands and options.")


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["speak", "x", "--sampling.top-p", "7"], "--sampling.top-p: Input should be less than or equal to 1"),
        (["prepare", *CORPUS[:-1], "No Name!"], "--corpus.name: String should match pattern"),
        (["evaluate"], "--run"),
        (["lake", "vacuum", "--grace-hours", "-1"], "--grace-hours: Input should be greater than or equal to 0"),
    ],
)
def test_a_refused_value_is_one_sentence_that_starts_with_its_flag(capsys, tokens, sentence):
    code, line = sentence_of(capsys, *tokens)
    assert code == 1
    assert sentence in line


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(ConfigurationError):
        main(["--debug", "speak", "x", "--sampling.top-p", "7"])


def test_the_options_of_every_command_may_stand_anywhere(monkeypatch, capsys):
    monkeypatch.delenv("VALLE_VERBOSITY", raising=False)
    assert main(["sql", "--quiet", "--data", "/nowhere"]) == 0
    assert os.environ["VALLE_VERBOSITY"] == "quiet"
    assert main(["--verbose", "sql", "--data", "/nowhere"]) == 0
    assert os.environ["VALLE_VERBOSITY"] == "verbose"
    monkeypatch.delenv("VALLE_VERBOSITY")


def test_fields_of_flows_are_flags_and_what_is_left_open_keeps_its_default():
    options = parse_options("prepare", *CORPUS, "--stages.transcribe.languages", "en,de", "--workers.width", "3")
    expected = PrepareParameters(
        corpus={"kind": "folder", "root": "/clips", "name": "clips"},
        stages={"transcribe": {"languages": ("en", "de")}},
        workers={"width": 3},
    )
    assert options == expected
    assert parse_options("prepare", *CORPUS, "--stages.transcribe.no-recheck").stages.transcribe.recheck is False
    repeated = ("--stages.transcribe.languages", "en", "--stages.transcribe.languages", "de")
    assert parse_options("prepare", *CORPUS, *repeated).stages.transcribe.languages == ("en", "de")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("[]", ()), ("dnsmos", ("dnsmos",)), ("a, b", ("a", "b")), ('["a","b"]', ("a", "b")), ("[a,b]", ("a", "b"))],
)
def test_a_list_is_written_with_commas_or_as_json(value, expected):
    assert parse_options("prepare", *CORPUS, "--stages.quality.scorers", value).stages.quality.scorers == expected
    assert parse_options("prepare", *CORPUS, "--stages.quality.empty-scorers").stages.quality.scorers == ()


def test_a_default_that_differs_from_its_class_stays_when_a_part_of_it_is_given():
    assert DemoParameters().workers.width == 2
    assert parse_options("demo", "--workers.threads", "3").workers == DemoParameters().workers.model_copy(
        update={"threads": 3}
    )


def test_a_list_that_may_be_absent_is_split_at_commas_too():
    options = parse_options("train", "--training-set", "a", "--run", "b", "--options.codebook-weights", "3,2,1").options
    assert options.codebook_weights == (3, 2, 1)


def test_a_choice_between_numbers_is_read_as_a_number():
    train = ("train", "--training-set", "a", "--run", "b")
    assert parse_options(*train, "--options.zero-stage", "3").options.zero_stage == 3
    codec = ("codec", "train", "--run", "a", "--audio", "b")
    assert parse_options(*codec, "--sample-rate", "44100").sample_rate == 44_100
    with pytest.raises(ConfigurationError, match="--sample-rate: Input should be 24000 or 44100"):
        parse_options(*codec, "--sample-rate", "22050")


def test_a_file_of_options_is_the_parameters_of_a_form_and_flags_override_it(tmp_path):
    file = tmp_path / "options.yaml"
    content = {"training_set": "clean", "run": "first", "options": {"max_steps": 7, "betas": [0.8, 0.9], "seed": None}}
    file.write_text(yaml.safe_dump(content))
    assert parse_options("train", config=file) == TrainParameters(
        training_set="clean", run="first", options={"max_steps": 7, "betas": (0.8, 0.9)}
    )
    assert parse_options("train", "--options.max-steps", "9", config=file).options.max_steps == 9


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("- 1\n- 2\n", "holds no options; it should be a YAML mapping of field names."),
        ("{", "Cannot read the options in"),
        ("bean: 3\n", "bean"),
        ("sampling: 3\n", "sampling"),
    ],
)
def test_a_file_that_holds_no_options_is_one_sentence(tmp_path, capsys, content, sentence):
    file = tmp_path / "options.yaml"
    file.write_text(content)
    code, line = sentence_of(capsys, "speak", "x", "--config", str(file))
    assert code in (1, 2)
    assert sentence in line


@pytest.mark.parametrize("tokens", [["--help"], ["speak", "--help"], ["lake", "--help"], ["sql", "--help"]])
def test_help_imports_neither_torch_nor_prefect(tokens):
    code = f"import sys, valle.cli; valle.cli.main({tokens}); print(sorted({{'torch', 'prefect'}} & set(sys.modules)))"
    assert run_python(code).splitlines()[-1] == "[]"


HEAVY = {
    "torch",
    "prefect",
    "lhotse",
    "transformers",
    "matplotlib",
    "gradio",
    "fastapi",
    "onnxruntime",
    "faster_whisper",
}


def test_a_query_imports_nothing_that_takes_seconds(tmp_path):
    query = ["sql", "select 1", "--data", str(tmp_path)]
    loaded = run_python(f"import sys, valle.cli; valle.cli.main({query}); print(sorted({HEAVY} & set(sys.modules)))")
    assert loaded.splitlines()[-1] == "[]"


def test_a_flow_of_a_command_starts_no_server_and_leaves_its_report(tmp_path):
    clips = write_folder(tmp_path / "clips", 1)
    corpus = ["--corpus.kind", "folder", "--corpus.root", str(clips), "--corpus.name", "clips"]
    flow = ["data", "ingest", *corpus, "--corpus.options.language", "en", "--data", str(tmp_path / "data")]
    home = tmp_path / "prefect"
    code = f"import sys, valle.cli; print(valle.cli.main({flow}), 'prefect.server' in sys.modules)"
    told = run_python(code, PREFECT_HOME=str(home), HOME=str(tmp_path))
    assert told.splitlines()[-1] == "0 False"
    assert not list(home.glob("*.db"))
    report = (tmp_path / "data" / "reports" / "ingest-clips.md").read_text(encoding="utf-8")
    assert "| ingest | 1 | 1 | 1 |" in report


def test_the_help_of_speak_needs_no_audio_library():
    code = "import sys, valle.cli; valle.cli.main(['speak', '--help']); print({*sys.modules} & {'soundfile', 'numpy'})"
    assert run_python(code).splitlines()[-1] == "set()"


def test_the_help_describes_every_option():
    shown = " ".join(run_python("import valle.cli; valle.cli.main(['prepare', '--help'])", COLUMNS="300").split())
    assert "--stages.segment.max-duration FLOAT" in shown
    fields = PrepareParameters.model_fields["stages"].annotation.model_fields["segment"].annotation.__pydantic_fields__
    for field in fields.values():
        assert " ".join(field.description.replace("`", "").split()) in shown


def test_completion_of_a_shell_offers_commands_and_options():
    script = build_app().generate_completion(shell="bash")
    for word in (*command_names()[:6], "vacuum", "--sampling.beam.width", "--corpus.kind", "--best-of.count"):
        assert word in script


def test_a_path_that_is_not_utf_8_is_printed(tmp_path, capfd):
    assert main(["speak", "x", "--checkpoint", str(tmp_path / "no\udcffwhere")]) == 1
    assert "no\\udcffwhere" in capfd.readouterr().err


def test_cuts_of_select_have_a_short_name(capsys, tmp_path):
    cuts, select = tmp_path / "cuts.jsonl.gz", ["select", "--selection.name", "long", "--data", str(tmp_path)]
    code, line = sentence_of(capsys, *select, "--cuts", str(cuts), "--selection.cuts", str(cuts))
    assert code == 2
    assert line.startswith("valle: Give either --cuts or --selection.cuts: they are the same option.")
    assert main([*select, "--cuts", str(cuts)]) != 0
    assert f"The cuts in {cuts} cannot be read" in capsys.readouterr().err
