"""The commands of the tasks with the real codec and an untrained model: files, refusals, and `speak --task`."""

import numpy as np
import pytest
import soundfile

from manifests.demo.clips import demo_clips
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.cli.app import build_app
from valle.cli.arguments import run_command
from valle.codec import open_codec
from valle.phonemes import phoneme_table
from valle.text.normalise import normalise
from warehouse.errors import PipelineError

LEARNT = ("suppression_ratio", "conversion_ratio", "raw_text_ratio", "phonemes_ratio", "editing_ratio")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    made = {}
    for name, options in (("learnt", dict.fromkeys(LEARNT, 0.1)), ("plain", {})):
        made[name] = tmp_path_factory.mktemp(name)
        card = toy_card(open_codec("mini").spec, phoneme_table().symbols)
        object.__setattr__(card, "options", options)
        write_model(made[name], card, untrained_model(card, stop=4.0).state_dict())
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    found = next(clip for clip in demo_clips() if clip.duration < 3)
    samples, rate = soundfile.read(found.path)
    path = tmp_path_factory.mktemp("clip") / "speech.wav"
    soundfile.write(path, samples, rate)
    return path, found.text, len(samples) / rate


@pytest.fixture
def run(checkpoints, tmp_path):
    def run(*arguments, checkpoint="learnt", speaks=True):
        out = ["--out", str(tmp_path / "out.wav")] if speaks else []
        return run_command(build_app().meta, [*arguments, "--checkpoint", str(checkpoints[checkpoint]), *out])

    run.out = tmp_path / "out.wav"
    return run


NAR_LEN = ("--sampling.decoding", "nar-len", "--sampling.masked.steps", "1")


@pytest.mark.parametrize("command", [("denoise",), ("speak", "--task", "ns", "--source")])
def test_a_recording_is_transcribed_and_denoised_to_a_file_of_its_length(run, clip, command, capsys):
    path, text, seconds = clip
    assert run(*command, str(path), *NAR_LEN) == 0
    assert soundfile.info(run.out).duration == pytest.approx(seconds, abs=0.05)
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "transcribed" in one]
    found = line.removeprefix("valle: The recording was transcribed as '").removesuffix("'.")
    assert normalise(found, "en") == normalise(text, "en")


@pytest.mark.parametrize("command", [("denoise",), ("speak", "--task", "ns", "--source")])
def test_the_words_of_a_recording_are_given_or_left_out(run, clip, command, capsys):
    path, text, _ = clip
    assert run(*command, str(path), "--no-transcribe", *NAR_LEN) == 0
    assert "valle: The recording is used without words." in capsys.readouterr().err
    given = ("--text", text) if len(command) == 1 else ()
    source = (*command, str(path)) if given else ("speak", text, *command[1:], str(path))
    assert run(*source, *given, *NAR_LEN) == 0
    assert "The recording" not in capsys.readouterr().err


def test_a_prompt_that_is_continued_is_transcribed(run, clip, capsys):
    path, text, _ = clip
    continued = ("speak", "Yes", "--prompt", str(path), "--sampling.continues-prompt", "--sampling.max-seconds", "0.5")
    assert run(*continued) in (0, 1)  # the untrained model seldom ends
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "transcribed" in one]
    assert normalise(line.split(" as ")[1].rstrip("."), "en") == normalise(text, "en")
    with pytest.raises(PipelineError, match="give its codes and its text"):
        run(*continued, "--no-transcribe")


def test_an_edit_keeps_the_samples_before_the_words(run, clip):
    path, text, _ = clip
    last = text.split()[-1].strip(".")
    assert run("edit", str(path), "--replace", f"{last}=winter", "--text", text, *NAR_LEN) == 0
    before, after = (soundfile.read(one)[0] for one in (path, run.out))
    assert np.allclose(before[:12_000], after[:12_000], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("convert", "CLIP"), "Give --voice"),
        (("denoise", "CLIP"), "has not learnt to remove noise"),
        (("edit", "CLIP", "--replace", "a=b"), "has not learnt to edit speech"),
        (("speak", "a=b", "--task", "nse", "--source", "CLIP"), "has not learnt to edit noisy speech"),
        (("edit", "CLIP"), "Give --replace"),
        (("speak", "text", "--task", "cse"), "name it with --source"),
        (("speak", "text", "--task", "sing"), "--task is one of tts, ns, sr"),
        (("speak", "text", "--source", "CLIP"), "--source is for a --task"),
        (("convert", "CLIP", "--method", "draft"), "Give --voice"),
        (("speak", "--task", "phn"), "Give a text"),
        (("speak", "--task", "ns", "--source", "CLIP", "--watermark"), "The task ns has no --watermark; leave it out"),
        (("speak", "--task", "vc", "--source", "CLIP", "--prompt-seconds", "2"), "The task vc has no --prompt-seconds"),
        (("speak", "Yes", "--prompt-seconds", "2"), "Options of the prompt need --prompt"),
        (("speak", "Yes", "--prompt", "CLIP", "--prompt-shares", "0.3,0.7"), "There are 1 prompts and 2 shares"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run, clip, arguments, message):
    path, _, _ = clip
    with pytest.raises(PipelineError, match=message):
        run(*[str(path) if one == "CLIP" else one for one in arguments], checkpoint="plain")
    assert not run.out.exists()


def test_phonemes_are_printed_and_raw_text_is_spoken(run, capsys):
    assert run("phonemize-text", "Yes", speaks=False) == 0
    assert capsys.readouterr().out.endswith("\n")
    assert run("speak", "Yes", "--task", "tts-raw", *NAR_LEN) == 0
    assert soundfile.info(run.out).duration > 0


def test_a_batch_of_a_task_writes_each_recording_and_reports_a_bad_one(run, clip, tmp_path, capsys):
    path, _, seconds = clip
    (tmp_path / "bad.wav").write_text("not audio")
    outs = [tmp_path / name for name in ("a.wav", "b.wav")]
    rows = [f"{outs[0]}\t{tmp_path / 'bad.wav'}", f"{outs[1]}\t{path}"]
    (tmp_path / "list.tsv").write_text("\n".join(["out\tsource", *rows]) + "\n")
    assert run("speak", "--task", "ns", "--batch", str(tmp_path / "list.tsv"), *NAR_LEN, speaks=False) == 1
    assert not outs[0].exists() and soundfile.info(outs[1]).duration == pytest.approx(seconds, abs=0.05)
    assert f"valle: {tmp_path / 'bad.wav'}: The recording cannot be read" in capsys.readouterr().err


def test_a_batch_of_texts_prints_the_phonemes_of_each_beside_it(run, tmp_path, capsys):
    (tmp_path / "list.tsv").write_text("text\nYes\nNo\n")
    assert run("speak", "--task", "phn", "--batch", str(tmp_path / "list.tsv"), speaks=False) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["Yes", "No"]
