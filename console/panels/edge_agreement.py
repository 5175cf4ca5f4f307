"""Whether devices show what the cloud would."""

from console.analysis.edge import Agreement, agreement_over_time
from console.asking import Answer
from console.charts.edge import agreement_lines
from console.formats import share, short
from console.page import current_palette, echart, panel
from console.panels.edge_finding import FEW
from console.scope import Scope
from console.telemetry import Table


def show_agreement(scope: Scope, answer: Answer, agreement: Agreement | None) -> None:
    """Draw how alike the lists are over time, `edge_agreement`."""

    def draw(table: Table) -> None:
        echart(
            agreement_lines(agreement_over_time(table), current_palette(), scope.interval),
            key="edge-agreement",
            height=210,
            label="Overlap of the lists of devices with the cloud's over time",
        )

    panel(
        _title(agreement),
        answer,
        draw,
        key="edge-agreement",
        unit="% of lists of ten",
        note=_note(agreement),
        empty="Nothing was compared. Devices that are set to do so ask the cloud for one of fifty of their answers.",
        csv=lambda: agreement_over_time(answer.table).csv(),
    )


def _title(agreement: Agreement | None) -> str:
    if agreement is None:
        return "Do devices and the cloud agree?"
    overlap, identical = share(agreement.overlap), share(agreement.identical)
    return f"Devices showed {overlap} of the cloud's items; {identical} of the lists were identical"


def _note(agreement: Agreement | None) -> str:
    said = "A device answers with the bundle's rung, the cloud with the one it serves: they need not be the same."
    if agreement is None:
        return said
    low, high = share(agreement.identical_low), share(agreement.identical_high)
    few = " That is few." if agreement.n_compared < FEW else ""
    return f"{said} {short(agreement.n_compared)} compared; identical {low} to {high}, 95 % interval.{few}"
