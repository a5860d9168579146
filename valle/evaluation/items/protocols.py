"""Read published lists of evaluation items as data: texts, speakers and prompts.

| protocol                   | list                                    | prompt                                   |
| -------------------------- | --------------------------------------- | ---------------------------------------- |
| librispeech_pc             | F5-TTS' six tab-separated columns       | another utterance, whole                 |
| seed_tts_eval              | `meta.lst`, two to five fields with `|` | the file it names, whole                 |
| librispeech_cross_sentence | made from a LibriSpeech folder          | 3 s of another utterance of the speaker  |
| librispeech_continuation   | made from a LibriSpeech folder          | the first 3 s of the utterance itself    |

The last two follow VALL-E (section 5.1: utterances of 4 to 10 s of test-clean). Its list was never released: the
prompt utterance and the start of its 3 s are chosen here by hash, so that the list is the same on every machine.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from valle.audio import AudioLocation, UnreadableAudio, read_header
from valle.evaluation.items.item_list import ItemList, check_utterances
from valle.evaluation.items.items import CONTINUATION_SECONDS, EvaluationItem, PublishedProtocol, hash_order
from warehouse.errors import ConfigurationError, unknown_name

# VALL-E (arXiv 2301.02111), section 5.1.
_MIN_SECONDS, _MAX_SECONDS = 4.0, 10.0
_LIBRISPEECH_PC_COLUMNS = 6


def resolve_protocol(
    protocol: PublishedProtocol, *, listing: Path | None, audio: Path | None, language: str = "en", seed: int = 0
) -> ItemList:
    """Return the items of a published protocol.

    `listing` is the file of the list, `audio` the LibriSpeech folder (or `test-clean` itself); `seed_tts_eval` finds
    its audio beside its list. Raise ConfigurationError for a missing path and for a line that cannot be read.
    """
    if protocol == "seed_tts_eval":
        return read_seed_tts_eval(_require_path(listing, protocol, "a list (meta.lst)"), language=language)
    folder = _require_path(audio, protocol, "the LibriSpeech folder")
    if protocol == "librispeech_pc":
        return read_librispeech_pc(_require_path(listing, protocol, "a list (.lst)"), folder)
    if protocol not in get_args(PublishedProtocol):
        raise unknown_name("protocol", protocol, get_args(PublishedProtocol))
    return librispeech_items(folder, protocol, seed=seed)


def _require_path(path: Path | None, protocol: str, description: str) -> Path:
    if path is None:
        raise ConfigurationError(f"The protocol {protocol} needs {description}; name it.")
    return path


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The list {path} cannot be read ({error}).") from error
    # Not `splitlines`: it also splits at U+2028 and other characters that texts contain.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def _source(path: Path) -> str:
    return f"{path.name}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def _librispeech_root(folder: Path) -> Path:
    return folder / "test-clean" if (folder / "test-clean").is_dir() else folder


def _librispeech_path(root: Path, utterance: str) -> str:
    speaker, chapter, *_ = utterance.split("-")
    return str(root / speaker / chapter / f"{utterance}.flac")


def read_librispeech_pc(path: Path, audio: Path) -> ItemList:
    """Read F5-TTS' cross-sentence list of LibriSpeech-PC.

    Columns are the prompt, its seconds and text, then the target, its seconds and text.
    """
    root = _librispeech_root(audio)
    items = []
    for number, line in _lines(path):
        cells = line.split("\t")
        where = f"{path}, line {number}"
        if len(cells) != _LIBRISPEECH_PC_COLUMNS:
            raise ConfigurationError(f"{where}: there are {len(cells)} tab-separated columns, not 6.")
        prompt, prompt_seconds, prompt_text, utterance, seconds, text = (cell.strip() for cell in cells)
        if min(utterance.count("-"), prompt.count("-")) < 2 or not text:
            raise ConfigurationError(f"{where}: it needs the ids of two utterances of LibriSpeech and a text.")
        try:
            durations = float(prompt_seconds), float(seconds)
        except ValueError as error:
            raise ConfigurationError(f"{where}: a duration is no number ({error}).") from error
        items.append(
            EvaluationItem(
                utterance=utterance,
                text=text,
                language="en",
                speaker=prompt.split("-")[0],
                location=AudioLocation(_librispeech_path(root, utterance)),
                duration=durations[1],
                prompt=prompt,
                prompt_location=AudioLocation(_librispeech_path(root, prompt)),
                prompt_text=prompt_text,
                prompt_duration=durations[0],
                protocol="librispeech_pc",
            )
        )
    return _item_list("librispeech_pc", path, items)


def read_seed_tts_eval(path: Path, *, language: str) -> ItemList:
    """Read a list of seed-tts-eval, its audio relative to the list.

    Rows are `utterance|prompt text|prompt file|text`, with an optional fifth field for the recording of the text, or
    `utterance|text|prompt file`, or `utterance|text`, which has no prompt. The list names no speakers: each prompt
    file counts as a speaker, and so does each utterance without a prompt.
    """
    items = []
    for number, line in _lines(path):
        fields = [field.strip() for field in line.split("|")]
        where = f"{path}, line {number}"
        if len(fields) in (4, 5):
            utterance, prompt_text, prompt, text = fields[:4]
        elif len(fields) == 3:
            (utterance, text, prompt), prompt_text = fields, ""
        elif len(fields) == 2:
            (utterance, text), prompt, prompt_text = fields, "", ""
        else:
            raise ConfigurationError(f"{where}: there are {len(fields)} fields between the bars, not 2 to 5.")
        if not (utterance and text) or (len(fields) > 2 and not prompt):
            raise ConfigurationError(f"{where}: the utterance, its prompt or its text is empty.")
        recording = fields[4] if len(fields) == 5 else ""
        items.append(
            EvaluationItem(
                # Some published lists name utterances with the suffix, others without.
                utterance=utterance.removesuffix(".wav"),
                text=text,
                language=language,
                speaker=Path(prompt).stem or utterance,
                location=AudioLocation(str(path.parent / recording)) if recording else None,
                duration=None,
                prompt=Path(prompt).stem,
                prompt_location=AudioLocation(str(path.parent / prompt)) if prompt else None,
                prompt_text=prompt_text,
                prompt_duration=None,
                protocol="seed_tts_eval",
            )
        )
    return _item_list("seed_tts_eval", path, items)


def _item_list(protocol: str, path: Path, items: list[EvaluationItem]) -> ItemList:
    if not items:
        raise ConfigurationError(f"The list {path} has no row; give one with at least one utterance.")
    check_utterances(items, str(path))
    return ItemList(protocol=protocol, source=_source(path), items=tuple(items))


@dataclass(frozen=True, slots=True)
class _Utterance:
    name: str
    speaker: str
    chapter: str
    text: str
    path: Path
    num_samples: int
    sample_rate: int

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate


def _read_librispeech(root: Path) -> list[_Utterance]:
    found = []
    for transcript in sorted(root.glob("*/*/*.trans.txt")):
        for number, line in _lines(transcript):
            name, _, text = line.partition(" ")
            if not text.strip() or name.count("-") < 2:
                raise ConfigurationError(f"{transcript}, line {number}: it needs the id of an utterance and its text.")
            path = transcript.parent / f"{name}.flac"
            try:
                header = read_header(AudioLocation(str(path)))
            except UnreadableAudio as error:
                raise ConfigurationError(
                    f"{transcript}, line {number}: {path.name} cannot be read ({error})."
                ) from error
            speaker, chapter, *_ = name.split("-")
            found.append(_Utterance(name, speaker, chapter, text.strip(), path, header.num_samples, header.sample_rate))
    if not found:
        raise ConfigurationError(
            f"{root} has no LibriSpeech transcript (speaker/chapter/*.trans.txt); name test-clean."
        )
    return found


def librispeech_items(folder: Path, protocol: PublishedProtocol, *, seed: int = 0) -> ItemList:
    """Return every utterance of 4 to 10 s of a LibriSpeech folder under one of the two protocols of VALL-E.

    Cross-sentence prompts are 3 s of another utterance of the same speaker; their text is unknown, because the cut
    ignores word boundaries. Speakers with a single utterance are skipped.
    """
    root = _librispeech_root(folder)
    utterances = _read_librispeech(root)
    items = []
    for target in utterances:
        if not _MIN_SECONDS <= target.seconds <= _MAX_SECONDS:
            continue
        prompt, start = target, 0
        if protocol == "librispeech_cross_sentence":
            candidates = [
                utterance
                for utterance in utterances
                if utterance.speaker == target.speaker
                and utterance.name != target.name
                and utterance.seconds >= CONTINUATION_SECONDS
            ]
            if not candidates:
                continue
            prompt = min(candidates, key=lambda utterance: hash_order(seed, target.name, utterance.name))
            latest_start = prompt.num_samples - round(CONTINUATION_SECONDS * prompt.sample_rate)
            # By hash, because the sequence of `random` is not guaranteed between versions of Python.
            start = int(hash_order(seed, target.name, prompt.name, "start"), 16) % (latest_start + 1)
        span = round(CONTINUATION_SECONDS * prompt.sample_rate)
        items.append(
            EvaluationItem(
                utterance=target.name,
                text=target.text,
                language="en",
                speaker=target.speaker,
                location=AudioLocation(str(target.path)),
                duration=target.seconds,
                prompt=prompt.name if prompt is target else f"{prompt.name}@{start}",
                prompt_location=AudioLocation(str(prompt.path), start_sample=start, num_samples=span),
                prompt_text="",
                prompt_duration=CONTINUATION_SECONDS,
                protocol=protocol,
            )
        )
    if not items:
        raise ConfigurationError(f"{root} has no utterance of 4 to 10 s for {protocol}; name the folder of test-clean.")
    source = f"LibriSpeech folder {root.name}, {len(utterances)} utterances, seed {seed}"
    return ItemList(protocol=protocol, source=source, items=tuple(items))
