"""Draw what each segment of a shard is mixed with: the same on every machine with the same lake.

Every number is a hash of (seed, segment, purpose). A noise comes from the recordings of the noise corpora, a second
speaker from the same shard, so that no list is longer than the noises and one shard. A mixture that exists is never
drawn again when noises are added; its row names what it was made of.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from valle.audio import AudioLocation
from valle.stages.base import Interferer, InterfererDraw, StageInput
from warehouse.errors import ConfigurationError

# The kind of mixture that a class of noise (column `genre`) is for.
_GENRES = {"noise": "noise", "music": "noise", "babble": "noise", "rir": "reverb"}


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: str
    owner: str | None  # the speaker; None for a noise
    licence: str
    location: AudioLocation
    sample_rate: int
    num_samples: int


def keyed_number(seed: int, id: str, purpose: str) -> float:
    """Return a number in [0, 1) that depends on these three alone."""
    digest = hashlib.sha256(f"{seed}:{id}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / (1 << 64)


def draw_interferers(
    connection: duckdb.DuckDBPyConnection, draw: InterfererDraw, inputs: Sequence[StageInput]
) -> list[StageInput]:
    """Give each input a kind of mixture and an interferer; both are None where the lake has nothing to mix it with.

    Raises ConfigurationError for a noise corpus without recordings.
    """
    noises = _noises(connection, draw.corpora)
    speakers = _speakers(connection, inputs) if draw.ratios.get("speaker") and inputs else []
    return [_with_interferer(source, draw, {**noises, "speaker": speakers}) for source in inputs]


def _with_interferer(source: StageInput, draw: InterfererDraw, pools: Mapping[str, Sequence[_Candidate]]) -> StageInput:
    owner = next((one.owner for one in pools["speaker"] if one.id == source.id), None)
    usable = {
        kind: [one for one in pools.get(kind, ()) if one.owner is None or (owner is not None and one.owner != owner)]
        for kind in draw.ratios
    }
    # A kind without a candidate gives its share to the others: a shard of one speaker still has noises.
    ratios = {kind: ratio for kind, ratio in draw.ratios.items() if ratio and (usable[kind] or kind == "voice")}
    if not ratios:
        return source
    number = keyed_number(draw.seed, source.id, "kind") * sum(ratios.values())
    kind = next(iter(ratios))
    for kind, ratio in ratios.items():  # noqa: B007 - the last kind is the answer
        number -= ratio
        if number < 0:
            break
    interferer = None if kind == "voice" else _chosen(source, draw.seed, kind, usable[kind])
    return dataclasses.replace(source, mixture_kind=kind, interferer=interferer)


def _chosen(source: StageInput, seed: int, kind: str, candidates: Sequence[_Candidate]) -> Interferer:
    one = candidates[int(keyed_number(seed, source.id, "interferer") * len(candidates))]
    location, start = one.location, 0.0
    if kind == "noise":
        needed = round(source.duration * one.sample_rate) + 1
        room = max(0, one.num_samples - needed)
        first = int(keyed_number(seed, source.id, "start") * room)
        location = dataclasses.replace(location, start_sample=first, num_samples=min(needed, one.num_samples))
        start = first / one.sample_rate
    return Interferer(id=one.id, kind=kind, licence=one.licence, location=location, start=start)


def _noises(connection: duckdb.DuckDBPyConnection, corpora: Sequence[str]) -> dict[str, list[_Candidate]]:
    pools: dict[str, list[_Candidate]] = {kind: [] for kind in _GENRES.values()}
    for corpus in corpora:
        rows = connection.execute(
            """
            SELECT recording_id, NULL, licence, path, "offset", CASE WHEN member IS NULL THEN 0 ELSE size END,
                   0, num_samples, channel, sample_rate, coalesce(genre, 'noise')
            FROM current_recordings WHERE corpus = ? AND drop_reason IS NULL ORDER BY recording_id
            """,
            [corpus],
        ).fetchall()
        if not rows:
            raise ConfigurationError(
                f"The lake has no recording of the corpus {corpus!r}: ingest it first "
                f"(`valle data ingest --corpus.kind noise --corpus.name {corpus}`)."
            )
        for *row, genre in rows:
            pools[_GENRES.get(genre, "noise")].append(_candidate(row))
    return pools


def _speakers(connection: duckdb.DuckDBPyConnection, inputs: Sequence[StageInput]) -> list[_Candidate]:
    """Return all segments of the shard whose speaker is known."""
    rows = connection.execute(
        """
        SELECT i.id, r.speaker, r.licence, i.path, i."offset", i.size, i.start_sample, i.num_samples, i.channel,
               i.sample_rate
        FROM input_segments i JOIN current_recordings r ON r.recording_id = i.recording_id
        WHERE i.corpus = ? AND i.shard = ? AND r.speaker IS NOT NULL ORDER BY i.id
        """,
        [inputs[0].corpus, inputs[0].shard],
    ).fetchall()
    return [_candidate(row) for row in rows]


def _candidate(row: Sequence[object]) -> _Candidate:
    id, owner, licence, path, offset, size, start, count, channel, rate = row
    location = AudioLocation(str(path), offset, size, start, count, channel)  # type: ignore[arg-type]
    return _Candidate(str(id), owner, str(licence), location, rate, count)  # type: ignore[arg-type]
