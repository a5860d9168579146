"""The tables and plots of `valle stats` as a flow."""

from pathlib import Path

from prefect import flow

from flows.parameters import CorpusReportParameters
from flows.runtime.artifacts import publish_report
from flows.runtime.notices import notify
from valle.statistics.corpus_report import corpus_report as write_corpus_report
from warehouse.catalogue.views import connect, named_query, run_query


@flow(name="corpus-report", flow_run_name="corpus-report")
def corpus_report(parameters: CorpusReportParameters) -> Path:
    """Report on all corpora: hours, licences, drops, durations, quality, codebook use, throughput."""
    root = parameters.data_root
    with connect(root.lake.snapshot()) as connection:
        report = write_corpus_report(lambda name: run_query(connection, named_query(name).sql), root.reports / "corpus")
    root.catalogue.refresh()
    publish_report("corpus", report.markdown_path, [plot.path for plot in report.plots])
    notify("Report: %s", report.markdown_path)
    return report.markdown_path
