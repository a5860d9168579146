"""Table of the codecs: name, sample rate, how each is opened, and the revision of the weights that make its codes."""

from collections.abc import Callable
from dataclasses import dataclass

from valle.codec.base import CodebookOrder, Codec, CodecSpec

ENCODEC = "encodec_24khz"
"""The codec of the original VALL-E, and of codes that name none."""

# The modules of a codec are imported when it is opened: a caller that only asks for a revision or a sample rate does
# not pay for the libraries of all.


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecEntry:
    """A codec by name."""

    name: str
    sample_rate: int
    hop_length: int
    num_codebooks: int
    codebook_size: int
    order: CodebookOrder = "residual"
    weights: tuple[str, ...] = ()
    """Names of the weights that are fetched; none for the embedded codec."""
    needs_transformers: bool = False
    """True where its network is that of the package transformers, which is an extra."""
    open: Callable[[str], Codec]
    """Open it on a torch device."""
    revision: Callable[[], str]
    """Return the hash of the weights that define the codes, without loading them."""

    def spec(self, revision: str) -> CodecSpec:
        """Return the numbers of the codec with the weights of a revision, without opening it."""
        return CodecSpec(
            self.name,
            revision,
            self.sample_rate,
            self.hop_length,
            self.num_codebooks,
            self.codebook_size,
            self.order,
        )


def all_codecs() -> tuple[CodecEntry, ...]:
    """Return all codecs, the embedded one first."""
    return (
        CodecEntry(
            name="mini",
            sample_rate=24_000,
            hop_length=320,
            num_codebooks=8,
            codebook_size=1024,
            open=_open_mini,
            revision=_mini_revision,
        ),
        CodecEntry(
            name="mini_44khz",
            sample_rate=44_100,
            hop_length=588,
            num_codebooks=8,
            codebook_size=1024,
            weights=("mini_44khz",),
            open=_open_mini_44khz,
            revision=_mini_44khz_revision,
        ),
        *(_encodec(kilobits, has_vocos=False) for kilobits in (6, 1.5, 3, 12, 24)),
        # Vocos was trained for the rates up to 12 kbit/s.
        *(_encodec(kilobits, has_vocos=True) for kilobits in (6, 1.5, 3, 12)),
        CodecEntry(
            name="vocos_mel_24khz",
            sample_rate=24_000,
            hop_length=256,
            num_codebooks=100,
            codebook_size=256,
            order="parallel",
            weights=("vocos-mel-24khz",),
            open=_open_vocos_mel,
            revision=lambda: _weights_revision("vocos-mel-24khz"),
        ),
        *(_encodec_48khz(kilobits) for kilobits in (12, 3, 6, 24)),
        _dac("dac_44khz", 44_100, hop_length=512, num_codebooks=9),
        _dac("dac_24khz", 24_000, hop_length=320, num_codebooks=32),
        _dac("dac_16khz", 16_000, hop_length=320, num_codebooks=12),
        CodecEntry(
            name="nvidia_44khz",
            sample_rate=44_100,
            hop_length=512,
            num_codebooks=8,
            codebook_size=1000,
            order="parallel",
            weights=("nvidia_44khz",),
            open=_open_nvidia,
            revision=lambda: _weights_revision("nvidia_44khz"),
        ),
        CodecEntry(
            name="mimi",
            sample_rate=24_000,
            hop_length=1920,
            num_codebooks=8,
            codebook_size=2048,
            weights=("mimi",),
            needs_transformers=True,
            open=_open_mimi,
            revision=lambda: _weights_revision("mimi"),
        ),
    )


def _encodec(kilobits: float, *, has_vocos: bool) -> CodecEntry:
    # The rate that VALL-E uses has the short name.
    name = (ENCODEC if kilobits == 6 else f"encodec_24khz_{kilobits:g}kbps") + ("+vocos" if has_vocos else "")
    num_codebooks = round(kilobits / 0.75)  # 75 frames a second x 10 bits

    def open_it(device: str) -> Codec:
        from valle.codec.encodec.mono import open_encodec

        return open_encodec(name, num_codebooks=num_codebooks, has_vocos=has_vocos, device=device)

    return CodecEntry(
        name=name,
        sample_rate=24_000,
        hop_length=320,
        num_codebooks=num_codebooks,
        codebook_size=1024,
        weights=(ENCODEC, "vocos-encodec-24khz") if has_vocos else (ENCODEC,),
        open=open_it,
        revision=lambda: _weights_revision(ENCODEC),
    )


def _encodec_48khz(kilobits: int) -> CodecEntry:
    name = "encodec_48khz" if kilobits == 12 else f"encodec_48khz_{kilobits}kbps"
    num_codebooks = round(kilobits / 1.5)  # 150 frames a second x 10 bits

    def open_it(device: str) -> Codec:
        from valle.codec.encodec.stereo import open_encodec_48khz

        return open_encodec_48khz(name, num_codebooks=num_codebooks, device=device)

    # The same weights at every rate: fewer codebooks are a prefix.
    return CodecEntry(
        name=name,
        sample_rate=48_000,
        hop_length=320,
        num_codebooks=num_codebooks,
        codebook_size=1024,
        weights=("encodec_48khz",),
        open=open_it,
        revision=lambda: _weights_revision("encodec_48khz"),
    )


def _dac(name: str, sample_rate: int, *, hop_length: int, num_codebooks: int) -> CodecEntry:
    def open_it(device: str) -> Codec:
        from valle.codec.dac import open_dac

        return open_dac(name, device=device)

    return CodecEntry(
        name=name,
        sample_rate=sample_rate,
        hop_length=hop_length,
        num_codebooks=num_codebooks,
        codebook_size=1024,
        weights=(name,),
        needs_transformers=True,
        open=open_it,
        revision=lambda: _weights_revision(name),
    )


def _open_mini(device: str) -> Codec:
    from valle.codec.mini.codec import open_mini

    return open_mini(device=device)


def _mini_revision() -> str:
    from valle.codec.mini_revision import mini_revision

    return mini_revision()


def _open_mini_44khz(device: str) -> Codec:
    from valle.codec.mini.codec import open_mini_44khz

    return open_mini_44khz(device=device)


def _mini_44khz_revision() -> str:
    from valle.backends.fetched import stored_weights
    from valle.codec.mini_revision import mini_revision

    # That of transform and codebooks, in the header: stored codes stay valid with a better decoder.
    return mini_revision(stored_weights("mini_44khz"))


def _open_nvidia(device: str) -> Codec:
    from valle.codec.nvidia.codec import open_nvidia

    return open_nvidia(device=device)


def _open_vocos_mel(device: str) -> Codec:
    from valle.codec.vocos_mel import open_vocos_mel

    return open_vocos_mel(device=device)


def _open_mimi(device: str) -> Codec:
    from valle.codec.mimi import open_mimi

    return open_mimi(device=device)


def _weights_revision(name: str) -> str:
    from valle.backends.fetched import weights_revision

    return weights_revision(name)
