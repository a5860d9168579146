"""Presets of the sampler panel: what differs from the sampling of the checkpoint."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

AS_TRAINED = "as the checkpoint was trained"
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        AS_TRAINED: {},
        "steady: likely codes only": {"temperature": 0.7, "top_p": 0.9},
        "lively: more variation": {"temperature": 1.2},
        "fewer repetitions (VALL-E 2)": {"repetition_aware.window": 10},
        "fast: without guidance": {"guidance": 1.0, "nar_guidance": 1.0},
        "always the same: likeliest codes": {"temperature": 0.0},
    }
)
"""Changes by the name of a field of `SamplingOptions`, `group.field` for one of a group."""
