"""A text in pieces over a WebSocket."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.unit.serving.test_serving import KEY, Served, body
from tests.unit.synthesis.toy import untrained_synthesizer
from tests.unit.training.toy import SPEC
from valle.synthesis.options import LongFormOptions
from valle.synthesis.streaming.growing_text import GrowingText


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("data"), active=2, waiting=0, idle_seconds=3.0) as served:
        yield served


@contextmanager
def opened(served, key=KEY, **changes):
    url = f"{served.url.replace('http', 'ws')}/v1/audio/speech/stream"
    with connect(url, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
        start = {"type": "start", "voice": "seed-3", "response_format": "pcm"} | changes
        socket.send(json.dumps(start))
        yield socket


def send(socket, text):
    socket.send(json.dumps({"type": "text", "text": text}))


def drained(socket):
    """Return the audio until the last message, and that message."""
    audio = b""
    while isinstance(message := socket.recv(timeout=300), bytes):
        audio += message
    return audio, json.loads(message)


def test_a_text_in_pieces_is_spoken_as_the_whole_text_and_sounds_before_its_end(served):
    text = "Abc de. Fgh! Dab? Hef."
    whole = served.client.audio.speech.create(**body(input=text)).content
    with opened(served) as socket:
        for piece in ("Ab", "c de.", " Fgh! Da"):
            send(socket, piece)
        first = socket.recv(timeout=300)
        assert isinstance(first, bytes), "the first sentence sounds before the text is over"
        send(socket, "b? Hef.")
        socket.send(json.dumps({"type": "end"}))
        rest, last = drained(socket)
    assert last == {"type": "done", "characters": len(text)}
    assert np.array_equal(np.frombuffer(first + rest, "<i2"), np.frombuffer(whole, "<i2"))


def test_the_language_is_that_of_the_first_words_and_none_of_them_is_lost(served):
    text = "Guten Morgen, wie geht es Ihnen?"
    whole = served.client.audio.speech.create(**body(input=text), extra_body={"language": "de"}).content
    served.languages.clear()
    with opened(served, language="auto") as socket:
        for piece in ("Guten ", "Morgen, wie ", "geht es Ihnen?"):
            send(socket, piece)
        socket.send(json.dumps({"type": "end"}))
        audio, last = drained(socket)
    assert last == {"type": "done", "characters": len(text)}
    assert audio == whole and set(served.languages) == {"de"}
    with opened(served, language="auto") as socket:
        socket.send(json.dumps({"type": "end"}))
        assert "nothing to speak" in drained(socket)[1]["error"]["message"]


@pytest.mark.parametrize(
    ("start", "messages", "sentence"),
    [
        ({"voice": "alloy"}, [], "There is no voice"),
        ({"speed": 9}, [], "speed: Input should be less than or equal to 4"),
        ({}, [{"type": "text", "text": "a" * 201}], "201 characters, and at most 200"),
        ({}, [{"type": "end"}], "nothing to speak"),
        ({}, [{"type": "sing"}], "Send "),
        ({}, [{"type": "text", "text": "<b>a</b>"}], "b"),
        ({}, [], "No text came for 3 s"),
    ],
)
def test_what_cannot_be_spoken_ends_the_socket_with_a_sentence(served, start, messages, sentence):
    with opened(served, **start) as socket:
        for message in messages:
            socket.send(json.dumps(message))
        _, last = drained(socket)
        assert last["type"] == "error"
        assert sentence in last["error"]["message"]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=300)


def test_a_socket_needs_a_key(served):
    with pytest.raises(InvalidStatus) as refused, opened(served, key="valle-wrong"):
        pass
    assert refused.value.response.status_code == 403


def test_sockets_hold_places_and_free_them(served):
    with opened(served) as one, opened(served) as two:
        send(one, "Abc. D")
        send(two, "Abc. D")
        assert isinstance(one.recv(timeout=300), bytes) and isinstance(two.recv(timeout=300), bytes)
        with opened(served) as three:
            _, last = drained(three)
        assert last["error"]["code"] == "rate_limit_exceeded"
        assert last["error"]["retry_after"] >= 1
    for _ in range(200):
        if "valle_active_texts 0.0" in served.http.get("/metrics").text.splitlines():
            break
    assert len(served.client.audio.speech.create(**body()).content) == 2 * 40 * SPEC.hop_length


def test_a_sentence_is_certain_when_the_next_one_has_begun():
    text = GrowingText(untrained_synthesizer(), "en", LongFormOptions())
    sentences = [[sentence.text for sentence in text.push(piece)] for piece in ("Abc de", ". Fg", "h! Da", "b")]
    assert sentences == [[], ["Abc de."], ["Fgh!"], []]
    assert [sentence.text for sentence in text.push("[0.5s]")] == ["Dab"]
    assert [sentence.text for sentence in text.push("Hef") + text.finish()] == ["Hef"]
    assert text.finish() == []
