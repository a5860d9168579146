"""The lines that `valle import verify` prints."""

from collections.abc import Iterator

from valle.interchange.verify.fixtures import FixtureReport
from valle.interchange.verify.modes import TOLERANCE, ModeDifference


def lines_of(report: FixtureReport) -> Iterator[str]:
    """Yield the report line by line."""
    for era, modes in report.modes.items():
        yield f"Logits, {era}: largest absolute difference (tolerance {TOLERANCE:g})"
        yield from (f"  {_mode_line(mode)}" for mode in modes)
    if report.traces:
        compared = [trace for trace in report.traces if trace.is_equal is not None]
        yield f"Greedy traces: {sum(bool(trace.is_equal) for trace in compared)} of {len(compared)} equal"
        yield from (f"  {trace.name}: different" for trace in compared if not trace.is_equal)
        skipped = [trace for trace in report.traces if trace.is_equal is None]
        yield from (f"  {trace.name}: not compared, {trace.note}" for trace in skipped)
    if report.sentences:
        for source, others in (("their phonemes", report.other_sentences), ("their text", report.other_texts)):
            same = report.sentences - len(others)
            yield f"Sentences with the same ids from {source}: {same} of {report.sentences}"
            yield from (f"  {other.text}: {other.reason}" for other in others)
    yield f"Containers read: {report.containers}"
    yield f"HDF5 items read: {report.hdf5_items}"
    yield from (f"  {problem}" for problem in report.unreadable)
    yield "Within tolerance." if report.is_within_tolerance else "A tolerance is missed."


def _mode_line(mode: ModeDifference) -> str:
    if mode.largest is None:
        return f"{mode.mode:12} not compared: {mode.note or 'no array to compare'}"
    verdict = "" if mode.is_equal else "  DIFFERENT"
    return f"{mode.mode:12} {mode.largest:.2e} in {mode.compared} arrays{verdict}"
