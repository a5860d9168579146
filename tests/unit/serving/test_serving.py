"""`valle serve` behind a real socket, asked by the official OpenAI client and by httpx."""

import base64
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import numpy as np
import openai
import pytest
import soundfile
import torch
import uvicorn

from tests.unit.synthesis.toy import ToyBackends, toy_card, untrained_model
from tests.unit.training.toy import SPEC
from valle.data_root import DataRoot
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import LoraOptions
from valle.serving.options import ServeLimits, ServeOptions
from valle.serving.server import open_speaker, protected_app, read_keys
from valle.serving.speech import Speaker
from valle.serving.voices import VoiceBank
from valle.synthesis.options import SamplingOptions, StreamOptions
from valle.synthesis.synthesizer import Synthesizer
from warehouse.catalogue.views import connect
from warehouse.errors import ConfigurationError

KEY = "valle-0123456789abcdef"
CONSENT = "Read by Ada, who agreed to its synthesis on 1 May."
SAMPLING = SamplingOptions(max_seconds=0.8, suppressed_codes=(SPEC.codebook_size,))  # 40 frames a sentence


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def attach_random_adapter(model, name):
    """Attach an adapter that changes every code, not yet in use; returns its strength."""
    adapter = LoraAdapter(model, LoraOptions(rank=2))
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in adapter.up.values():
            tensor.normal_()
    model.adapters.attach(model, name, adapter)
    return 1.0


class Served:
    """A server with an untrained toy model in a thread."""

    def __init__(self, home, learnt=None, *, adapted=False, **limits):
        card = replace(toy_card(), options=learnt or {})
        backends = ToyBackends()
        model = untrained_model(card)
        strengths = {"ann": attach_random_adapter(model, "ann")} if adapted else {}
        synthesizer = Synthesizer(model, card, backends.codec(SPEC.name), backends, strengths)
        self.home, self.port = home, free_port()
        self.languages = backends.phonemizer("espeak").languages
        self.url = f"http://127.0.0.1:{self.port}"
        options = ServeOptions(
            port=self.port,
            data=home,
            watermark=False,
            limits=ServeLimits(characters=200, upload_bytes=300_000, **limits),
            streaming=StreamOptions(window=24, first_window=12, lookahead=3),
        )
        speaker = Speaker(synthesizer, SAMPLING, VoiceBank(DataRoot(home), synthesizer.codec), options)
        app = protected_app(speaker, [KEY])
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.client = openai.OpenAI(api_key=KEY, base_url=f"{self.url}/v1", max_retries=0)
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=300)
        return self

    def __exit__(self, *_):
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("data")) as served:
        yield served


def recorded(seconds):
    """A recording that the toy codec encodes: positive samples."""
    samples = np.repeat(np.arange(3, 9) / 32, SPEC.sample_rate * seconds // 6)
    file = io.BytesIO()
    soundfile.write(file, samples, SPEC.sample_rate, format="WAV")
    return file.getvalue()


def body(**changes):
    return {"model": "tts-1", "voice": "seed-3", "input": "Abc de.", "response_format": "pcm"} | changes


def test_the_official_client_gets_speech_in_every_format(served):
    pcm = served.client.audio.speech.create(**body()).content
    assert len(pcm) == 2 * 40 * SPEC.hop_length
    samples = np.frombuffer(pcm, "<i2") / 32767
    for name in ("wav", "flac", "mp3", "opus", "aac"):
        response = served.client.audio.speech.create(**body(response_format=name))
        assert response.response.headers["x-synthetic-speech"] == "true"
        assert len(response.content) > 500
        if name == "wav":
            decoded, rate = soundfile.read(io.BytesIO(response.content))
            assert rate == SPEC.sample_rate
            np.testing.assert_allclose(decoded, samples, atol=1e-4)


def test_the_official_client_streams_bytes_and_events(served):
    text = "Abc de. Fgh! Dab? Hef."
    whole = served.client.audio.speech.create(**body(input=text)).content
    with served.client.audio.speech.with_streaming_response.create(**body(input=text)) as response:
        pieces = list(response.iter_bytes())
    assert b"".join(pieces) == whole
    assert len(pieces) > 3
    with served.http.stream("POST", "/v1/audio/speech", json=body(input=text, stream_format="sse")) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == whole
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["output_tokens"] == 160


def test_the_language_of_a_text_is_detected(served):
    text = "Guten Morgen, wie geht es Ihnen?"
    served.languages.clear()
    served.client.audio.speech.create(**body(input=text), extra_body={"language": "auto"})
    assert set(served.languages) == {"de"}


def test_speed_changes_the_duration(served):
    fast = served.client.audio.speech.create(**body(speed=2.0)).content
    assert len(fast) / 2 / SPEC.sample_rate == pytest.approx(0.4, abs=0.05)


def test_the_model_is_listed(served):
    [model] = served.client.models.list().data
    assert (model.id, model.owned_by) == ("toy-0", "valle")
    assert served.client.audio.speech.create(**body(model=model.id)).content


def test_a_voice_needs_consent_and_speaks(served):
    recording = recorded(seconds=2)

    def add(name="ada", consent=CONSENT, content=recording):
        return served.http.post(
            "/v1/voices", data={"name": name, "consent": consent}, files={"recording": ("a.wav", content)}
        )

    assert add(consent=" ").json()["error"]["message"].startswith("A voice needs a statement of consent")
    assert "no voice" in add(name="../x").json()["error"]["message"]
    assert add(content=b"noise" * 9, name="bob").json()["error"]["message"].startswith("The prompt cannot be read")
    assert add().status_code == 201
    assert "There is a voice 'ada'" in add().json()["error"]["message"]
    [voice] = served.http.get("/v1/voices").json()["data"]
    assert (voice["name"], voice["consent"], len(voice["sha256"])) == ("ada", CONSENT, 64)
    spoken = served.client.audio.speech.create(**body(voice="ada")).content
    assert spoken != served.client.audio.speech.create(**body()).content
    assert served.http.delete("/v1/voices/ada").json() == {"name": "ada", "deleted": True}
    assert served.http.delete("/v1/voices/ada").status_code == 404
    with connect(DataRoot(served.home).lake.snapshot()) as connection:
        changes = connection.execute("SELECT change, consent FROM voices ORDER BY changed_at").fetchall()
    assert changes == [("added", CONSENT), ("deleted", CONSENT)], "the consent outlives the recording"
    nothing = served.http.post("/v1/voices", data={"name": "eve", "consent": CONSENT, "segment_id": "nothing"})
    assert "There is no utterance 'nothing'" in nothing.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "other"}, openai.NotFoundError, "There is no model 'other'; use toy-0"),
        ({"voice": "alloy"}, openai.NotFoundError, "There is no voice 'alloy'"),
        ({"input": "a" * 201}, openai.BadRequestError, "201 characters, and at most 200"),
        ({"input": "XYZ."}, openai.BadRequestError, "nothing to speak"),
        ({"speed": 9}, openai.BadRequestError, "speed: Input should be less than or equal to 4"),
        ({"instructions": "whisper"}, openai.BadRequestError, "follows no instructions"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_a_sentence(served, changes, error, message):
    with pytest.raises(error, match=message):
        served.client.audio.speech.create(**body(**changes))


def test_keys_hosts_origins_and_sizes_are_checked(served):
    for key in ("", "valle-wrong"):
        with pytest.raises(openai.AuthenticationError, match="API key is missing or wrong"):
            openai.OpenAI(api_key=key or "none", base_url=f"{served.url}/v1", max_retries=0).models.list()
    assert served.http.get("/v1/models", headers={"Host": "evil.example"}).status_code == 400
    assert served.http.get("/v1/models", headers={"Origin": "http://evil.example"}).status_code == 403
    large = served.http.post("/v1/voices", data={"name": "a", "consent": CONSENT}, files={"recording": b"0" * 400_000})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")


def test_concurrent_requests_are_what_they_are_alone(served):
    bodies = [body(voice=f"seed-{number}", input=text) for number, text in enumerate(("Abc.", "Dab? Hef.", "Fgh!"))]
    alone = [served.client.audio.speech.create(**one).content for one in bodies]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: served.client.audio.speech.create(**one).content, bodies))
    assert together == alone


def test_requests_choose_adapters_and_their_strengths(served, tmp_path):
    plain = served.client.audio.speech.create(**body()).content
    with Served(tmp_path, adapted=True) as server:

        def speak(adapters):
            return server.client.audio.speech.create(**body(), extra_body={"adapters": adapters}).content

        chosen = [None, {"ann": 1.0}, {"ann": 0.5}, {}, {"ann": 0.0}]
        with ThreadPoolExecutor(len(chosen)) as clients:  # in one batch
            by_default, whole, half, none, zero = clients.map(speak, chosen)
        assert by_default == whole
        assert none == zero == plain
        assert len({whole, half, plain}) == 3
        with pytest.raises(openai.NotFoundError, match="There is no adapter 'bob'; this server has ann"):
            speak({"bob": 1.0})
        with pytest.raises(openai.BadRequestError, match="less than or equal to 10"):
            speak({"ann": 1e9})


def test_metrics_and_health_are_open(served):
    plain = httpx.Client(base_url=served.url)
    assert plain.get("/health").json() == {"status": "ok"}
    assert plain.get("/ready").status_code == 200
    served.client.audio.speech.create(**body())
    until = time.monotonic() + 60
    # A text is counted as over after its last byte is sent, so its reader may be earlier.
    while "valle_active_texts 0.0" not in (lines := plain.get("/metrics").text.splitlines()):
        assert time.monotonic() < until, lines
        time.sleep(0.05)
    assert float(next(line for line in lines if line.startswith("valle_texts_total")).split()[-1]) >= 1


def test_a_full_queue_answers_429_and_a_request_that_is_given_up_frees_its_place(tmp_path):
    with Served(tmp_path, active=1, waiting=0) as served:
        long = body(input="Ab. " * 50, sampling={"max_seconds": 20})
        with served.http.stream("POST", "/v1/audio/speech", json=long) as response:
            pieces = response.iter_bytes()
            next(pieces)
            with pytest.raises(openai.RateLimitError, match="try again in") as refused:
                served.client.audio.speech.create(**body())
            assert int(refused.value.response.headers["retry-after"]) >= 1
        for _ in range(6_000):
            if "valle_active_texts 0.0" in served.http.get("/metrics").text.splitlines():
                break
            time.sleep(0.05)
        assert served.client.audio.speech.create(**body()).content


def test_the_end_lets_a_request_finish(tmp_path):
    with Served(tmp_path) as served, ThreadPoolExecutor(1) as pool:
        spoken = pool.submit(lambda: served.client.audio.speech.create(**body(input="Abc de. Fgh!")).content)
        while "valle_active_texts 1.0" not in served.http.get("/metrics").text:
            time.sleep(0.01)
        served.http.close()
        served._server.should_exit = True
        assert len(spoken.result()) == 2 * 80 * SPEC.hop_length


def test_a_key_is_made_once_for_its_owner_and_keys_of_a_file_must_be_long(tmp_path):
    options = ServeOptions(data=tmp_path)
    [key] = read_keys(options)
    assert read_keys(options) == [key]
    assert ((tmp_path / "serve" / "api_key").stat().st_mode & 0o777, len(key) > 30) == (0o600, True)
    (tmp_path / "keys").write_text(f"{KEY}\nshort\n")
    with pytest.raises(ConfigurationError, match="less than 16 characters"):
        read_keys(ServeOptions(key_file=tmp_path / "keys"))


def test_the_server_speaks_in_the_number_type_that_it_is_given(tmp_path):
    speaker = open_speaker(ServeOptions(data=tmp_path, precision="bf16"))
    assert {parameter.dtype for parameter in speaker.synthesizer.model.parameters()} == {torch.bfloat16}
