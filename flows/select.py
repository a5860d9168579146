"""Selection of a training set as a flow."""

from prefect import flow

from flows.parameters import SelectParameters
from flows.runtime.artifacts import publish_markdown
from flows.runtime.events import announce
from flows.server.forms import offer_what_exists
from valle.codec import spec_of_given_codes
from valle.data.selection.select import select as select_set
from valle.data.selection.training_set import TrainingSetCard
from valle.phonemes import phoneme_table
from valle.reporting import markdown_rows


@flow(name="select", flow_run_name="select {parameters.selection.name}")
def select(parameters: SelectParameters) -> TrainingSetCard:
    """Select a training set by SQL and export its Lhotse manifests."""
    root = parameters.data_root
    training_set = select_set(
        parameters.selection,
        root,
        codec=spec_of_given_codes(parameters.codec),
        phoneme_symbols=phoneme_table().symbols,
    )
    root.catalogue.refresh()
    card = training_set.card
    publish_markdown(f"training set {card.name}", _describe(card), card.id)
    offer_what_exists(root)  # before a trigger starts a training on the set
    announce("select", training_set.card.name, root, sum(training_set.card.utterances.values()))
    return training_set.card


def _describe(card: TrainingSetCard) -> str:
    splits = [(split, card.utterances[split], f"{card.hours[split]:.2f}") for split in card.utterances]
    licences = [(licence, f"{hours:.2f}") for licence, hours in card.licences.items()]
    return "\n".join(
        [
            f"# Training set {card.id}",
            "",
            f"`{card.where}`, weights `{card.weight}`, codec {card.codec.label}",
            "",
            markdown_rows(("split", "utterances", "hours"), splits, numeric=(False, True, True)),
            "",
            markdown_rows(("licence", "hours"), licences, numeric=(False, True)),
            "",
            f"Next: `valle train --training-set {card.name} --run NAME`",
        ]
    )
