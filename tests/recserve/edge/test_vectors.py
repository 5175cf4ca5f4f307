"""The cases that clients are held against are what the service answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.edge.vectors import Vectors, body_of
from recserve.admission.terms import Terms
from recserve.bootstrap import build_service
from recserve.schemas import RecommendRequest
from recserve.service import RecommendationService
from recserve.settings import read_settings
from recserve.telemetry.timeline import Timeline

MOST_OTHERS = 2
"Cases that another processor's last digits may put into another order."


@pytest.fixture(scope="module")
def vectors(repository: Path) -> Vectors:
    return msgspec.json.decode((repository / "edge/vectors/recommendations.json").read_bytes(), type=Vectors)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RecommendationService]:
    environ = {"RECSERVE_MODELS_DIR": "models/edge", "RECSERVE_STATE_PATH": str(tmp_path / "state.db")}
    service = build_service(read_settings(environ), Timeline("start"))
    yield service
    await service.users.store.close()


async def test_service_answers_every_case_from_the_bundle(
    service: RecommendationService, vectors: Vectors
) -> None:
    n_others = 0
    for case in vectors.cases:
        request = msgspec.convert(body_of(case), RecommendRequest)
        answer = await service.recommend(request, Terms(deadline_s=60), Timeline("recommend"))
        assert answer.model.version == vectors.bundle_version
        n_others += [item.id for item in answer.items] != case.expected

    assert n_others <= MOST_OTHERS


def test_cases_cover_what_devices_meet(vectors: Vectors) -> None:
    cases = vectors.cases

    assert len(cases) >= 200
    assert any(not case.history for case in cases)
    assert any(len(case.history) > 50 for case in cases)
    assert any(len({*case.history}) < len(case.history) for case in cases)
    assert any(not case.expected for case in cases)
    assert {case.exclude_seen for case in cases} == {None, True, False}
    assert {condition for case in cases for group in case.filters.values() for condition in group} == {
        "genres",
        "item_ids",
        "max_year",
        "min_year",
    }
