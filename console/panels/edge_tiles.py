"""What devices answer, in figures."""

from console.analysis.edge import (
    CLOUD,
    DEVICE,
    Agreement,
    Bundle,
    Totals,
    latency_of,
    latency_over_time,
    shares_over_time,
    side,
    worst_stretch,
)
from console.formats import UNKNOWN, apart, ms, number, share, short
from console.panels.edge_finding import FEW
from console.pieces import Tile
from console.scope import Scope, link_to
from console.telemetry import Table

SIDES = {DEVICE: "device", CLOUD: "cloud"}


def figures(
    scope: Scope, answers: Table, totals: Totals, agreement: Agreement | None, bundles: list[Bundle]
) -> list[Tile]:
    """The tiles.

    Args:
        answers: answer to `edge_answers`.
    """
    over_time = shares_over_time(answers) if answers.n_rows else Table()
    latency = latency_over_time(answers) if answers.n_rows else Table()
    return [
        _share_tile(over_time, totals),
        *(_wait_tile(scope, answers, latency, name) for name in (DEVICE, CLOUD)),
        _rescue_tile(scope, answers, totals),
        _agreement_tile(agreement),
        _bundle_tile(bundles),
    ]


def _share_tile(over_time: Table, totals: Totals) -> Tile:
    spark = ()
    if over_time.n_rows:
        given = over_time["n_device"] + over_time["n_rescued"]
        spark = (given / (given + over_time["n_cloud"])).tolist()
    return Tile(
        "Answered by devices",
        *apart(share(totals.device_share)),
        delta=f"of {short(totals.n_answers)} answers" if totals.n_answers else "no reports",
        spark=spark,
        help="Of all answers that devices reported; who never loads the client is not among them.",
    )


def _wait_tile(scope: Scope, answers: Table, latency: Table, name: str) -> Tile:
    own = side(answers, name)
    p50, p95 = latency_of(own, 0.5), latency_of(own, 0.95)
    return Tile(
        f"p50 by the {SIDES[name]}",
        *apart(ms(p50.value_ms if p50 else None)),
        delta=f"p95 {ms(p95.value_ms)}" if p95 else "no answers",
        spark=latency[f"{name}_p50_ms"].tolist() if latency.n_rows else (),
        href=link_to("latency", scope) if name == CLOUD else "",
        help="As users saw it: with the way there and back. The cloud's own share of it is in the latency view."
        if name == CLOUD
        else "As users saw it; with the wait for a cloud that did not answer, where there was one.",
    )


def _rescue_tile(scope: Scope, answers: Table, totals: Totals) -> Tile:
    worst = worst_stretch(answers, scope.interval)
    n = totals.n_rescued
    return Tile(
        "Saved by the device",
        *apart(share(n / totals.n_answers) if totals.n_answers else UNKNOWN),
        delta=f"{short(n)} answers without the cloud"
        if n
        else "the cloud was never out of reach"
        if totals.n_answers
        else "no reports",
        tone="warn" if n else "good" if totals.n_answers else "quiet",
        href=link_to("overview", scope, since=worst[0], until=worst[1]) if worst else "",
        help="Offline, or the cloud was late, failed or refused. Opens the time with most of them."
        if worst
        else "",
    )


def _agreement_tile(agreement: Agreement | None) -> Tile:
    if agreement is None:
        return Tile("Same items as the cloud", UNKNOWN, delta="nothing compared")
    value, unit = apart(share(agreement.overlap))
    few = agreement.n_compared < FEW
    return Tile(
        "Same items as the cloud",
        value,
        unit,
        delta=f"{share(agreement.overlap_low)} to {share(agreement.overlap_high)}; "
        f"{short(agreement.n_compared)} compared",
        tone="warn" if few else "quiet",
        help=f"Mean overlap of the first ten, 95 % interval. {share(agreement.identical)} were identical.",
    )


def _bundle_tile(bundles: list[Bundle]) -> Tile:
    known = [each for each in bundles if each.is_version]
    if not known:
        return Tile("Newest bundle", UNKNOWN, delta="no bundle in the field" if bundles else "no reports")
    newest = known[0].version
    n_known = sum(each.n_answers for each in known)
    on_newest = sum(each.n_answers for each in known if each.version == newest) / n_known
    n_versions = len({each.version for each in known})
    return Tile(
        "On the newest bundle",
        *apart(share(on_newest)),
        delta=f"{number(n_versions)} version{'' if n_versions == 1 else 's'} in the field",
        help=f"Of the answers of devices that have one. The newest that reports is {newest}.",
    )
