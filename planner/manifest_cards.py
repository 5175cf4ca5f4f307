"""Model cards: quality and bare latency of each variant, from a models directory's manifest.

The planner never imports the serving package's models, so it reads the few fields it needs.
"""

from pathlib import Path

import msgspec

from planner.measurements import Card, MeasurementsError


class _Metrics(msgspec.Struct, frozen=True):
    ndcg: dict[str, float]


class _Measurement(msgspec.Struct, frozen=True):
    latency_ms: dict[str, float]


class _Variant(msgspec.Struct, frozen=True):
    name: str
    metrics: _Metrics
    measurement: _Measurement


class _Manifest(msgspec.Struct, frozen=True):
    ladder: tuple[_Variant, ...]
    serving: tuple[str, ...]


def read_cards(path: Path) -> tuple[tuple[Card, ...], tuple[str, ...]]:
    """Every shipped variant, best first, and the names of those that are served.

    Raises:
        MeasurementsError: there is no manifest, or it is none.
    """
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except OSError as err:
        raise MeasurementsError(
            f"cannot read manifest {str(path)!r}: {err.strerror}; name one with --manifest"
        ) from err
    except msgspec.DecodeError as err:
        raise MeasurementsError(f"{path} is no manifest: {err}; name one with --manifest") from err
    cards = tuple(
        Card(
            name=variant.name,
            ndcg_10=variant.metrics.ndcg.get("10"),
            latency_ms=variant.measurement.latency_ms,
        )
        for variant in manifest.ladder
    )
    return cards, manifest.serving
