"""Several draws of codebook 0, of which the likeliest under the model itself is kept."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, small_model
from valle.model.layout import Mode
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance, speech_batch
from valle.synthesis.decoding.seeds import draw_seed
from valle.synthesis.options import BeamOptions, SamplingOptions, StreamOptions
from valle.synthesis.streaming.decoder import StreamDecoder
from warehouse.errors import ConfigurationError

COUNT = 4


def condition(prefix=0):
    rng = np.random.default_rng(prefix)
    codes = rng.integers(0, STOP, (8, 9)).astype(np.int16)
    return Condition(rng.integers(1, 12, 5), 1, codes[:, :6], codes[:, :prefix])


def options(**changes):
    return SamplingOptions(**{"temperature": 1.0, "seed": 3, "max_seconds": 0.4, **changes})


def mean_log_probability(model, given, decoded):
    """Of the drawn codes, and of the end if there is one, in one pass without guidance."""
    target = np.concatenate([given.prefix, np.repeat(decoded.codes, 8, axis=0)], axis=1)
    with torch.inference_mode():
        batch = speech_batch(model, given.task, Mode.AR, [given.row(0, target)])
        log_probabilities = model(batch).log_softmax(-1)
    labels = torch.tensor([*target[0].tolist(), STOP])[: len(log_probabilities)]
    values = log_probabilities.gather(1, labels[:, None])[given.num_prefix :, 0]
    return float(values[: None if decoded.is_complete else -1].mean())


@pytest.mark.parametrize("changes", [{}, {"guidance": 2.0}, {"top_p": 0.9, "temperature": 0.8}])
@pytest.mark.parametrize("prefix", [0, 2])
def test_the_kept_draw_is_the_likeliest_of_those_with_the_seeds(changes, prefix):
    model, given = small_model(), condition(prefix)
    seeds = [draw_seed(3, index) for index in range(COUNT)]
    draws = decode_autoregressively(model, [Utterance(given, options(**changes, seed=seed)) for seed in seeds])
    assert len({draw.codes.tobytes() for draw in draws}) > 1, "the draws differ"
    [kept] = decode_autoregressively(model, [Utterance(given, options(**changes, likeliest_of=COUNT))])
    best = max(draws, key=lambda draw: (draw.is_complete, mean_log_probability(model, given, draw)))
    assert (kept.codes.tolist(), kept.is_complete) == (best.codes.tolist(), best.is_complete)


def test_a_draw_that_ends_by_itself_precedes_a_likelier_one_that_was_cut():
    model = small_model()
    with torch.no_grad():  # an end is rare, so that only some draws have one
        model.heads.bias[model.heads.spans["codes", 0][1] - 1] -= 1.0
    found = []
    for seed in range(12):
        chosen = Utterance(condition(), options(seed=seed, likeliest_of=8))
        draws = [Utterance(condition(), options(seed=draw_seed(seed, index))) for index in range(8)]
        complete = [draw.is_complete for draw in decode_autoregressively(model, draws)]
        [kept] = decode_autoregressively(model, [chosen])
        assert kept.is_complete == any(complete)
        found.append(0 < sum(complete) < 8)
    assert any(found), "no seed had draws of both kinds"


def test_utterances_of_a_batch_are_drawn_as_alone():
    model = small_model()
    utterances = [
        Utterance(condition(prefix), options(seed=prefix, likeliest_of=count)) for prefix, count in enumerate([3, 1, 4])
    ]
    together = decode_autoregressively(model, utterances)
    alone = [decode_autoregressively(model, [utterance])[0] for utterance in utterances]
    assert [one.codes.tolist() for one in together] == [one.codes.tolist() for one in alone]


@pytest.mark.parametrize(("window", "count"), [(24, 1), (0, COUNT)])
def test_a_stream_in_windows_draws_once_and_a_whole_sentence_as_without_a_stream(window, count):
    model, decoder = small_model(), None
    decoder = StreamDecoder(model)
    [stream] = decoder.add([condition()], [options(likeliest_of=COUNT)], [StreamOptions(window=window)], num_before=[0])
    while not decoder.is_empty:
        decoder.step()
    [expected] = decode_autoregressively(model, [Utterance(condition(), options(likeliest_of=count))])
    assert stream.codes[0].tolist() == expected.codes[0].tolist()


@pytest.mark.parametrize("changes", [{"temperature": 0}, {"beam": BeamOptions(width=2)}, {"decoding": "nar-len"}])
def test_draws_that_could_not_differ_are_refused_and_those_of_a_checkpoint_left_out(changes):
    with pytest.raises(ValueError, match="likeliest_of"):
        SamplingOptions(likeliest_of=2, **changes)
    assert SamplingOptions(**changes).over(SamplingOptions(likeliest_of=4)).likeliest_of == 1
    assert SamplingOptions(top_p=0.5).over(SamplingOptions(likeliest_of=4)).likeliest_of == 4
    with pytest.raises(ConfigurationError, match="likeliest_of"):
        SamplingOptions(likeliest_of=2).over(SamplingOptions(temperature=0))
