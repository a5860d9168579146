"""The tasks of a model as routes."""

import io
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from tests.unit.serving.test_serving import CONSENT, Served, recorded
from tests.unit.training.toy import SPEC, SYMBOLS
from valle.api import TransformedSpeech
from valle.serving.errors import RefusedRequest
from valle.serving.tasks import _response
from valle.synthesis import prompts
from valle.synthesis.texts.recorded_text import RecordedText

NO_TEXT = RecordedText(("",), "en")
LEARNT = {f"{name}_ratio": 0.1 for name in ("editing", "suppression", "extraction", "conversion")}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("data"), learnt=LEARNT) as served:
        files = {"recording": ("a.wav", recorded(seconds=2))}
        served.http.post("/v1/voices", data={"name": "ada", "consent": CONSENT}, files=files)
        yield served


def ask(served, task, **form):
    return served.http.post(f"/v1/audio/{task}", data=form, files={"recording": ("a.wav", recorded(seconds=2))})


def decoded(response):
    assert (response.status_code, response.headers["x-synthetic-speech"]) == (200, "true"), response.text
    return soundfile.read(io.BytesIO(response.content), dtype="float32")[0]


def test_an_edit_keeps_the_samples_outside_of_its_words(served):
    given = soundfile.read(io.BytesIO(recorded(seconds=2)), dtype="float32")[0]
    edited = decoded(ask(served, "edit", replace="cd=hgf", text="ab cd ef gh", consent=CONSENT))
    kept = len(given) // 4 - SPEC.hop_length
    np.testing.assert_allclose(edited[:kept], given[:kept], atol=1e-4)
    np.testing.assert_allclose(edited[-kept:], given[-kept:], atol=1e-4)


def test_a_recording_is_denoised_converted_and_its_speaker_extracted(served):
    for task, form in (("denoise", {}), ("convert", {"voice": "ada"}), ("extract", {"voice": "ada"})):
        decoded(ask(served, task, **form))
    assert ask(served, "denoise", response_format="mp3").headers["content-type"] == "audio/mpeg"


def test_an_answer_names_the_text_of_its_recording(served):
    file = io.BytesIO()
    # Each second of one code, which the toy ASR model reads as one letter.
    soundfile.write(file, np.repeat([10 / 32, 14 / 32], SPEC.sample_rate), SPEC.sample_rate, format="WAV")
    transcribed = served.http.post("/v1/audio/denoise", files={"recording": ("a.wav", file.getvalue())}).headers
    assert transcribed["content-language"] == "en"
    assert set(unquote(transcribed["x-recording-text"])) == {SYMBOLS[5], SYMBOLS[7]}
    assert ask(served, "denoise", transcribe="false").headers["x-recording-text"] == ""
    assert ask(served, "denoise", text="ab cd").headers["x-recording-text"] == "ab%20cd"


def test_a_result_without_a_sample_is_refused_in_a_sentence():
    empty = TransformedSpeech(np.zeros(0, np.float32), 800, np.zeros((8, 0), np.int16), {"comment": ""}, True, NO_TEXT)
    with pytest.raises(RefusedRequest, match="The model ended before the first sound"):
        _response(None, empty, "wav")  # refused before the server's options are read


@pytest.mark.parametrize(
    ("task", "form", "sentence"),
    [
        ("edit", {"replace": "cd=x", "consent": " "}, "An edit needs a statement of consent"),
        ("edit", {"replace": "cd", "consent": CONSENT}, "A replacement is"),
        ("edit", {"replace": "zz=a", "text": "ab cd", "consent": CONSENT}, "are not in the text"),
        ("convert", {"voice": "bob"}, "There is no voice 'bob'"),
        ("convert", {"voice": "seed-1"}, "needs a voice of the bank"),
        ("convert", {"voice": "ada", "method": "singing"}, "has not learnt to convert singing"),
        ("extract", {}, "voice: Field required"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(served, task, form, sentence):
    refused = ask(served, task, **form)
    assert refused.status_code in (400, 404)
    assert sentence in refused.json()["error"]["message"]


def test_what_is_no_recording_is_refused(served):
    refused = served.http.post("/v1/audio/denoise", files={"recording": ("a.wav", b"noise" * 9)})
    assert refused.json()["error"]["message"].startswith("The recording cannot be read")
    assert "/" not in refused.json()["error"]["message"]
    assert served.http.post("/v1/audio/denoise", headers={"Authorization": "Bearer x"}).status_code == 401


def test_an_upload_of_hours_in_few_bytes_is_refused_before_it_is_decoded(served, monkeypatch):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000 * 700, np.int16), 16_000, format="FLAC")
    assert len(buffer.getvalue()) < 200_000
    monkeypatch.setattr(prompts, "read_audio", lambda location: pytest.fail("it was decoded"))
    refused = served.http.post("/v1/audio/denoise", files={"recording": ("a.flac", buffer.getvalue())})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("The recording has 700 s")


def test_a_voice_with_thousands_of_digits_is_an_unknown_voice(served):
    form = {"model": "valle", "input": "Hello.", "voice": "seed-" + "9" * 5_000}
    assert served.http.post("/v1/audio/speech", json=form).status_code == 404
