"""Define every error that this project raises on purpose.

PipelineError
├ StorageError         a file cannot be written: the disk is full or the folder read-only
├ LakeError            a table, data file or commit of the lake is not what it should be
│ └ CommitConflict     another writer committed the same unit of work first
├ CatalogueError       a query or view failed, or the catalogue file cannot be read
├ ManifestError        a corpus is not laid out as its reader expects
├ ConfigurationError   options that contradict each other or name something unknown
├ DependencyError      a library, weight or data file is missing; names the command that fixes it
├ StageError           a shard failed; names the stage, the shard and the cause
├ TrainingError        a training set, engine or metric is unusable
└ CheckpointError      a checkpoint does not match its codec, phoneme table or shape

Bad data is a row with a `drop_reason`, a bad world is one of these, bad code is an `assert`.
A message is one sentence: what happened, to which id or file, and what to do about it.
"""

from collections.abc import Iterable


class PipelineError(Exception):
    """Root of all errors; the command line prints its message as one sentence."""


class StorageError(PipelineError):
    """A file cannot be written: the disk is full or the folder read-only."""


class LakeError(PipelineError):
    """A table, data file or commit of the lake is not what it should be."""


class CommitConflict(LakeError):
    """Another writer has committed the same unit of work first; nothing was written."""


class CatalogueError(PipelineError):
    """A query or view failed, or the catalogue file cannot be read."""


class ManifestError(PipelineError):
    """A corpus is not laid out as its reader expects."""


class ConfigurationError(PipelineError):
    """Options contradict each other or name something unknown."""


class DependencyError(PipelineError):
    """A library, weight or data file is missing; the message names the command that fixes it."""


class StageError(PipelineError):
    """A shard failed; the message names the stage, the shard and the cause."""


class TrainingError(PipelineError):
    """A training set, engine or metric is unusable."""


class CheckpointError(PipelineError):
    """A checkpoint does not match its codec, phoneme table or shape."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> ConfigurationError:
    """Return the error for a name of some kind that is none of `choices`."""
    return ConfigurationError(f"Unknown {kind} {name!r}; choose one of {', '.join(choices)}.")
