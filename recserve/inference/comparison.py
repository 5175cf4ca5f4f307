"""What loaded models must show before they are served: answers, warm, sound, held against the last version's.

Every variant answers the same canned histories, drawn from the catalogue as people take its items, and
the empty one. An unsound answer refuses the version. How far the answers agree with the version before is
reported and refuses nothing: a better model is a different one.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from recserve.errors import InvalidModels
from recserve.inference.batcher import pad
from recserve.inference.catalogue import Catalogue
from recserve.inference.loading import LoadedModels
from recserve.inference.session import Ranked, ScoringSession

N_HISTORIES = 32
N_ITEMS = 10
SEED = 0
N_WARM_RUNS = 3


def warm(models: LoadedModels, *, batch_sizes: Iterable[int]) -> None:
    """Run every variant a few times at each batch size, so that no user pays for what the first runs allocate."""
    length = models.manifest.max_history
    for session in models.sessions.values():
        for size in batch_sizes:
            history = np.ones((size, length), np.int64)
            for _ in range(N_WARM_RUNS):
                session.recommend(history, history, N_ITEMS)


def canned_histories(models: LoadedModels) -> list[list[int]]:
    """Item numbers, newest last, of invented users; the first has no history. The same for the same catalogue."""
    rng = np.random.default_rng(SEED)
    lengths = rng.integers(1, models.manifest.max_history, N_HISTORIES, endpoint=True)
    # One more each: an item that nobody took yet can be drawn too.
    weights = np.array(models.catalogue.columns.n_interactions, np.float64) + 1
    drawn = rng.choice(len(weights), size=int(lengths.sum()), p=weights / weights.sum()) + 1
    histories = np.split(drawn, np.cumsum(lengths)[:-1])
    return [[0], *(list(dict.fromkeys(history.tolist())) for history in histories)]


def check_answers(models: LoadedModels) -> None:
    """Have every variant answer the canned histories.

    Raises:
        InvalidModels: an answer is empty, repeats an item, has one that the catalogue lacks or that the
            user has seen, or a score that is no number.
    """
    histories = canned_histories(models)
    for session in models.sessions.values():
        ranked = _answer(session, histories, allow_repeats=models.manifest.dataset.allow_repeats)
        for history, items, scores in zip(histories, ranked.items, ranked.scores, strict=True):
            fault = _fault(
                items[items != 0],
                scores[items != 0],
                n_items=len(models.catalogue),
                seen=set() if models.manifest.dataset.allow_repeats else set(history),
            )
            if fault:
                raise InvalidModels(
                    f"variant {session.name!r} {fault}, for the history {history[-5:]} "
                    f"({len(history)} items, the newest shown)"
                )


def overlaps(new: LoadedModels, old: LoadedModels) -> dict[str, float]:
    """By variant that both versions serve, the mean share of the new first ten that are also the old first ten.

    Compared by item id: the same item may have another number. A history is put to the old version as far as
    its catalogue knows the items.
    """
    histories = canned_histories(new)
    ids = new.catalogue.columns.ids
    translated = [
        old.catalogue.known_numbers(ids[number - 1] for number in history if number) or [0]
        for history in histories
    ]
    shares = {}
    for name in new.sessions.keys() & old.sessions.keys():
        ours = _answer(new.sessions[name], histories, allow_repeats=new.manifest.dataset.allow_repeats)
        theirs = _answer(old.sessions[name], translated, allow_repeats=old.manifest.dataset.allow_repeats)
        pairs = [
            (_ids(new.catalogue, our), _ids(old.catalogue, their))
            for our, their in zip(ours.items, theirs.items, strict=True)
        ]
        shares[name] = float(np.mean([len(our & their) / max(1, len(our)) for our, their in pairs]))
    return {name: shares[name] for name in new.sessions if name in shares}


def _answer(session: ScoringSession, histories: list[list[int]], *, allow_repeats: bool) -> Ranked:
    history = pad(histories)
    seen = np.zeros((len(histories), 0), np.int64) if allow_repeats else history
    return session.recommend(history, seen, N_ITEMS)


def _fault(
    items: NDArray[np.int64], scores: NDArray[np.float32], *, n_items: int, seen: set[int]
) -> str | None:
    """What is wrong with one user's answer, in words that follow the variant's name."""
    if not len(items) and n_items > len(seen - {0}):
        return "answers nothing"
    if len(set(items.tolist())) < len(items):
        return f"repeats an item in {items.tolist()}"
    if items.size and (items.min() < 1 or items.max() > n_items):
        return f"answers {items.tolist()}, of which the catalogue of {n_items} items lacks some"
    if again := seen & set(items.tolist()):
        return f"answers {sorted(again)}, which the user has seen"
    if not np.isfinite(scores).all():
        return f"scores {scores.tolist()}"
    return None


def _ids(catalogue: Catalogue, numbers: NDArray[np.int64]) -> set[int | str]:
    return {catalogue.columns.ids[number - 1] for number in numbers.tolist() if number}
