"""Weights and configuration of e-c-k-e-r/vall-e: the commands of `valle import`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import FIELDS, say
from warehouse.errors import ConfigurationError


class ImportWeightsOptions(BaseModel):
    """Options of `valle import weights`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the new run."""
    yaml: Path | None = None
    """YAML file of the weights, where the file itself has no configuration; by default the one of the same name."""
    lora: tuple[Path, ...] = ()
    """Files of adapters, which are added to the weights in this order."""
    era: str = "auto"
    """Sums of levels 2 and up: `until-2025-03` as the published weights, `since-2025-03`, or `auto`, where a sentence
    chooses."""
    sentence: Path | None = None
    """Container of codes with phonemes (.enc), or a recording with --text: the era with the smaller loss is chosen."""
    text: str = ""
    """Text of the recording."""
    language: str = "en"
    """ISO 639-1 code of the recording."""
    codec: str | None = None
    """Codec of the weights; by default EnCodec at 24 kHz."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def import_weights(
    file: Annotated[Path, Parameter(help="File of weights: .sft or .pth.")],
    /,
    *,
    options: Annotated[ImportWeightsOptions, FIELDS],
) -> int:
    """Make a run of a file of weights of e-c-k-e-r/vall-e; `valle speak --run NAME` speaks with it."""
    from valle.codec import codec_spec
    from valle.codec.catalogue import ENCODEC
    from valle.data_root import open_data_root
    from valle.interchange.weights.description import parse_era
    from valle.interchange.weights.importing import convert, open_weights, save_import
    from valle.interchange.weights.sentence import read_sentence
    from valle.phonemes.pieces import piece_table

    era = parse_era(options.era)
    codec = codec_spec(options.codec or ENCODEC)
    weights = open_weights(file, config=options.yaml, adapters=options.lora)
    sentence = None
    if options.sentence is not None:
        table = piece_table(weights.strings)
        sentence = read_sentence(options.sentence, options.text, options.language, table=table, codec=codec)
    model = convert(weights, codec, era, sentence)
    run_dir = open_data_root(options.data).runs / options.name
    checkpoint = save_import(model, codec, run_dir, options.name)
    say(f"Sums {model.era.era}: {model.era.reason}.")
    if model.converted.unused:
        say(f"Left out, since no task uses them: {', '.join(model.converted.unused)}.")
    say(f"{checkpoint}: `valle speak --run {options.name}` speaks with it.")
    return 0


class ImportAdapterOptions(BaseModel):
    """Options of `valle import adapter`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of the imported run that the adapter is for."""
    out: Path
    """New file for `valle speak --lora`."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def import_adapter(
    file: Annotated[Path, Parameter(help="File of an adapter: .sft or .pth.")],
    /,
    *,
    options: Annotated[ImportAdapterOptions, FIELDS],
) -> int:
    """Make an adapter of an imported run of a file of e-c-k-e-r/vall-e; `valle speak --lora` uses it."""
    from valle.checkpoints.runs import newest_checkpoint
    from valle.data_root import open_data_root
    from valle.interchange.weights.adapter import write_imported_adapter

    checkpoint = newest_checkpoint(open_data_root(options.data).runs, options.run)
    write_imported_adapter(file, checkpoint.resolve(), options.out)
    say(f"{options.out}: `valle speak --run {options.run} --lora {options.out}` speaks with it.")
    return 0


class VerifyOptions(BaseModel):
    """Options of `valle import verify`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    fixtures: Path | None = None
    """Folder of numbers that the original program computed with this file."""
    yaml: Path | None = None
    """YAML file of the weights, where the file itself has no configuration."""
    text: str = "The birch canoe slid on the smooth planks."
    """Sentence that is spoken without fixtures."""
    era: str = "auto"
    """Sums of levels 2 and up, as in `valle import weights`."""
    codec: str | None = None
    """Codec of the weights; by default EnCodec at 24 kHz."""


def verify(
    file: Annotated[Path, Parameter(help="File of weights: .sft or .pth.")],
    /,
    *,
    options: Annotated[VerifyOptions, FIELDS] = VerifyOptions(),
) -> int:
    """Compare weights with what the original program computes, or speak a sentence; 1 when a tolerance is missed."""
    from valle.codec import codec_spec
    from valle.codec.catalogue import ENCODEC
    from valle.interchange.verify.fixtures import verify_fixtures
    from valle.interchange.verify.report import lines_of
    from valle.interchange.verify.spoken import speak_once
    from valle.interchange.weights.description import parse_era

    codec = codec_spec(options.codec or ENCODEC)
    if options.fixtures is None:
        spoken = speak_once(file, options.text, codec, parse_era(options.era), config=options.yaml)
        for line in spoken.lines:
            say(line)
        return 0
    report = verify_fixtures(file, options.fixtures, codec, options.yaml)
    for line in lines_of(report):
        say(line)
    return 0 if report.is_within_tolerance else 1


class ImportConfigOptions(BaseModel):
    """Options of `valle import config`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    out: Path = Path("train.yaml")
    """New file with the options of `valle train`."""


def import_config(
    file: Annotated[Path, Parameter(help="Their config.yaml.")],
    /,
    *,
    options: Annotated[ImportConfigOptions, FIELDS] = ImportConfigOptions(),
) -> int:
    """Print their keys, ours, and what has no counterpart, and write the options of `valle train`."""
    from valle.interchange.config import read_config, write_options

    if options.out.exists():
        raise ConfigurationError(f"{options.out} exists; choose another name by --out.")
    lines = read_config(file)
    for line in lines:
        ours = ", ".join(f"{name} = {value}" for name, value in line.ours.items())
        say(f"{line.key} = {line.value}: {ours or 'no counterpart'}")
    elsewhere = write_options(lines, options.out)
    say(f"{options.out}: options of `valle train --config {options.out}`.")
    for option in elsewhere:
        say(f"For `valle prepare` and `valle select`: {option}")
    return 0
