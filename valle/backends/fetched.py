"""Weights that no wheel contains: fetch them by name into the models folder, and verify them.

A file is stored as `NAME-HASH.SUFFIX`; HASH is the start of its SHA-256. So the revision of a codec is a file name,
and a changed or damaged file is recognised without a network.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from valle.backends.weights import models_directory
from warehouse.errors import DependencyError, unknown_name
from warehouse.files import publish

_HASH_DIGITS = 8
_BLOCK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A file of weights: its name here, where its publisher keeps it, and the start of its SHA-256 where published."""

    name: str
    suffix: str
    repository: str
    """Repository of the Hugging Face hub, or a URL that ends in a slash; empty for weights that users train."""
    file: str
    licence: str
    published_hash: str | None = None

    @property
    def source(self) -> str:
        """Return where the file is published, or how it is made."""
        if not self.repository:
            return self.file
        return self.repository + self.file if self.is_url else f"{self.repository}/{self.file}"

    @property
    def is_url(self) -> bool:
        """Return whether the source is a URL and not a repository of the hub."""
        return self.repository.startswith("https://")


FETCHED = (
    FetchedFile(
        name="encodec_24khz",
        suffix=".th",
        repository="https://dl.fbaipublicfiles.com/encodec/v0/",
        file="encodec_24khz-d7cc33bc.th",
        licence="MIT code, CC-BY-NC-4.0 weights",
        published_hash="d7cc33bc",
    ),
    FetchedFile(
        name="encodec_48khz",
        suffix=".th",
        repository="https://dl.fbaipublicfiles.com/encodec/v0/",
        file="encodec_48khz-7e698e3e.th",
        licence="MIT code, CC-BY-NC-4.0 weights",
        published_hash="7e698e3e",
    ),
    *(
        FetchedFile(
            name=f"vocos-{features}-24khz",
            suffix=".bin",
            repository=f"charactr/vocos-{features}-24khz",
            file="pytorch_model.bin",
            licence="MIT",
        )
        for features in ("encodec", "mel")
    ),
    *(
        FetchedFile(
            name=f"dac_{rate}khz",
            suffix=".safetensors",
            repository=f"descript/dac_{rate}khz",
            file="model.safetensors",
            licence="MIT",
        )
        for rate in (16, 24, 44)
    ),
    FetchedFile(
        name="mimi", suffix=".safetensors", repository="kyutai/mimi", file="model.safetensors", licence="CC-BY-4.0"
    ),
    FetchedFile(
        name="mini_44khz",
        suffix=".safetensors",
        repository="",
        file="the export of `valle codec train --sample-rate 44100`",
        licence="as the speech it was trained on",
    ),
    FetchedFile(
        name="nvidia_44khz",
        suffix=".nemo",
        repository="nvidia/audio-codec-44khz",
        file="audio-codec-44khz.nemo",
        licence="NSCLv1",
    ),
)


def fetched_file(name: str) -> FetchedFile:
    """Return the file of weights called `name`. Raises ConfigurationError for an unknown name."""
    found = next((file for file in FETCHED if file.name == name), None)
    if found is None:
        raise unknown_name("weights", name, [file.name for file in FETCHED])
    return found


def find_weights(name: str) -> Path | None:
    """Return the stored file of `name`, None when it is not in the models folder; no network is used."""
    file = fetched_file(name)
    return next(iter(sorted(models_directory().glob(f"{file.name}-{'?' * _HASH_DIGITS}{file.suffix}"))), None)


def stored_weights(name: str) -> Path:
    """Return the stored file of `name`. Raises DependencyError when it is not in the models folder."""
    path = find_weights(name)
    if path is None:
        raise DependencyError(_missing(fetched_file(name)))
    return path


def weights_revision(name: str) -> str:
    """Return the hash in the name of the stored file, else the published one.

    Raises DependencyError when neither exists.
    """
    path = find_weights(name)
    if path is not None:
        return path.stem.rsplit("-", 1)[1]
    published = fetched_file(name).published_hash
    if published is None:
        raise DependencyError(_missing(fetched_file(name)))
    return published


def fetch_weights(name: str, *, source: Path | None = None) -> Path:
    """Return the stored file of `name`; download it, or copy `source`, when it is not in the models folder.

    Raises DependencyError when it cannot be fetched, or when its hash is not the published one.
    """
    file = fetched_file(name)
    stored = find_weights(name)
    if stored is not None and source is None:
        return stored
    directory = models_directory()
    directory.mkdir(parents=True, exist_ok=True)
    # In the same folder as the target, because a rename does not cross file systems.
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=directory) as temporary:
        partial = Path(temporary) / "partial"
        digest = _copy(_blocks(file, source, Path(temporary)), partial)
        if file.published_hash not in (None, digest[:_HASH_DIGITS]):
            raise DependencyError(
                f"{source or file.source} has the SHA-256 {digest[:_HASH_DIGITS]}..., not the published "
                f"{file.published_hash}...: fetch it again."
            )
        target = directory / f"{file.name}-{digest[:_HASH_DIGITS]}{file.suffix}"
        publish(partial, target)
    return target


def is_intact(path: Path) -> bool:
    """Hash a stored file and compare with the hash in its name."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return digest.startswith(path.stem.rsplit("-", 1)[1])


def _missing(file: FetchedFile) -> str:
    if not file.repository:
        return (
            f"The weights {file.name} are not in {models_directory()}, and nobody publishes them: run "
            f"`valle models fetch {file.name} --source FILE` with {file.file}."
        )
    return (
        f"The weights {file.name} are not in {models_directory()}: run `valle models fetch {file.name}` where there is "
        f"a network, or `valle models fetch {file.name} --source FILE` with a copy of {file.source}."
    )


def _blocks(file: FetchedFile, source: Path | None, temporary: Path) -> Iterator[bytes]:
    try:
        if source is None and file.is_url:
            yield from _download(file.source)
            return
        if source is None and not file.repository:
            raise DependencyError(_missing(file))
        path = source or _from_hub(file, temporary)
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except DependencyError:
        raise
    except OSError as error:
        if source is not None:
            raise DependencyError(f"{source} cannot be read ({error}): give a copy of {file.source}.") from error
        raise DependencyError(_missing(file)) from error


def _download(url: str) -> Iterator[bytes]:
    import httpx  # Only a download pays for it.

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            yield from response.iter_bytes(_BLOCK)
    except httpx.HTTPError as error:
        raise OSError(f"{url} cannot be fetched: {error}") from error


def _from_hub(file: FetchedFile, temporary: Path) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(file.repository, file.file, local_dir=temporary))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise OSError(f"{file.source} cannot be fetched: {error}") from error


def _copy(blocks: Iterator[bytes], target: Path) -> str:
    # Hashed while it is written: files of hundreds of megabytes are read once.
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        for block in blocks:
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()
