"""What a device's answers are held against, whichever client it runs: the service, and what users took next."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.edge.histories import EdgeHistory
from benchmarks.server import Server, serving
from training.evaluation import bootstrap_interval, discounted_gains

MOST_LISTED = 20
"Mismatches that a result lists."


class Listed(NamedTuple):
    """A list that was answered: columns of the same length, best first."""

    ids: list[int | str]
    scores: list[float]


class DeviceRequest(NamedTuple):
    """A request of a device's user."""

    body: dict[str, Any]
    "Of the client, and of the service."
    target: int | str | None
    "What the user took next; None where nobody knows."


class Cloud:
    """The service, asked by nothing but HTTP.

    Args:
        port: of the service, or of a proxy in front of it.
    """

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def recommend(self, body: Mapping[str, Any]) -> Listed:
        items = self._ask("POST", "/api/recommend", body)["items"]
        return Listed([item["id"] for item in items], [item["score"] for item in items])

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, {"content-type": "application/json"} if body else {})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path} was answered with {response.status}: {answer[:300]!r}")
        return json.loads(answer)


@contextmanager
def edge_service(folder: Path, *, models: str, edge_dir: str, core: int = 0) -> Iterator[Server]:
    """A service that hands out a bundle to anybody, without limits of admission.

    Args:
        folder: for its log and its store.
        models: the models that it answers with.
        edge_dir: the bundle.
        core: the processor core it runs on.
    """
    settings = {
        "RECSERVE_MODELS_DIR": models,
        "RECSERVE_EDGE_DIR": edge_dir,
        "RECSERVE_EDGE": "public",
        "RECSERVE_ADMISSION": "off",
        "RECSERVE_RELOAD_S": "0",
        "RECSERVE_STATE_PATH": str(folder / f"state-{Path(models).name}.db"),
        "RECSERVE_OUTBOX_PATH": str(folder / f"outbox-{Path(models).name}.db"),
    }
    with serving(settings, core=core, log=folder / "server.log") as server:
        yield server


def compare(
    histories: Sequence[EdgeHistory], ours: Sequence[Listed], theirs: Sequence[Listed]
) -> dict[str, Any]:
    """Hold a device's lists against the service's.

    Args:
        histories: what was asked.
        ours: what the device answered to each.
        theirs: what the service did.
    """
    mismatches = [
        _mismatch(place, history, edge, cloud)
        for place, (history, edge, cloud) in enumerate(zip(histories, ours, theirs, strict=True))
        if edge.ids != cloud.ids
    ]
    same = [(edge, cloud) for edge, cloud in zip(ours, theirs, strict=True) if edge.ids == cloud.ids]
    return {
        "n": len(histories),
        "identical": round(1 - len(mismatches) / len(histories), 6),
        "n_by_kind": dict(Counter(history.kind for history in histories)),
        "n_mismatches_by_kind": dict(Counter(each["kind"] for each in mismatches)),
        "n_same_items_other_scores": sum(edge.scores != cloud.scores for edge, cloud in same),
        "mismatches": mismatches[:MOST_LISTED],
    }


def _mismatch(place: int, history: EdgeHistory, edge: Listed, cloud: Listed) -> dict[str, Any]:
    """Where two lists part, and how far the service's scores are apart there."""
    shared = min(len(edge.ids), len(cloud.ids))
    at = next((at for at in range(shared) if edge.ids[at] != cloud.ids[at]), shared)
    ends = cloud.scores[at : at + 2]
    return {
        "history": place,
        "kind": history.kind,
        "n_history": len(history.item_ids),
        "place": at + 1,
        "edge": edge.ids[at : at + 3],
        "cloud": cloud.ids[at : at + 3],
        "score_gap": round(ends[0] - ends[1], 4) if len(ends) == 2 else None,
        "overlap": len({*edge.ids} & {*cloud.ids}),
    }


def compare_quality(
    ours: Sequence[Listed], theirs: Sequence[Listed], targets: Sequence[int | str]
) -> dict[str, float]:
    """NDCG@10 of a device and of the cloud for the same users, and what is lost, with a paired 95 % interval."""
    edge, cloud = gains(ours, targets), gains(theirs, targets)
    low, high = bootstrap_interval(cloud - edge)
    return {
        "n_users": len(targets),
        "edge": round(float(edge.mean()), 5),
        "cloud": round(float(cloud.mean()), 5),
        "lost": round(float((cloud - edge).mean()), 5),
        "lost_low": round(low, 5),
        "lost_high": round(high, 5),
        "lost_share": round(float(1 - edge.mean() / cloud.mean()), 4),
    }


def gains(lists: Sequence[Listed], targets: Sequence[int | str | None]) -> NDArray[np.float64]:
    """Each list's part of NDCG@10."""
    ranks = [
        float(each.ids.index(target)) if target in each.ids else np.inf
        for each, target in zip(lists, targets, strict=True)
    ]
    return discounted_gains(np.array(ranks), 10)


def draw_requests(
    users: Sequence[EdgeHistory], n: int, *, share_rules: float, share_unknown: float, seed: int, k: int = 10
) -> list[DeviceRequest]:
    """What the users of a device ask, some of which it must hand over to the cloud.

    Args:
        users: with what they took next.
        n: how many ask.
        share_rules: of requests that want diversity, which the edge cannot do.
        share_unknown: of requests for users whom only the cloud may know.
        seed: the same seed draws the same.
        k: items a list.
    """
    rng = np.random.default_rng(seed)
    requests = []
    for place in rng.permutation(len(users))[:n].tolist():
        user, drawn = users[place], rng.random()
        if drawn < share_rules:
            body = {"history": user.item_ids, "k": k, "rules": {"diversity": 0.3}}
            requests.append(DeviceRequest(body, user.target))
        elif drawn < share_rules + share_unknown:
            requests.append(DeviceRequest({"user_id": f"user-{place}", "k": k}, None))
        else:
            requests.append(DeviceRequest({"history": user.item_ids, "k": k}, user.target))
    return requests
