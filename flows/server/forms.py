"""Forms that offer what exists: choices and the order of options in the parameter schemas of the deployments.

Prefect writes the schema of a flow's parameters when it deploys the flow. This module adds what only the data root
has: names of training sets, runs and corpora as the values of an `enum`, which the UI shows as a list. `valle up` and
the flows that make one of them keep it up to date. The UI orders fields by `position` at each level.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import deployment

from flows.runtime.form_heading import FURTHER
from flows.runtime.where import run_logger
from valle.checkpoints.runs import EMBEDDED
from valle.codec import codec_names
from valle.data_root import DataRoot, open_data_root
from valle.model.config import PRESETS
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import PipelineError

Choices = Mapping[str, tuple[str, ...]]
"""Names that exist, by what they name."""

TRAINING_SETS, RUNS, CORPORA, SIZES, CODECS = "training sets", "runs", "corpora", "sizes", "codecs"
NO_CHOICES: Choices = dict.fromkeys((TRAINING_SETS, RUNS, CORPORA, SIZES, CODECS), ())
# Fields that name something that exists, by class of the parameters. The run of a training is none: it may be new.
_NAMING = {
    ("TrainParameters", "training_set"): TRAINING_SETS,
    ("SweepParameters", "training_set"): TRAINING_SETS,
    ("TrainCodecParameters", "training_set"): TRAINING_SETS,
    ("EvaluateParameters", "run"): RUNS,
    ("SpeechTaskParameters", "run"): RUNS,
    ("TrainSettings", "model"): SIZES,
    ("SelectParameters", "codec"): CODECS,
    **{
        (f"{stage}Parameters", "corpus"): CORPORA
        for stage in ("Segment", "Transcribe", "Align", "Phonemize", "Quality", "Speakers", "Quantize", "Mix")
    },
}
FIRST = (
    "model", "start_from", "max_steps", "max_seconds", "batch_tokens", "learning_rate", "optimizer", "precision",
    "engine", "processes",
)  # fmt: skip
"""Options of a training that people change first; the others are under one heading."""
_MOST_DEPLOYMENTS = 200


def find_choices(root: DataRoot) -> Choices:
    """Return what exists in a data root; a corpus exists when it has sources."""
    return {
        TRAINING_SETS: _names(path.parent.name for path in root.training_sets.glob("*/set.json")),
        RUNS: _names([EMBEDDED, *(path.parent.name for path in root.runs.glob("*/checkpoints"))]),
        CORPORA: _names(_column(root, "SELECT DISTINCT corpus FROM sources")),
        SIZES: tuple(PRESETS),
        # Corpora of codes bring codecs of their own.
        CODECS: _names([*codec_names(), *_column(root, "SELECT DISTINCT split_part(codec, '@', 1) FROM codes")]),
    }


def _column(root: DataRoot, sql: str) -> list[str]:
    with connect(root.lake.snapshot(), tables_only=True) as connection:
        return [name for name in run_query(connection, sql).column(0).to_pylist() if name]


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def form_schema(
    schema: Mapping[str, Any], choices: Choices, parameters: Mapping[str, Any], *, keeps: bool = False
) -> dict[str, Any]:
    """Return the schema with choices and order, beside its earlier choices where it `keeps` them. Safe to repeat.

    A value that the deployment itself declares in `parameters` stays a choice: the server refuses a deployment whose
    own values its schema does not allow.
    """
    made = deepcopy(dict(schema))
    declared = parameters.get("parameters") or {}
    for (title, name), kind in _NAMING.items():
        field = made.get("definitions", {}).get(title, {}).get("properties", {}).get(name)
        # A field that may be empty has its text as the first of several types.
        field = _text_of(field) if field is not None else None
        if field is None:
            continue
        own = declared.get(name)
        found = _names([*choices[kind], *([own] if isinstance(own, str) else [])])
        if field.get("default") is not None:
            found = _names([*found, field["default"]])
        earlier = field.pop("enum", [])
        if choices[kind]:
            field["enum"] = list(_names([*found, *(earlier if keeps else [])]))
    if "TrainSettings" in made.get("definitions", {}):
        _group_options(made["definitions"])
    return made


def _text_of(field: dict[str, Any]) -> dict[str, Any]:
    texts = (one for one in field.get("anyOf", ()) if one.get("type") == "string")
    return next(texts, field)


def _group_options(definitions: dict[str, Any]) -> None:
    """Put the options of a training but the first ones into an object of their own, as which the form folds them."""
    settings = definitions["TrainSettings"]
    properties = settings["properties"]
    if FURTHER in properties:
        return
    first = {name: properties[name] | {"position": place} for place, name in enumerate(FIRST)}
    rest = {name: field for name, field in properties.items() if name not in FIRST}
    further = {
        "type": "object",
        "title": "Further options",
        "description": "Options that most trainings leave as they are.",
        "position": len(FIRST),
        "properties": {name: field | {"position": place} for place, (name, field) in enumerate(rest.items())},
    }
    settings["properties"] = first | {FURTHER: further}
    # Callers that are no form still give every option by its own name.
    settings.pop("additionalProperties", None)
    for parameters in definitions.values():
        options = parameters.get("properties", {}).get("options", {})
        if options.get("$ref", "").endswith("/TrainSettings"):
            # Defaults of all options as values of the form would be sent back by it, flat.
            options.pop("default", None)


def update_forms(client: SyncPrefectClient, choices: Choices, *, keeps: bool = False) -> tuple[str, ...]:
    """Update the deployments whose form differs; returns their names. See `form_schema`."""
    changed = []
    for found in client.read_deployments(limit=_MOST_DEPLOYMENTS):
        before = found.parameter_openapi_schema or {}
        after = form_schema(before, choices, found.parameters, keeps=keeps)
        if after != before:
            client.update_deployment(found.id, DeploymentUpdate(parameter_openapi_schema=after))
            changed.append(found.name)
    return tuple(changed)


def offer_what_exists(root: DataRoot) -> None:
    """Update the forms after a flow made something new; nothing without a deployment.

    The flow has done its work by then, so an error of the server is a warning. What another data root has is added,
    since the server refuses a run of a trigger with a name that is no choice.
    """
    if deployment.id is None:
        return
    is_other = root.root != open_data_root().root
    try:
        with get_client(sync_client=True) as client:
            update_forms(client, find_choices(root), keeps=is_other)
    except (PrefectHTTPStatusError, PipelineError, OSError) as error:
        run_logger().warning("The choices of the forms are not up to date (%s); `valle up` updates them.", error)
