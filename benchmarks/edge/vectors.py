"""Cases that every client of the edge must answer as the service does: `edge/vectors/recommendations.json`.

The service itself gives the answers, serving the bundle as its models. Histories are drawn from the catalogue,
popular items more often, so that the file holds nobody's: they are short and long, know items that the catalogue
lacks, and hold some items twice. Lists whose order hangs on the last digits of a score are left out: another
processor may put them into another order, and be right.
"""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np

from benchmarks.server import ROOT, serving

PLACE = ROOT / "edge" / "vectors" / "recommendations.json"
N_CASES = 400
LENGTHS = (0, 1, 2, 3, 5, 8, 13, 21, 49, 50, 51, 80, 120)
MOST_K = 100
LEAST_GAP = 1.5e-4
"Between neighbouring scores of the model, which answers have with four places."
UNKNOWN = (-1, 99_999_999, "no such film")


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question, and the items that the service answers with, best first."""

    history: list[int | str]
    k: int
    filters: dict[str, Any] = {}
    exclude_seen: bool | None = None
    "None leaves it to the models."
    expected: list[int | str] | None = None
    "None before it is asked."


class Vectors(msgspec.Struct, frozen=True, kw_only=True):
    bundle_version: str
    seed: int
    cases: list[Case]


def write_vectors(
    path: Path = PLACE, *, models_dir: str = "models/edge", n: int = N_CASES, seed: int = 0
) -> int:
    """Ask the service, and write what it answers.

    Args:
        path: the file to write.
        models_dir: the bundle, relative to the repository.
        n: how many questions to ask.
        seed: the same seed asks the same.

    Returns:
        How many cases there are.

    Raises:
        RuntimeError: the service does not start.
        httpx.HTTPStatusError: it refuses a question.
    """
    catalogue = msgspec.json.decode((ROOT / models_dir / "catalogue.json").read_bytes())
    questions = list(draw_cases(catalogue, n=n, rng=np.random.default_rng(seed)))
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "RECSERVE_MODELS_DIR": models_dir,
            "RECSERVE_STATE_PATH": str(Path(folder) / "state.db"),
            "RECSERVE_ADMISSION": "off",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": "",
        }
        with (
            serving(settings, core=0, log=Path(folder) / "log") as server,
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}/api") as client,
        ):
            answers = [_answer(client, case) for case in questions]
    cases = [
        msgspec.structs.replace(case, expected=[item["id"] for item in answer["items"][: case.k]])
        for case, answer in zip(questions, answers, strict=True)
        if is_settled(answer)
    ]
    vectors = Vectors(bundle_version=answers[0]["model"]["version"], seed=seed, cases=cases)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(msgspec.json.encode(case).decode() for case in cases)
    head = msgspec.json.encode(msgspec.structs.replace(vectors, cases=[])).decode().removesuffix("[]}")
    path.write_text(f"{head}[\n{lines}\n]}}\n")
    return len(cases)


def _answer(client: httpx.Client, case: Case) -> dict[str, Any]:
    one_more = body_of(case) | {"k": min(case.k + 1, MOST_K)}  # what comes next may come too close as well
    response = client.post("/recommend", json=one_more)
    response.raise_for_status()
    answered: dict[str, Any] = response.json()
    return answered


def is_settled(answer: dict[str, Any]) -> bool:
    """Whether the order hangs on no last digit; who is popular is counted in whole numbers."""
    if answer["basis"] != "history":
        return True
    scores = [item["score"] for item in answer["items"]]
    return all(better - worse >= LEAST_GAP for better, worse in pairwise(scores))


def body_of(case: Case) -> dict[str, Any]:
    """The request that asks it."""
    body: dict[str, Any] = {"history": case.history, "k": case.k}
    if case.filters:
        body["rules"] = {"filters": case.filters}
    if case.exclude_seen is not None:
        body["exclude_seen"] = case.exclude_seen
    return body


def draw_cases(catalogue: dict[str, list[Any]], *, n: int, rng: np.random.Generator) -> Iterator[Case]:
    """Questions of all kinds."""
    popularity = np.sqrt(np.array(catalogue["n_interactions"], float) + 1)
    ids, genres = catalogue["ids"], sorted({genre for of_item in catalogue["genres"] for genre in of_item})
    for number in range(n):
        length = LENGTHS[number % len(LENGTHS)]
        drawn = rng.choice(len(ids), length, p=popularity / popularity.sum(), replace=number % 11 == 0)
        history = [ids[column] for column in drawn]
        if number % 9 == 0:
            history.insert(int(rng.integers(len(history) + 1)), UNKNOWN[number // 9 % len(UNKNOWN)])
        yield Case(
            history=history,
            k=10 if number % 3 else int(rng.integers(1, 101)),
            filters=_draw_filters(number, ids, genres, rng) if number % 2 else {},
            exclude_seen=(None, None, None, True, False)[number % 5],
        )


def _draw_filters(number: int, ids: list[Any], genres: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """Conditions of every kind in turn, some of which nothing meets."""
    some = [str(genre) for genre in rng.choice(genres, 2, replace=False)]
    year = int(rng.integers(1940, 2016))
    listed = [ids[column] for column in rng.choice(len(ids), 30, replace=False)]
    kinds: list[dict[str, Any]] = [
        {"allow": {"genres": some}},
        {"deny": {"genres": some}},
        {"allow": {"min_year": year}},
        {"allow": {"max_year": year}},
        {"deny": {"min_year": year - 10, "max_year": year}},
        {"allow": {"item_ids": [*listed, 99_999_999]}},
        {"deny": {"item_ids": listed}},
        {"allow": {"genres": some, "min_year": year - 20, "max_year": year}},
        {"allow": {"genres": some[:1]}, "deny": {"genres": some[1:], "max_year": year}},
        {"allow": {"genres": ["No Such Genre"]}},
        {"allow": {"item_ids": [str(item_id) for item_id in listed]}},
    ]
    return kinds[number // 2 % len(kinds)]
