"""Find the audio and the JSON of each utterance of a tar, wherever in the archive they are.

WebDataset writes the members of an utterance as neighbours, and then nothing but these is read. Only for a member
without its partner is the whole archive indexed, once per archive.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from manifests.audio.suffixes import is_audio_name
from manifests.reading.archive import ArchiveFault, ByteRange, Member, list_members


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceMembers:
    """The members of one utterance: audio with its JSON, or one of them alone.

    `is_repeated` when audio of the same name came earlier in the archive.
    """

    identity: str
    named: Member
    audio: Member | None
    json: Member | None
    is_repeated: bool = False


class ArchiveIndex:
    """Audio and JSON members of an archive by stem, and by WebDataset's key or its last name where that is unique."""

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        self._audio: dict[str, Member] = {}
        self._json: dict[str, Member] = {}
        # The first of equal names wins, as in the readers of a range: later ones are repetitions.
        for member in list_members(file, ByteRange(0, size)):
            if isinstance(member, ArchiveFault) or member.is_cut_off:
                break
            if is_audio_name(member.name):
                self._audio.setdefault(member.stem, member)
            elif member.suffix == ".json":
                self._json.setdefault(member.stem, member)
        # `./a.json` and `a.flac`, or `json/a.json` and `audio/a.flac`, have a last name in common.
        self._lone_audio = {key: _unique(self._audio, self._json, key) for key in _KEYS}
        self._lone_json = {key: _unique(self._json, self._audio, key) for key in _KEYS}

    def json_of(self, audio: Member) -> Member | None:
        """Return the JSON of an audio member: of the same stem, else the only one with its key."""
        return self._json.get(audio.stem) or self._partner(audio, self._lone_json, self._lone_audio)

    def audio_of(self, json: Member) -> Member | None:
        """Return the audio of a JSON member: of the same stem, else the only one with its key."""
        return self._audio.get(json.stem) or self._partner(json, self._lone_audio, self._lone_json)

    def is_repeated(self, audio: Member) -> bool:
        """Return whether an audio member of the same stem comes earlier in the archive."""
        first = self._audio.get(audio.stem)
        return first is not None and first.offset < audio.offset

    def _partner(self, member: Member, partners: "_LoneMembers", own: "_LoneMembers") -> Member | None:
        # The key must be unique on both sides: `v1.2.flac` and `v1.3.json` share one and belong to others.
        for key, lone in own.items():
            if lone.get(key(member)) == member and (found := partners[key].get(key(member))) is not None:
                return found
        return None


_Key = Callable[[Member], str]
_LoneMembers = dict[_Key, dict[str, Member]]


def _key(member: Member) -> str:
    return member.key


def _last_name(member: Member) -> str:
    return member.key.rpartition("/")[2]


_KEYS: tuple[_Key, ...] = (_key, _last_name)


def _unique(members: dict[str, Member], partners: dict[str, Member], key: _Key) -> dict[str, Member]:
    """Return the members without a partner of the same stem whose key no other such member has."""
    found: dict[str, Member | None] = {}
    for stem, member in members.items():
        if stem not in partners:
            found[key(member)] = None if key(member) in found else member
    return {name: member for name, member in found.items() if member is not None}


def group_members(
    file: BinaryIO, span: ByteRange, index: Callable[[], ArchiveIndex]
) -> Iterator[UtteranceMembers | ArchiveFault]:
    """Yield the utterances whose audio is in a range of an archive, and JSON that has no audio; a fault comes last.

    `index` is called only for a member without its partner beside it. Members just before a fault are not yielded
    without audio: the audio is what the fault has cost.
    """
    seen: set[str] = set()
    for run in _runs(list_members(file, span)):
        if isinstance(run, ArchiveFault):
            yield run
            return
        utterance = _utterance([member for member in run.members if not member.is_cut_off], seen, index, run)
        if utterance is not None:
            yield utterance
        if run.cut_off is not None:
            yield ArchiveFault(run.cut_off.offset, f"the archive ends inside {run.cut_off.name}")


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbours with one stem; `is_before_fault` when the archive breaks off after them."""

    members: list[Member]
    is_before_fault: bool = False

    @property
    def cut_off(self) -> Member | None:
        """The member inside which the archive ends."""
        return next((member for member in self.members if member.is_cut_off), None)


def _runs(members: Iterator[Member | ArchiveFault]) -> Iterator[_Run | ArchiveFault]:
    run: list[Member] = []
    for member in members:
        if isinstance(member, ArchiveFault):
            if run:
                yield _Run(run, is_before_fault=True)
            yield member
            return
        # A name that comes again begins another utterance, which the readers report as a repetition.
        is_repeated = any(member.name == other.name for other in run)
        if run and (is_repeated or member.stem != run[0].stem):
            yield _Run(run)
            run = []
        run.append(member)
    if run:
        yield _Run(run)


def _utterance(
    members: list[Member], seen: set[str], index: Callable[[], ArchiveIndex], run: _Run
) -> UtteranceMembers | None:
    """Return the utterance of a run, or None for JSON whose audio is elsewhere and for other files."""
    audio = next((member for member in members if is_audio_name(member.name)), None)
    json = next((member for member in members if member.suffix == ".json"), None)
    is_broken = run.is_before_fault or run.cut_off is not None
    if audio is None:
        if json is None or is_broken or index().audio_of(json) is not None:
            return None
        return UtteranceMembers(identity=json.stem, named=json, audio=None, json=json)
    identity, is_repeated = audio.stem, audio.stem in seen
    seen.add(audio.stem)
    # Beside a broken end the partner is what was lost; elsewhere it may be anywhere in the archive.
    if json is None and run.cut_off is None:
        json, is_repeated = index().json_of(audio), is_repeated or index().is_repeated(audio)
        identity = audio.key if json is not None and json.stem != audio.stem else identity
    return UtteranceMembers(identity=identity, named=audio, audio=audio, json=json, is_repeated=is_repeated)
