"""What devices answer and whether they agree, in a sentence."""

from console.analysis.edge import CLOUD, DEVICE, Agreement, Reason, Totals, latency_of, side
from console.formats import ms, share, short
from console.telemetry import Table

FEW = 100
"Comparisons below which agreement is said to rest on few."


def sentence(answers: Table, totals: Totals, reasons: list[Reason], agreement: Agreement | None) -> str:
    """The view's answer."""
    if not totals.n_answers:
        return "No device has reported in this range; RECSERVE_EDGE lets devices fetch a bundle and answer."
    said = f"Devices answered {share(totals.device_share)} of {short(totals.n_answers)} recommendations"
    device, cloud = (latency_of(side(answers, name), 0.5) for name in (DEVICE, CLOUD))
    if device:
        said += f" in {ms(device.value_ms)} at the median"
        said += f", where the cloud took {ms(cloud.value_ms)}" if cloud else ""
    said += f"; {_agreed(agreement)}."
    handed = [each for each in reasons if each.answered_by != DEVICE]
    if handed:
        first = handed[0]
        said += f" Most went to the cloud because {_clause(first)} ({share(first.share)} of all)."
    return said


def _agreed(agreement: Agreement | None) -> str:
    if agreement is None:
        return "none of their lists was compared with the cloud's"
    few = f", from {short(agreement.n_compared)} comparisons only" if agreement.n_compared < FEW else ""
    return (
        f"they showed {share(agreement.overlap)} of the cloud's items "
        f"({share(agreement.overlap_low)} to {share(agreement.overlap_high)}{few})"
    )


def _clause(reason: Reason) -> str:
    """The reason so that it follows `because`."""
    words = reason.meaning.words
    return {
        "no_bundle": f"there was {words}",
        "rules": f"they wanted {words}",
    }.get(reason.name, words if " " in words else f"of {words}")
