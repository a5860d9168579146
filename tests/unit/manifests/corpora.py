"""Small corpora for the tests of the readers: tones in any format, sidecars of any quality."""

import io
import json
import tarfile

import numpy as np
import soundfile

from manifests.corpus import Corpus, assign_shards
from warehouse.rows import RecordingRow


def tone(seconds=0.5, *, rate=16000, channels=1, pitch=220.0):
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * pitch * time)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def encoded(container="FLAC", *, seconds=0.5, rate=16000, channels=1, pitch=220.0):
    subtype = {"FLAC": "PCM_16", "WAV": "PCM_16", "MP3": "MPEG_LAYER_III", "OGG": "OPUS"}[container]
    buffer = io.BytesIO()
    samples = tone(seconds, rate=rate, channels=channels, pitch=pitch)
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def wav(samples, rate=16000, *, container="WAV", subtype=None):
    """Samples [time] or [time, channels] as a file in memory."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def put_chapter(root, place="small/100/a book/chapter_01_64kb", *, sidecar=None, audio=None, seconds=0.5):
    put(root / f"{place}.flac", encoded(seconds=seconds) if audio is None else audio)
    if sidecar is not None:
        put(root / f"{place}.json", sidecar if isinstance(sidecar, str | bytes) else json.dumps(sidecar))


def chapter_sidecar(**changes):
    values = {
        "speaker": "100",
        "book_meta": {"id": "7", "title": "A book", "language": "English", "meta_genre": "Literature"},
        "file_length_sec": 0.5,
        "snr": 12.5,
        "voice_activity": [[0.0, 0.24], [0.32, 0.48]],
    }
    return values | changes


def utterance(identity, *, sidecar=None, audio=None):
    """The members of one Emilia utterance."""
    values = {"id": identity, "text": f" Text of {identity}.", "duration": 0.5, "language": "en", "dnsmos": 3.2}
    values |= {"speaker": identity.rsplit("_", 1)[0]}
    return [
        (f"{identity}.json", json.dumps(values).encode() if sidecar is None else sidecar),
        (f"{identity}.mp3", encoded("MP3", rate=24000) if audio is None else audio),
    ]


def put_tar(path, members, *, form=tarfile.GNU_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def rows_of(corpus: Corpus) -> list[RecordingRow]:
    sources = assign_shards(corpus.find(), corpus.name, megabytes=64)
    return [row for source in sources for row in corpus.read(source)]


def single_row(corpus: Corpus) -> RecordingRow:
    (row,) = rows_of(corpus)
    return row
