"""Who pays: the bill's instances, shared out by the work that each variant gave them."""

from dataclasses import dataclass

import numpy as np

from console.analysis.bill import TELEMETRY, Bill
from console.telemetry import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """A variant of one version."""

    variant: str
    version: str
    n_answers: float
    answer_share: float
    compute_ms: float
    "Of one answer: its share of a model run, ranking and encoding."
    compute_share: float
    "Of all computing."
    month_usd: float | None
    usd_per_1000: float | None


def payers_of(bill: Bill, work: Table) -> tuple[Payer, ...]:
    """Variants by what they cost, dearest first.

    Instances are shared out by computing time, busy and idle ones alike, since they stand there for all; telemetry by
    answers.

    Args:
        bill: of the same stretch.
        work: answer to `variant_work`.
    """
    if not work.n_rows:
        return ()
    n_answers, compute_ms = np.nan_to_num(work["n_requests"]), np.nan_to_num(work["compute_ms"])
    n_all, compute_all = n_answers.sum(), compute_ms.sum()
    if not n_all:
        return ()
    answer_shares = n_answers / n_all
    compute_shares = compute_ms / compute_all if compute_all else answer_shares
    telemetry = bill.month_usd_of(TELEMETRY)
    payers = []
    for place, (variant, version) in enumerate(
        zip(work["variant"].tolist(), work["version"].tolist(), strict=True)
    ):
        month_usd = usd_per_1000 = None
        if bill.month_usd is not None:
            month_usd = (bill.month_usd - telemetry) * compute_shares[place] + telemetry * answer_shares[
                place
            ]
        if bill.usd_per_1000 is not None and bill.month_usd and month_usd is not None:
            n_month = 1000 * bill.month_usd / bill.usd_per_1000
            usd_per_1000 = (
                1000 * month_usd / (n_month * answer_shares[place]) if answer_shares[place] else None
            )
        payers.append(
            Payer(
                variant=variant or "not known",
                version=version or "",
                n_answers=float(n_answers[place]),
                answer_share=float(answer_shares[place]),
                compute_ms=float(compute_ms[place] / n_answers[place]) if n_answers[place] else 0.0,
                compute_share=float(compute_shares[place]),
                month_usd=None if month_usd is None else float(month_usd),
                usd_per_1000=None if usd_per_1000 is None else float(usd_per_1000),
            )
        )
    return tuple(sorted(payers, key=lambda payer: -payer.compute_share))
