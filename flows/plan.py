"""Dry run of `prepare` as a flow."""

from prefect import flow

from flows.parameters import PlanParameters
from flows.runtime.artifacts import publish_markdown
from valle.reporting import markdown_table
from valle.stages.ingest import find_unread
from valle.statistics.dry_run import Forecast, forecast


@flow(name="plan", flow_run_name="plan {parameters.corpus.name}")
def plan(parameters: PlanParameters) -> Forecast:
    """Forecast the work, time and bytes of `prepare` with these parameters; write nothing to the lake."""
    choice, lake = parameters.corpus, parameters.data_root.lake
    corpus = choice.open()
    found = forecast(
        parameters.stages_in_order(),
        choice.name,
        lake,
        unread=find_unread(corpus, lake),
    )
    publish_markdown(f"plan {choice.name}", _describe(found, parameters), f"What prepare would do on {choice.name}")
    return found


def _describe(found: Forecast, parameters: PlanParameters) -> str:
    width = parameters.workers.slots
    lines = [
        f"# What prepare would do on {found.corpus}",
        markdown_table(found.table(width=width)),
        f"Times are for {width} at a time, as fast as the reports of this lake say.",
        *found.notes,
    ]
    return "\n\n".join(lines) + "\n"
