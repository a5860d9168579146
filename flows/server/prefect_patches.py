"""Which events the server keeps in its database.

Prefect 3 tells the server of every state of a task by an event. A recorder makes the runs and states of tasks from
them, automations hear them, and then they are stored once more as they are, which was four fifths of what a task left
in the database. Here events that repeat what other tables say, or that say that nothing has changed, are heard by
everybody and not stored. All others are: states of flow runs, and the ones that the chain of deployments is made of.
"""

from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.events.services import event_persister
from prefect.server.events.storage.database import write_events
from sqlalchemy.ext.asyncio import AsyncSession

NOT_KEPT = ("prefect.task-run.", "prefect.flow-run.heartbeat", "prefect.artifact.updated")
"""How the names begin of events that are not stored."""


async def write_kept_events(session: AsyncSession, events: list[ReceivedEvent]) -> None:
    """Write the events that are kept, as `write_events` writes all of them."""
    await write_events(session=session, events=[event for event in events if not event.event.startswith(NOT_KEPT)])


def keep_few_events() -> None:
    """Let the server of this process store the events that are kept, and no others."""
    vars(event_persister)["write_events"] = write_kept_events
