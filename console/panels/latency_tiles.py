"""The latency view's figures: percentiles, what is over the SLO, the slowest request."""

from console.analysis.latency import FEWEST, GROWTH, overall, value_of
from console.analysis.quantiles import quantiles_over_time, share_above, shares_above_over_time
from console.formats import apart, ms, share, short
from console.pieces import Tile, Tone
from console.scope import Scope, link_to
from console.settings import settings
from console.telemetry import Table


def figures(scope: Scope, histogram: Table, slowest: Table, n_effective: float) -> list[Tile]:
    """The tiles.

    Args:
        histogram: answer to `latency_histogram`, with rows.
        slowest: answer to `slow_requests`.
        n_effective: requests of equal weight that would tell as much.
    """
    slo_ms, target = settings().slo_ms, settings().slo_share
    times, buckets, counts = (histogram[name] for name in ("interval_start", "bucket", "n_requests"))
    figures = []
    for label, at in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        found = overall(histogram, at)
        value, unit = apart(ms(value_of(found)))
        over = value_of(found) - slo_ms
        delta = f"{ms(abs(over))} {'over' if over > 0 else 'inside'} the SLO"
        tone: Tone = "bad" if over > 0 else "good"
        if label == "p99" and n_effective < FEWEST:
            delta, tone = "too few requests to be sure", "quiet"
        figures.append(
            Tile(
                label,
                value,
                unit=unit,
                delta=delta,
                tone=tone,
                spark=quantiles_over_time(times, buckets, counts, at, growth=GROWTH).tolist(),
                help="Of answered requests, weighted for those that were not kept.",
            )
        )
    over_share = share_above(buckets, counts, slo_ms, growth=GROWTH)
    figures.append(
        Tile(
            "Slower than the SLO",
            *apart(share(over_share)),
            delta=f"{share(1 - target)} are allowed",
            tone="bad" if over_share > 1 - target else "good",
            spark=shares_above_over_time(times, buckets, counts, slo_ms, growth=GROWTH).tolist(),
        )
    )
    if slowest.n_rows:
        first = slowest.rows()[0]
        value, unit = apart(ms(first["duration_ms"]))
        figures.append(
            Tile(
                "Slowest",
                value,
                unit=unit,
                delta=f"at {first['at']:%H:%M:%S}: open its trace",
                tone="info",
                href=link_to("trace", scope, trace=first["trace"]),
            )
        )
    figures.append(
        Tile(
            "Answered",
            short(counts.sum()),
            delta="requests in this range",
            help="What the kept ones stand for.",
        )
    )
    return figures
