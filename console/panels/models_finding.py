"""What the ladder gives away, in a sentence."""

from console.analysis.ladder import Episode, Following, given_away
from console.api_values import Ladder
from console.formats import share, short

FEW = 100
"Events or answers below which a rate is said to rest on few."


def sentence(
    ladder: Ladder | None, n_answers: dict[str, float], follows: list[Following], episodes: list[Episode]
) -> str:
    """The view's answer, from what is known."""
    said = []
    lost = given_away(n_answers, ladder) if ladder else None
    if ladder and lost is not None:
        first = ladder.serving[0]
        told = "nothing" if lost < 0.0005 else share(lost)
        said.append(f"The mix that answered gives away {told} of the NDCG@10 that {first} alone would have")
    elif n_answers:
        top, n = next(iter(n_answers.items()))
        said.append(
            f"{top} gave {share(n / sum(n_answers.values()))} of {short(sum(n_answers.values()))} answers"
        )
    if episodes:
        n_brown = sum(episode.n_requests for episode in episodes)
        said.append(f"{share(n_brown / sum(n_answers.values()))} of answers were brownout")
    text = "; ".join(said)
    if len(follows) > 1 and (compared := _compare_online(follows)):
        text = f"{text}. {compared}" if text else compared
    if not text and ladder and ladder.rungs:
        best, last = ladder.rungs[0], ladder.rungs[-1]
        text = f"From {best.name} to {last.name}, NDCG@10 falls from {best.ndcg:.3f} to {last.ndcg:.3f}"
    return f"{text}." if text else ""


def _compare_online(follows: list[Following]) -> str:
    """The most and the least followed rung, if their intervals are apart; small counts say nothing."""
    judged = sorted((row for row in follows if row.n_known >= FEW), key=lambda row: row.hit_rate)
    if len(judged) < 2:
        return ""
    worst, best = judged[0], judged[-1]
    apart = "" if best.hit_rate_low > worst.hit_rate_high else ", which their intervals do not tell apart"
    return (
        f"Online, users followed {share(best.hit_rate)} of {best.variant}'s lists and "
        f"{share(worst.hit_rate)} of {worst.variant}'s{apart}"
    )
