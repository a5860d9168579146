"""Push and pull of folders: to the Hugging Face hub, or to a folder by a `file://` address."""

import shutil
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlparse

from warehouse.errors import PipelineError

RepositoryKind = Literal["model", "dataset"]
_FILE = "file://"


class HubError(PipelineError):
    """A repository cannot be read or written."""


def push_folder(folder: Path, target: str, kind: RepositoryKind, *, private: bool = True) -> str:
    """Upload a folder to a repository, which is created where it does not exist; return its address.

    Raises HubError when the hub refuses or cannot be reached.
    """
    if target.startswith(_FILE):
        out = _local(target)
        _copy(folder, out)
        return str(out)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(target, repo_type=kind, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=target, folder_path=folder, repo_type=kind))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise HubError(f"{target} cannot be written ({_reason(error)}); log in by `hf auth login`.") from error


def pull_folder(source: str, out: Path, kind: RepositoryKind, *, revision: str | None = None) -> None:
    """Download a repository to the new folder `out`. Raises HubError when it cannot be read."""
    if out.exists():
        raise HubError(f"{out} exists; choose another name.")
    if source.startswith(_FILE):
        _copy(_local(source), out)
        return
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(source, repo_type=kind, revision=revision, local_dir=out)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        shutil.rmtree(out, ignore_errors=True)
        raise HubError(f"{source} cannot be read ({_reason(error)}); check its name and the network.") from error


def _local(address: str) -> Path:
    return Path(unquote(urlparse(address).path))


def _copy(folder: Path, out: Path) -> None:
    try:
        shutil.copytree(folder, out, dirs_exist_ok=True)
    except OSError as error:
        raise HubError(f"{folder} cannot be copied to {out} ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
