"""Headers are not believed: what can be decoded is kept, and the difference is recorded."""

import io

import numpy as np
import pytest
import soundfile
from corpora import encoded, put, put_tar, single_row, tone, utterance, wav

from manifests import open_corpus
from manifests.audio.decoding import AudioDecoder
from warehouse.ranged_stream import open_range

SECONDS = 4
SAMPLES = SECONDS * 24_000


def mp3(**options):
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).normal(0, 0.01, (SAMPLES, 1))
    soundfile.write(buffer, tone(SECONDS, rate=24_000) + noise, 24_000, format="MP3", **options)
    return buffer.getvalue()


def with_frame_count(content, factor):
    """An MP3 whose header declares `factor` times its frames; 0 removes the header's mark."""
    changed = bytearray(content)
    at = max(content.find(b"Xing"), content.find(b"Info"))
    if factor == 0:
        changed[at : at + 4] = bytes(4)
    else:
        count = int.from_bytes(content[at + 8 : at + 12], "big")
        changed[at + 8 : at + 12] = int(count * factor).to_bytes(4, "big")
    return bytes(changed)


def flac_without_length(seconds=SECONDS):
    content = bytearray(encoded("FLAC", seconds=seconds))
    content[21] &= 0xF0  # total samples in STREAMINFO: 36 bits that a writer to a pipe leaves at 0
    content[22:26] = bytes(4)
    return bytes(content)


def wav_with_size(size):
    content = bytearray(wav(tone(SECONDS)[:, 0]))
    at = content.find(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    return bytes(content)


def decode_all(content):
    decoder = AudioDecoder(io.BytesIO(content))
    length = decoder.measure_length()
    return length, sum(len(block) for block in decoder.blocks(0, length.num_samples, 16_000))


@pytest.mark.parametrize("options", [{}, {"bitrate_mode": "VARIABLE", "compression_level": 0.6}], ids=["cbr", "vbr"])
@pytest.mark.parametrize("factor", [0, 0.5, 0.9, 2, 100])
def test_an_mp3_is_as_long_as_it_decodes_to(options, factor):
    length, decoded = decode_all(with_frame_count(mp3(**options), factor))
    assert length.num_samples == decoded
    assert SAMPLES <= decoded <= SAMPLES + 2_400
    assert abs(length.declared_samples - SAMPLES) > 2_400


@pytest.mark.parametrize("options", [{}, {"bitrate_mode": "VARIABLE"}], ids=["cbr", "vbr"])
@pytest.mark.parametrize("around", ["plain", "ID3v2", "ID3v1", "rubbish at the end"])
def test_an_mp3_with_a_true_header_is_trimmed_as_it_says(options, around):
    content = mp3(**options)
    if around == "ID3v2":
        content = b"ID3\x04\0\0\0\0\x10\0" + bytes(2048) + content
    if around != "plain" and around != "ID3v2":
        content += b"TAG" + bytes(125 if around == "ID3v1" else 5_000)
    length, decoded = decode_all(content)
    assert (length.num_samples, length.declared_samples, decoded) == (SAMPLES, SAMPLES, SAMPLES)


def test_an_mp3_cut_in_half_is_half_a_recording_that_says_so(tmp_path):
    content = mp3()
    put(tmp_path / "a.mp3", content[: len(content) // 2])
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.drop_reason, row.declared_samples) == (None, SAMPLES)
    assert SAMPLES * 0.48 < row.num_samples < SAMPLES * 0.5


def test_a_member_of_a_tar_with_a_lying_header_is_whole(tmp_path):
    put_tar(tmp_path / "a.tar", utterance("EN_B00000_S00000_W000000", audio=with_frame_count(mp3(), 0.5)))
    row = single_row(open_corpus("emilia", tmp_path))
    assert SAMPLES <= row.num_samples <= SAMPLES + 2_400
    assert row.declared_samples < SAMPLES * 0.51


@pytest.mark.parametrize(
    ("size", "declared"),
    [(0, None), (0xFFFFFFFF, None), (0x7FFFF024, None), (SECONDS * 16_000, SECONDS * 8_000), (2**26, 2**25)],
)
def test_a_wav_with_a_wrong_size_is_read_to_its_end(tmp_path, size, declared):
    length, decoded = decode_all(wav_with_size(size))
    assert (length.num_samples, length.declared_samples, decoded) == (SECONDS * 16_000, declared, SECONDS * 16_000)
    put(tmp_path / "a.wav", wav_with_size(size))
    assert single_row(open_corpus("folder", tmp_path)).declared_samples == (declared or 0)


SIZES = {  # container: position of the size, its bytes and order, and what it counts besides the data
    "RF64": (lambda content: content.find(b"ds64") + 16, 8, "little", 0),
    "AIFF": (lambda content: content.find(b"SSND") + 4, 4, "big", 8),
    "AU": (lambda content: 8, 4, "big", 0),
    "CAF": (lambda content: content.find(b"data") + 4, 8, "big", 4),
}


@pytest.mark.parametrize(("size", "declared"), [(0, None), (-1, None), (64_000, 32_000), (256_000, 128_000)])
@pytest.mark.parametrize("container", SIZES)
def test_a_container_with_a_wrong_size_is_read_to_its_end(tmp_path, container, size, declared):
    find, width, order, added = SIZES[container]
    content = bytearray(wav(tone(SECONDS)[:, 0], container=container))
    position = find(content)
    number = (size + (added if size > 0 else 0)) % (1 << 8 * width)
    if container == "RF64" and size == -1:
        number = 0  # a size that was never filled in
    content[position : position + width] = number.to_bytes(width, order)
    length, decoded = decode_all(bytes(content))
    assert (length.num_samples, decoded) == (SECONDS * 16_000, SECONDS * 16_000)
    put(tmp_path / "a.au", bytes(content))
    assert single_row(open_corpus("folder", tmp_path)).declared_samples == (declared or 0)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "GSM610"])
def test_a_block_of_compressed_wav_declares_all_its_samples(subtype):
    rate = 8_000
    content = wav(tone(2, rate=rate)[:, 0], rate, subtype=subtype)
    length, decoded = decode_all(content[: len(content) // 2])
    assert length.declared_samples == pytest.approx(2 * rate, abs=1_100)
    assert length.num_samples == decoded == pytest.approx(rate, abs=1_100)


@pytest.mark.parametrize("more", [-3, -1, 1, 3])
def test_a_few_frames_too_many_or_too_few_are_recorded(more):
    content = bytearray(mp3())
    at = max(content.find(b"Xing"), content.find(b"Info")) + 8
    content[at : at + 4] = (int.from_bytes(content[at : at + 4], "big") + more).to_bytes(4, "big")
    length, decoded = decode_all(bytes(content))
    assert length.num_samples == decoded >= SAMPLES
    assert length.declared_samples == SAMPLES + more * 576


def test_a_flac_that_declares_too_little_is_read_to_its_end():
    content = bytearray(encoded("FLAC", seconds=SECONDS))
    content[22:26] = (20_000).to_bytes(4, "big")
    length, decoded = decode_all(bytes(content))
    assert (length.num_samples, length.declared_samples, decoded) == (64_000, 20_000, 64_000)


def test_streams_of_an_ogg_that_are_not_read_are_noted(tmp_path):
    streams = [wav(np.random.default_rng(n).normal(0, 0.1, 48_000), 24_000, container="OGG") for n in (1, 2)]
    put(tmp_path / "chained.ogg", b"".join(streams))
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.num_samples, row.drop_reason) == (48_000, None)
    assert "other streams follow" in row.extra


def test_chunks_behind_the_data_of_a_wav_are_no_audio():
    content = wav(tone(SECONDS)[:, 0])
    length, decoded = decode_all(content + b"LIST\x04\0\0\0abcd")
    assert (length.num_samples, length.declared_samples, decoded) == (64_000, 64_000, 64_000)


def test_a_wav_cut_short_declares_more_than_it_has():
    content = wav(tone(SECONDS)[:, 0])
    length, decoded = decode_all(content[: len(content) // 2])
    assert length.declared_samples == 64_000
    assert length.num_samples == decoded == pytest.approx(32_000, abs=30)


def test_a_flac_from_a_pipe_has_the_length_that_it_decodes_to(tmp_path):
    content = flac_without_length()
    for share, fewest, most in ((1.0, 64_000, 64_000), (0.7, 35_000, 50_000)):
        length, decoded = decode_all(content[: int(len(content) * share)])
        assert length.declared_samples is None
        assert length.num_samples == decoded
        assert fewest <= decoded <= most
    put(tmp_path / "a.flac", content)
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.drop_reason, row.num_samples, row.declared_samples) == (None, 64_000, 0)


def test_a_flac_cut_short_keeps_what_decodes(tmp_path):
    content = encoded("FLAC", seconds=SECONDS)
    put(tmp_path / "a.flac", content[: len(content) * 2 // 3])
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.drop_reason, row.declared_samples) == (None, 64_000)
    assert 35_000 < row.num_samples < 50_000


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_an_ogg_cut_short_is_noted(tmp_path, subtype):
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLES)
    content = wav(noise, 24_000, container="OGG", subtype=subtype)
    put(tmp_path / "cut.ogg", content[: len(content) * 2 // 3])
    row = single_row(open_corpus("folder", tmp_path))
    assert row.drop_reason is None
    assert "cut short" in row.extra
    put(tmp_path / "cut.ogg", content)
    assert "cut short" not in single_row(open_corpus("folder", tmp_path)).extra


UNSEEKABLE = [("WAV", "GSM610"), ("WAV", "G721_32"), ("AIFF", "DWVW_16"), ("AU", "G723_24"), ("XI", "DPCM_16")]


@pytest.mark.parametrize(("container", "subtype"), UNSEEKABLE)
def test_formats_that_cannot_seek_are_decoded_from_any_sample(container, subtype):
    rate = 8_000
    content = wav(tone(2, rate=rate)[:, 0], rate, container=container, subtype=subtype)
    decoder = AudioDecoder(io.BytesIO(content))
    assert decoder.measure_length().num_samples >= 2 * rate
    whole = np.concatenate(list(decoder.blocks(0, 2 * rate, 3_000)))
    part = np.concatenate(list(AudioDecoder(io.BytesIO(content)).blocks(9_000, 4_000, 1_500)))
    np.testing.assert_array_equal(part, whole[9_000:13_000])


def test_a_span_behind_the_declared_length_is_the_audio_there():
    content = with_frame_count(mp3(), 0.5)
    decoder = AudioDecoder(io.BytesIO(content))
    whole = np.concatenate(list(decoder.blocks(0, SAMPLES, 10_000)))
    part = np.concatenate(list(AudioDecoder(io.BytesIO(content)).blocks(SAMPLES - 20_000, 20_000, 7_000)))
    np.testing.assert_allclose(part, whole[-20_000:], atol=1e-4)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"fLaC", b"ID3", b"\xff\xfb\x90\x00" * 40, b"OggS" * 50, bytes(9999)]
)
def test_scraps_of_headers_are_undecodable_and_raise_nothing(tmp_path, content):
    put(tmp_path / "a.wav", content)
    assert single_row(open_corpus("folder", tmp_path)).drop_reason in ("undecodable", "empty")


def test_a_range_reads_like_a_file_behind_another_head():
    file = io.BytesIO(b"0123456789")
    view = open_range(file, 4, 5, b"abc")
    assert view.read() == b"abc45678"
    assert (view.seek(-2, 2), view.read(9), view.seek(2), view.read(2)) == (6, b"78", 2, b"c4")
