"""The cost of decoding: what is counted, and what a bounded context or a state keeps."""

import pytest

from tests.unit.model.rows import small_model
from valle.synthesis.decoding.cost import TimedUtterance, measure_decoding


def kept(frames, **changes):
    return measure_decoding(small_model(**changes), frames)


@pytest.mark.parametrize("group", [1, 2])
def test_a_cache_grows_by_keys_and_values_of_every_step(group):
    model = small_model(group=group)
    utterance = TimedUtterance(model)
    before = utterance.num_bytes
    assert utterance.decode(8) > 0
    steps, config = 8 // group, model.config
    assert utterance.num_bytes - before == steps * config.depth * 2 * config.width * 4


def test_a_bounded_context_and_a_state_do_not_grow():
    assert kept(6, max_context=6).num_bytes == kept(12, max_context=6).num_bytes
    assert kept(6, trunk="retnet").num_bytes == kept(12, trunk="retnet").num_bytes
    assert kept(6).num_bytes < kept(12).num_bytes
    assert kept(6).frames_per_second > 0
