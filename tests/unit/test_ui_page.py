"""The page as it is built, and the functions behind its buttons, without a browser."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

gr = pytest.importorskip("gradio")

# Below the check, since they import the package that may be absent.
from fastapi import FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

from tests.unit.evaluation.conftest import make_row  # noqa: E402, F401
from tests.unit.synthesis.toy import untrained_synthesizer  # noqa: E402
from tests.unit.training.toy import SPEC  # noqa: E402
from valle.data_root import DataRoot  # noqa: E402
from valle.serving.options import ServeOptions  # noqa: E402
from valle.serving.speech import Speaker  # noqa: E402
from valle.serving.voices import VoiceBank  # noqa: E402
from valle.synthesis.options import SamplingOptions  # noqa: E402
from valle.ui.app import build_tabs  # noqa: E402
from valle.ui.panel import panel_values  # noqa: E402
from valle.ui.speaking import Waiting  # noqa: E402
from valle.ui.tasks import _choose  # noqa: E402
from warehouse.catalogue.views import connect  # noqa: E402
from warehouse.model_rows import ScoreRow  # noqa: E402

SAMPLING = SamplingOptions(max_seconds=0.8, suppressed_codes=(SPEC.codebook_size,))
TEXT = "ab cd ef, gh"


class BuiltPage:
    """The tabs over an untrained toy model that has learnt the tasks by name, and their functions by API name."""

    def __init__(self, home):
        self.root = DataRoot(home)
        plain = untrained_synthesizer(stop=2.0)
        learnt = {"editing_ratio": 0.5, "suppression_ratio": 0.1}
        synthesizer = replace(plain, card=replace(plain.card, options=learnt))
        self.waiting = Waiting()
        options = ServeOptions(data=home, watermark=False)
        speaker = Speaker(synthesizer, SAMPLING, VoiceBank(self.root, synthesizer.codec), options)
        self.pages = build_tabs(speaker, self.waiting, self.root, lambda training_set, run, settings: settings.model)
        self.functions = {one.api_name: one.fn for one in self.pages.fns.values()}

    def labels(self):
        return {getattr(block, "label", None) for block in self.pages.blocks.values()}


@pytest.fixture(scope="module")
def built(tmp_path_factory, make_row):  # noqa: F811 - the fixture that is imported
    page = BuiltPage(tmp_path_factory.mktemp("data"))
    codes = np.random.default_rng(0).integers(5, 30, 40)
    page.recording = page.root.root / "recording.wav"
    soundfile.write(page.recording, np.repeat(codes / 32, SPEC.hop_length), SPEC.sample_rate)
    rows = [
        make_row(system, f"u{number}", f"speaker-{number}", path=page.recording.name)
        for system in ("alpha", "beta")
        for number in range(2)
    ]
    page.root.lake.append(ScoreRow, rows, "scores")
    return page


def test_every_tab_is_there(built):
    assert {"Speak", "Tasks", "Data", "Training", "Evaluation"} <= built.labels()


def test_the_page_is_delivered(built):
    client = TestClient(gr.mount_gradio_app(FastAPI(), built.pages, path="/"))
    assert client.get("/").status_code == 200
    named = client.get("/gradio_api/info").json()["named_endpoints"]
    assert {"/speak", "/replace", "/mark_bad", "/train", "/blind_answer"} <= set(named)


def values(built, text, prompt=None, consent=False, voice="seed-3", **changes):
    return [text, prompt, consent, voice, "en", *panel_values(SamplingOptions, SAMPLING, changes)]


def test_speech_waits_for_its_audio_element_and_candidates_have_scores(built):
    element = built.functions["speak"](*values(built, "Abc de."))
    token = element.split("/speech/")[1].split('"')[0]
    assert built.waiting.take(token).request.input == "Abc de."
    assert built.waiting.take(token) is None
    shown = built.functions["candidates"](*values(built, "abc de", max_seconds=0.5))
    assert [audio.label.split(",")[0].split(" ")[:3] for audio in shown[:3]] == [
        ["Candidate", f"{number}:", "WER"] for number in (1, 2, 3)
    ]
    assert all(len(plot.axes) == 3 for plot in shown[3:])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"text": " "}, "There is no text"),
        ({"text": "Abc.", "prompt": "a.wav"}, "Confirm that the speaker"),
        ({"text": "Abc.", "voice": "alloy"}, "There is no voice"),
        ({"text": "Abc.", "duration_scale": 2.0}, "makes no use of duration_scale"),
    ],
)
def test_what_cannot_be_spoken_is_a_sentence_of_the_page(built, given, sentence):
    with pytest.raises(gr.Error, match=sentence):
        built.functions["speak"](*values(built, **given))


def test_words_that_are_clicked_are_replaced(built):
    with pytest.raises(gr.Error, match="Confirm that the speakers agreed"):
        built.functions["locate"](str(built.recording), False, "en", TEXT)
    found, words, span = built.functions["locate"](str(built.recording), True, "en", TEXT)
    assert [word for word, _ in words] == ["ab ", "cd ", "ef, ", "gh "] and span is None
    for clicked, expected in ((2, (2, 2)), (1, (1, 2)), (0, (0, 0)), (0, (0, 0)), (1, (0, 1))):
        words, span = _choose(found, span, SimpleNamespace(index=clicked))
        assert span == expected
    assert [mark for _, mark in words] == ["replaced", "replaced", None, None]
    (rate, samples), note = built.functions["replace"](found, span, " hgf ")
    assert note.startswith("hgf ef, gh\n\nNew from 0.00 to ")
    given = soundfile.read(built.recording, dtype="int16")[0]
    kept = len(given) // 2 - SPEC.hop_length
    assert rate == SPEC.sample_rate and np.abs(samples[-kept:].astype(int) - given[-kept:]).max() <= 1
    with pytest.raises(gr.Error, match="Show the words"):
        built.functions["replace"](None, None, "x")


def test_a_run_gets_the_options_of_the_form_and_a_command_needs_a_run(built):
    from valle.training.options import TrainSettings

    given = panel_values(TrainSettings, TrainSettings(), {"model": "nano"})
    assert built.functions["train"]("small", "first", *given) == "nano"
    with pytest.raises(gr.Error, match="Choose a training set"):
        built.functions["train"](None, "first", *given)
    with pytest.raises(gr.Error, match="There is no run 'nothing'"):
        built.functions["train_quit"]("nothing")


def test_blind_answers_are_rows_and_their_interval_is_shown(built):
    with pytest.raises(gr.Error, match="Give a name of the listener"):
        built.functions["blind_pair"]("alpha", "beta", "")
    for _ in range(2):
        pair, text, first, second, rating = built.functions["blind_pair"]("alpha", "beta", "Ada")
        assert text == "> one two three four" and rating is None and first[0] == second[0] == SPEC.sample_rate
        with pytest.raises(gr.Error, match="Choose how the second compares"):
            built.functions["blind_answer"](pair, None)
        left, shown = built.functions["blind_answer"](pair, 0)
        assert left is None
    assert shown["data"] == [["alpha", "beta", 2, 1, 0.0, "0.00 to 0.00", "50%", "0.50 to 0.50"]]
    with connect(built.root.lake.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM blind_answers").fetchone() == (2,)


def test_sql_of_the_page_reads_only(built):
    assert built.functions["query"]("SELECT 1 AS one").value["data"] == [[1]]
    with pytest.raises(gr.Error, match="Give one SELECT"):
        built.functions["query"]("COPY (SELECT 1) TO 'file.csv'")
    with pytest.raises(gr.Error, match="no segment 'nothing'"):
        built.functions["mark_bad"]("nothing", "")
