"""A caller is held to its rate before its request is read, whatever it sends; probes are not."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import msgspec
import pytest

from recserve.admission.terms import Terms
from recserve.callers import FORWARDED_HEADER, KEY_HEADER, PRINCIPAL_HEADER
from recserve.http_io import read_json, respond
from recserve.schemas import EventsRequest, RecommendBatchRequest, UserRequest
from recserve.startup import Startup
from recserve.telemetry import names
from recserve.telemetry.timeline import Timeline
from tests.recserve.conftest import http_request

BURST = 3
CONTROL = "\1"
"Nothing takes more bytes in JSON than a control character."


@pytest.fixture
def start(models_dir: Path, tmp_path: Path) -> Callable[..., Startup]:
    """Start a process that lets a caller ask three times, and then about once in ten minutes."""

    def begin(**given: str) -> Startup:
        environ = {
            "RECSERVE_MODELS_DIR": str(models_dir),
            "RECSERVE_STATE_PATH": str(tmp_path / "state.db"),
            "RECSERVE_CALLER_PER_S": "0.002",
            "RECSERVE_CALLER_BURST": str(BURST),
        }
        return Startup(environ | given)

    return begin


async def ask(startup: Startup, *, wait_s: float = 30, **headers: str) -> func.HttpResponse:
    """Ask with a body that takes reading, and is refused once it has been."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = http_request("POST", body=b"[" * 10_000, headers={"content-type": "application/json"} | named)
    return await respond(
        startup,
        "recommend_batch",
        lambda s, timeline: s.recommend_batch(read_json(request, RecommendBatchRequest), Terms(), timeline),
        request,
        wait_s=wait_s,
    )


async def statuses(startup: Startup, n: int, **headers: str) -> list[int]:
    return [(await ask(startup, **headers)).status_code for _ in range(n)]


async def test_caller_over_its_rate_is_refused_before_its_body_is_read(start: Callable[..., Startup]) -> None:
    startup = start()

    read = await statuses(startup, BURST, x_functions_key="a key")
    refused = await ask(startup, x_functions_key="a key")
    problem = msgspec.json.decode(refused.get_body())

    assert read == [400] * BURST
    assert (refused.status_code, problem["reason"]) == (429, "caller_rate")
    assert 400 < int(refused.headers["retry-after"]) <= 500


async def test_refusal_is_told_to_telemetry(
    start: Callable[..., Startup], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Timeline] = []
    monkeypatch.setattr(Startup, "record", lambda _, timeline: recorded.append(timeline))
    startup = start()
    await statuses(startup, BURST + 1)

    assert [each.attributes.get(names.SHED_REASON) for each in recorded] == [*[None] * BURST, "caller_rate"]


async def test_headers_that_anybody_can_write_give_no_second_bucket(start: Callable[..., Startup]) -> None:
    startup = start()
    forged = [
        {PRINCIPAL_HEADER: f"somebody {n}", FORWARDED_HEADER: f"10.0.0.{n}, 198.51.100.7:{n}"}
        for n in range(6)
    ]

    answered = [(await ask(startup, **each)).status_code for each in forged]
    with_key = [(await ask(startup, **{KEY_HEADER: f"a key,{n}"})).status_code for n in range(6)]

    assert answered == with_key == [*[400] * BURST, *[429] * 3]


async def test_who_is_signed_in_has_a_bucket_of_its_own(start: Callable[..., Startup]) -> None:
    startup = start(WEBSITE_AUTH_ENABLED="True")
    await statuses(startup, BURST + 1, **{PRINCIPAL_HEADER: "ana"})

    assert await statuses(startup, 1, **{PRINCIPAL_HEADER: "ana"}) == [429]
    assert await statuses(startup, 1, **{PRINCIPAL_HEADER: "ben"}) == [400]


async def test_probes_are_never_refused(start: Callable[..., Startup]) -> None:
    startup = start()
    service = await startup.service()

    async def health(s: Any, _: Timeline) -> Any:
        return await s.inventory.health()

    probed = [
        await respond(startup, "health_ready", health, http_request(), wait_s=0) for _ in range(3 * BURST)
    ]

    assert {each.status_code for each in probed} == {200}
    assert len(service.callers) == 0


async def test_without_a_rate_nobody_is_counted(start: Callable[..., Startup]) -> None:
    startup = start(RECSERVE_CALLER_PER_S="0")

    assert await statuses(startup, 10 * BURST) == [400] * 10 * BURST
    assert (await startup.service()).callers is None


async def test_a_batch_counts_as_many_as_it_has_users(start: Callable[..., Startup]) -> None:
    startup = start(RECSERVE_CALLER_PER_S="1", RECSERVE_CALLER_BURST="2")
    batch = http_request("POST", json_body={"requests": [{"history": [10]}] * 100})

    answered = await respond(
        startup,
        "recommend_batch",
        lambda s, timeline: s.recommend_batch(read_json(batch, RecommendBatchRequest), Terms(), timeline),
        batch,
    )
    refused = await ask(startup)

    assert (answered.status_code, refused.status_code) == (200, 429)
    assert 90 < int(refused.headers["retry-after"]) <= 99


async def test_every_ten_events_count_as_one_request(start: Callable[..., Startup]) -> None:
    startup = start(RECSERVE_CALLER_PER_S="1", RECSERVE_CALLER_BURST="2")
    event = {"user_id": "ana", "item_id": 10, "kind": "click"}
    events = [event | {"event_id": str(n)} for n in range(500)]

    await record(startup, http_request("POST", json_body={"events": events}))
    refused = await ask(startup)

    assert 40 < int(refused.headers["retry-after"]) <= 49


async def test_the_longest_export_is_a_thousand_events_and_three_megabytes(
    start: Callable[..., Startup],
) -> None:
    """No store keeps more of a user, so an export needs no pages."""
    startup = start(RECSERVE_CALLER_PER_S="0")
    longest = {"user_id": "ana", "item_id": CONTROL * 256, "kind": "view", "recommendation_id": CONTROL * 64}
    for batch in range(4):
        events = [longest | {"event_id": CONTROL * 124 + f"{batch}{n:03}"} for n in range(300)]
        await record(startup, http_request("POST", json_body={"events": events}))

    exported = await respond(
        startup, "export_user", lambda s, timeline: s.users.export(UserRequest(user_id="ana"), timeline)
    )

    assert len(msgspec.json.decode(exported.get_body())["events"]) == 1000
    assert math.ceil(len(exported.get_body()) / 1e6) == 3


async def record(startup: Startup, posted: func.HttpRequest) -> None:
    response = await respond(
        startup, "events", lambda s, timeline: s.record(read_json(posted, EventsRequest), timeline), posted
    )
    assert response.status_code == 200
