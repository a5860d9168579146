"""The road from raw audio to codes as one flow: ingest, then every stage in order."""

from prefect import flow

from flows.ingest import ingest_corpus
from flows.parameters import PrepareParameters
from flows.report import publish_receipts
from flows.stages import run_stage
from valle.stages.shard import Receipt
from warehouse.catalogue import NewestCatalogue, refresh


@flow(name="prepare", flow_run_name="prepare {parameters.corpus.name}")
def prepare(parameters: PrepareParameters) -> list[Receipt]:
    """Take a corpus all the way from raw audio to codes; does only what is missing."""
    corpus, root = parameters.corpus.name, parameters.place
    receipts = ingest_corpus(parameters)
    catalogue = NewestCatalogue(root.lake)
    for stage in parameters.stages.in_order():
        receipts += run_stage(stage, corpus, root, parameters.workers, catalogue)
    refresh(root.lake, root.catalogue)
    if receipts:
        publish_receipts(f"prepare {corpus}", receipts, next_step="`valle stats`, then `valle select`")
    return receipts
