"""The one table that says how a row of each task and decode mode looks.

A row is its segments in order; the output comes last. What embeds a segment, which head reads the output, who attends
to whom and how far a hidden state lies from what it predicts all follow from here; where it all lies in a batch is
`placement.py`. A new task is a new row of the table, and its collator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Task(StrEnum):
    """What is asked of the model. The values are the ones of SpeechX (Wang et al., arXiv 2308.06873) and its kin."""

    TTS = "tts"  # speak a text in the voice of a prompt
    TTS_C = "tts-c"  # go on from the prompt, whose text is given, too
    LEN = "len"  # how many frames a text takes
    STT = "stt"  # what was said
    NS = "ns"  # take the noise out of speech
    SR = "sr"  # take the speech out of noise
    TSE = "tse"  # one speaker out of a mixture
    CSE = "cse"  # say something else in the middle
    NSE = "nse"  # the same with noise all over
    VC = "vc"  # the same words in another voice
    PHN = "phn"  # characters to phonemes
    UN_PHN = "un-phn"  # phonemes to characters


class Mode(StrEnum):
    """How the output of a row is decoded."""

    AR = "ar"  # codebook 0, one group of frames after the other
    NAR_LEN = "nar-len"  # all at once and again, from masks to less of them; the length is known before
    NAR = "nar"  # codebook q >= 1, all frames at once, given the codebooks below
    TOKENS = "tokens"  # digits, phonemes or bytes, one after the other


class MaskKind(StrEnum):
    """Who may attend to whom inside a row; padding is never attended to."""

    CAUSAL = "causal"
    FULL = "full"


class Table(StrEnum):
    """What embeds the elements of a segment.

    Codebook 0 of the output has a table per mode: the table tells the trunk what to predict, and one table for both
    ways of decoding it was found to fail (valle_system.md 2.3).
    """

    SYMBOLS = "symbols"
    BYTES = "bytes"
    LANGUAGES = "languages"
    LEVELS = "levels"
    TASKS = "tasks"
    DIGITS = "digits"
    PROMPT_CODES = "prompt_codes"
    NEXT_CODES = "next_codes"  # read by the AR
    MASKED_CODES = "masked_codes"  # read by NAR-len
    LOWER_CODES = "lower_codes"  # read by the NAR


class Codebooks(StrEnum):
    """Which codebooks of a segment are embedded, summed per frame, in a row of level q."""

    FIRST = "first"  # codebook 0
    GROUP = "group"  # codebook 0 of several frames in a row, which share a slot
    BELOW = "below"  # codebooks 0 .. q-1
    ALL = "all"


class Head(StrEnum):
    """What the hidden states of the output are turned into."""

    CODES = "codes"  # of the level of the row
    MASKED = "masked"
    DIGITS = "digits"
    SYMBOLS = "symbols"
    BYTES = "bytes"


class Marker(StrEnum):
    """What stands between the parts of a condition: the task, or where an edit begins, lies and ends."""

    @property
    def id(self) -> int:
        """Its id in the table of tasks."""
        return list(Marker).index(self)

    TTS_C = "tts-c"
    NS = "ns"
    SR = "sr"
    TSE = "tse"
    VC = "vc"
    STT = "stt"
    START_OF_EDIT = "soe"
    MASK = "mask"
    END_OF_EDIT = "eoe"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a row: what it holds and what embeds it. `codebooks` is None for ids.

    A paced segment advances by the frames that one of its elements lasts on average, a grouped one by the frames of
    a group, all others by 1.
    """

    name: str
    table: Table
    codebooks: Codebooks | None = None
    is_paced: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One task in one decode mode: its segments in order, of which the last is the output, and what reads that."""

    task: Task
    mode: Mode
    segments: tuple[Segment, ...]
    head: Head

    @property
    def output(self) -> Segment:
        """The segment that is predicted."""
        return self.segments[-1]

    @property
    def mask(self) -> MaskKind:
        """Causal where one element follows from those before it."""
        return MaskKind.CAUSAL if self.mode in (Mode.AR, Mode.TOKENS) else MaskKind.FULL

    @property
    def has_stop(self) -> bool:
        """Whether the output says itself where it ends."""
        return self.mask is MaskKind.CAUSAL

    @property
    def shift(self) -> int:
        """Distance from a slot to the output element its hidden state predicts: 1 when causal, else 0."""
        return int(self.mask is MaskKind.CAUSAL)

    @property
    def name(self) -> str:
        """Task and mode in one word."""
        return f"{self.task}/{self.mode}"


_TEXT = Segment("text", Table.SYMBOLS, is_paced=True)
_CHARACTERS = Segment("characters", Table.BYTES)
_LANGUAGE = Segment("language", Table.LANGUAGES)
_LEVEL = Segment("level", Table.LEVELS)
_DIGITS = Segment("digits", Table.DIGITS)


def _marker(name: str) -> Segment:
    return Segment(name, Table.TASKS)


def _speech_in(name: str) -> Segment:
    # All its codebooks at every level: a voice is heard from codebook 1 on (decision 12).
    return Segment(name, Table.PROMPT_CODES, Codebooks.ALL)


_TARGETS: Mapping[Mode, Segment] = MappingProxyType(
    {
        Mode.AR: Segment("target", Table.NEXT_CODES, Codebooks.GROUP),
        Mode.NAR_LEN: Segment("target", Table.MASKED_CODES, Codebooks.FIRST),
        Mode.NAR: Segment("target", Table.LOWER_CODES, Codebooks.BELOW),
    }
)
TASK_MARKER = "<task>"
"""Name of the segment that says which task it is, where the other segments do not."""
_CONDITIONS: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        # Names of speech are codes; those in angle brackets are markers.
        Task.TTS: ("prompt",),
        Task.TTS_C: ("prompt", TASK_MARKER),
        Task.NS: (TASK_MARKER, "noisy"),
        Task.SR: (TASK_MARKER, "noisy"),
        Task.TSE: ("prompt", TASK_MARKER, "mixture"),
        Task.VC: ("prompt", TASK_MARKER, "source"),
        Task.CSE: ("before", "<edit>", "after"),
        Task.NSE: ("before", "<start of edit>", "middle", "<end of edit>", "after"),
    }
)


def _speech_layouts() -> list[Layout]:
    layouts = []
    for task, parts in _CONDITIONS.items():
        for mode, target in _TARGETS.items():
            condition = [_marker(part) if part.startswith("<") else _speech_in(part) for part in parts]
            head = Head.MASKED if mode is Mode.NAR_LEN else Head.CODES
            layouts.append(Layout(task, mode, (_TEXT, _LANGUAGE, _LEVEL, *condition, target), head))
    return layouts


def _other_layouts() -> list[Layout]:
    length = (_TEXT, _LANGUAGE, _LEVEL, _speech_in("prompt"), _DIGITS)
    return [
        Layout(Task.LEN, Mode.TOKENS, length, Head.DIGITS),
        Layout(Task.LEN, Mode.NAR_LEN, length, Head.DIGITS),  # all five digits at once
        Layout(Task.STT, Mode.TOKENS, (_speech_in("heard"), _LANGUAGE, _LEVEL, _TEXT), Head.SYMBOLS),
        Layout(Task.PHN, Mode.TOKENS, (_CHARACTERS, _LANGUAGE, _LEVEL, _TEXT), Head.SYMBOLS),
        Layout(Task.UN_PHN, Mode.TOKENS, (_TEXT, _LANGUAGE, _LEVEL, _CHARACTERS), Head.BYTES),
    ]


LAYOUTS: Mapping[tuple[Task, Mode], Layout] = MappingProxyType(
    {(layout.task, layout.mode): layout for layout in [*_speech_layouts(), *_other_layouts()]}
)
"""Layouts by task and mode."""
