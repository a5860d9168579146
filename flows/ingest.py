"""Ingestion as a flow: list new sources of a corpus, read them shard by shard, write Lhotse manifests."""

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from flows.parameters import CorpusChoice, IngestParameters
from flows.runtime.artifacts import publish_shard_reports
from flows.runtime.events import announce
from flows.runtime.runner import FutureReports, Work, label_of, run_all, run_each, task_runner, tasks_of
from flows.runtime.where import run_id
from flows.server.forms import offer_what_exists
from manifests.corpus import CODES_KINDS
from valle.data_root import DataRoot
from valle.stages.ingest import export_manifests, ingest_shard, plan_ingest
from warehouse.shard_runs import ShardReport


@task(
    task_run_name="ingest {label}",
    retries=3,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def ingest_task(
    label: str, choice: CorpusChoice, shards: tuple[str, ...], root: DataRoot, run: str
) -> list[ShardReport]:
    """Read the sources of shards."""
    corpus = choice.open()
    return run_each(lambda shard: ingest_shard(corpus, shard=shard, lake=root.lake, run_id=run), shards)


@flow(name="ingest", flow_run_name="ingest {parameters.corpus.name}", validate_parameters=True)
def ingest(parameters: IngestParameters) -> list[ShardReport]:
    """Read the new sources of a corpus into the tables of sources and recordings."""
    reports = ingest_corpus(parameters)
    root = parameters.data_root
    root.catalogue.refresh()
    offer_what_exists(root)  # before triggers start the stages of the corpus
    announce("ingest", parameters.corpus.name, root, sum(report.rows_out for report in reports))
    return reports


def ingest_corpus(parameters: IngestParameters) -> list[ShardReport]:
    """Ingest a corpus within a flow that does more."""
    choice, root = parameters.corpus, parameters.data_root
    corpus = choice.open()
    plan = plan_ingest(corpus, root.lake)
    run = run_id()
    with task_runner(parameters.workers) as runner:

        def submit(shards: tuple[str, ...], _wait: bool) -> FutureReports:
            arguments = {"label": label_of(shards), "choice": choice, "shards": shards, "root": root, "run": run}
            return runner.submit(ingest_task, arguments)

        work = [
            Work(label=label_of(shards), shards=shards, audio_seconds=0.0, submit=submit)
            for shards in tasks_of(plan.shards)
        ]
        reports = run_all(f"ingest {choice.name}", work, width=parameters.workers.width)
    # Lhotse's manifests name audio, which a corpus of codes lacks.
    if (reports or plan.is_moved) and choice.kind not in CODES_KINDS:
        export_manifests(choice.name, root.lake, root.manifests)
    if reports:
        publish_shard_reports(f"ingest {choice.name}", reports, folder=root.reports)
    return reports
