"""The overview's answer: inside the SLO or not, and why, in a sentence."""

from collections.abc import Sequence

from console.analysis.slo import FEW, Kept, Promise
from console.analysis.tail import Contributor
from console.formats import number, share, short


def verdict(kept: Kept, promise: Promise, contributors: Sequence[Contributor], *, hour: Kept) -> str:
    """Whether the promise was kept in the range, and what was in its way.

    Args:
        kept: of the range.
        contributors: to the tail of the range, the worst first.
        hour: of the last hour.
    """
    if not kept.n_requests:
        return "There is no traffic in this range, so there is nothing to judge."
    promised = f"{share(promise.target)} promised within {promise.within_ms:g} ms"
    done = f"{_share(kept.share)} of {short(kept.n_requests)} requests kept the SLO, with {promised}"
    if kept.share >= promise.target:
        said = f"Yes: {done}."
        burn = hour.burn(promise)
        if burn > 1:
            said += (
                f" But the last hour burns the error budget at {burn:.1f} times the rate that it lasts for."
            )
    else:
        said = f"No: {done}.{_why(kept, contributors)}"
    if kept.n_requests < FEW:
        low, high = kept.burn_interval(promise)
        enough = "too few to be sure" if low <= 1 <= high else "enough to say so"
        said += f" {number(kept.n_requests)} requests are {enough}."
    return said


def _why(kept: Kept, contributors: Sequence[Contributor]) -> str:
    said = ""
    if (refused := kept.n_shed + kept.n_failed) > kept.n_over:
        what = "shed" if kept.n_shed >= kept.n_failed else "failed"
        said = f" Of what missed it, {share(refused / kept.n_missed)} was {what} and not slow."
    if contributors:
        top = contributors[0]
        said += f" Of the time over it, {share(top.share)} is {top.cause.because}."
    return said


def _share(value: float) -> str:
    """A share near one, to as many digits as tell it from one."""
    percent = value * 100
    for decimals in (1, 2, 3):
        if percent == 100 or round(percent, decimals) < 100:
            return f"{percent:.{decimals}f} %".replace("100.0 %", "100 %")
    return f"{percent:.4f} %"
