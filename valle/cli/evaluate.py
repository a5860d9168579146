"""`valle evaluate`: the flow that measures a system, and commands about stored scores, which need no flow."""

from typing import Annotated

from cyclopts import App

from flows.parameters import EvaluateParameters
from valle.cli.arguments import FIELDS, say
from valle.cli.flow import prefect_session, show_result

app = App(name="evaluate", help="Measure WER and SIM-O of a checkpoint, a folder or a command.")
app.command("valle.cli.evaluate_aggregate:aggregate", name="aggregate", help="Score tables of transcripts.")
app.command("valle.cli.compare:compare", name="compare", help="Compare two systems of the lake.")
app.command("valle.cli.evaluate_doctor:doctor", name="doctor", help="Check the metric models on clips of known scores.")


@app.default
def evaluate(*, options: Annotated[EvaluateParameters | None, FIELDS] = None) -> int:
    """Measure WER and SIM-O of a checkpoint, a folder or a command."""
    options = options or EvaluateParameters()
    from valle.backends.registry import Backends
    from valle.evaluation.resolve import find_finished_report

    # Stored scores are found in a second; Prefect is not imported for them.
    backends = Backends(options.workers.device, options.workers.threads)
    report = find_finished_report(options, options.data_root, backends)
    if report is not None:
        say(f"Nothing to do, the scores are in the lake. {report.summary}. Report: {report.markdown_path}")
        return 0
    with prefect_session(options):
        from flows.evaluate import evaluate as flow

        return show_result(flow(options))
