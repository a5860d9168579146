"""The pipeline from raw audio to codes as one flow: ingest, then every stage in order."""

from prefect import flow

from flows.ingest import ingest_corpus
from flows.parameters import PrepareParameters
from flows.runtime.artifacts import publish_card, publish_shard_reports
from flows.runtime.events import announce
from flows.runtime.runner import run_stage
from flows.server.forms import offer_what_exists
from warehouse.catalogue.views import connect
from warehouse.shard_runs import ShardReport


@flow(name="prepare", flow_run_name="prepare {parameters.corpus.name}")
def prepare(parameters: PrepareParameters) -> list[ShardReport]:
    """Prepare a corpus from raw audio to codes; run only what is missing."""
    corpus, root = parameters.corpus.name, parameters.data_root
    reports = ingest_corpus(parameters)
    for stage in parameters.stages_in_order():
        reports += run_stage(stage, corpus, root, parameters.workers)
    root.catalogue.refresh()
    if reports:
        _report(parameters, reports)
    offer_what_exists(root)
    announce("prepare", corpus, root, sum(report.rows_out for report in reports))
    return reports


def _report(parameters: PrepareParameters, reports: list[ShardReport]) -> None:
    # Matplotlib takes a second to import, and a run with nothing to do draws nothing.
    from valle.statistics.prepared import corpus_plots, coverage_table

    corpus, root = parameters.corpus.name, parameters.data_root
    with connect(root.lake.snapshot()) as connection:
        coverage = coverage_table(connection, corpus)
        plots = corpus_plots(connection, corpus, root.reports / f"prepare-{corpus}")
    sections = [publish_card(parameters.corpus.kind)]
    if coverage:
        sections = [f"## Coverage of {corpus}", coverage, *sections]
    publish_shard_reports(
        f"prepare {corpus}",
        reports,
        folder=root.reports,
        sections=sections,
        plots=plots,
        next_step="`valle stats` for all corpora, then `valle select` for a training set",
    )
