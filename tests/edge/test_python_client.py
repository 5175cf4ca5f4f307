"""The Python client against the real service, through networks that break."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.server import ROOT, serving
from recserve_edge import Answer, EdgeClient, EdgeSettings, InvalidRequest, Unavailable
from recserve_edge.__main__ import main
from recserve_edge.clocks import Clocks
from recserve_edge.cloud import Cloud
from recserve_edge.delivery import Delivery
from recserve_edge.events import EventStore
from recserve_edge.tally import Tally
from recserve_edge.wire import Service
from tests.edge.breaking_proxy import BreakingProxy, breaking_proxy

HISTORY = [260, 1196, 1210]
PATIENT = EdgeSettings(timeout_s=20, compare_every=0)
HASTY = EdgeSettings(timeout_s=0.3, compare_every=0)
DAY_S = 86_400.0
NEEDS_CLOUD = {"explain": True}
Connect = Callable[..., EdgeClient]


class Device:
    """A device's clocks, turned by hand."""

    def __init__(self) -> None:
        self.wall_s = time.time()
        self.monotonic_s = 1000.0
        self.clocks = Clocks(lambda: self.wall_s, lambda: self.monotonic_s)

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.fixture(scope="module")
def edge_dir(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that ships, in a folder that tests may change."""
    shipped = repository / "models" / "edge"
    if not (shipped / "manifest.json").exists():
        pytest.skip("models/edge does not exist; run `python -m training edge`")
    folder = tmp_path_factory.mktemp("bundle") / "edge"
    shutil.copytree(shipped, folder, ignore=shutil.ignore_patterns("web"))
    return folder


@pytest.fixture(scope="module")
def service_port(edge_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "RECSERVE_EDGE": "public",
        "RECSERVE_EDGE_DIR": str(edge_dir),
        "RECSERVE_STATE_PATH": str(folder / "state.db"),
        "RECSERVE_OUTBOX_PATH": str(folder / "outbox.db"),
    }
    with serving(settings, core=0, log=folder / "log.txt") as server:
        yield server.port


@pytest.fixture(scope="module")
def network(service_port: int) -> Iterator[BreakingProxy]:
    with breaking_proxy(service_port) as proxy:
        yield proxy


@pytest.fixture
def proxy(network: BreakingProxy) -> BreakingProxy:
    """The way to the service, which breaks nothing at first."""
    network.mend()
    return network


@pytest.fixture(scope="module")
def downloaded(network: BreakingProxy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a device that has a bundle; to be copied."""
    folder = tmp_path_factory.mktemp("device") / "cache"
    with EdgeClient(network.url, cache_dir=folder, is_background=False) as client:
        assert client.update()
    return folder


@pytest.fixture
def connect(proxy: BreakingProxy, tmp_path: Path) -> Iterator[Connect]:
    """Makes clients of one device, and closes them."""
    clients = []

    def make(settings: EdgeSettings = PATIENT, **arguments: Any) -> EdgeClient:
        given = {"cache_dir": tmp_path / "cache", "is_background": False, **arguments}
        client = EdgeClient(proxy.url, settings=settings, **given)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def cache(downloaded: Path, tmp_path: Path) -> Path:
    """The device has a bundle."""
    return shutil.copytree(downloaded, tmp_path / "cache")


@pytest.fixture
def client(connect: Connect, cache: Path) -> EdgeClient:
    """A device that has a bundle."""
    return connect()


@pytest.fixture(scope="module")
def hasty_client(downloaded: Path, network: BreakingProxy) -> Iterator[EdgeClient]:
    """A device that has a bundle, and does not wait long for the cloud."""
    with EdgeClient(network.url, cache_dir=downloaded, settings=HASTY, is_background=False) as client:
        yield client


def ids(answer: Answer) -> list[int | str]:
    return [item.id for item in answer.items]


def stored(port: int, user_id: str) -> list[Any]:
    """Item ids of what the service keeps of a user."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"/api/users/{user_id}")
        return [event["item_id"] for event in json.loads(connection.getresponse().read())["events"]]
    finally:
        connection.close()


def republish(edge_dir: Path, version: str) -> None:
    """Put a bundle of another version, with one title changed, in the place of the one that is served."""
    catalogue = json.loads((edge_dir / "catalogue.json").read_text())
    catalogue["titles"][0] = f"A film of {version}"
    content = json.dumps(catalogue).encode()
    manifest = json.loads((edge_dir / "manifest.json").read_text())
    manifest["version"] = version
    manifest["catalogue"] |= {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (edge_dir / "catalogue.json").write_bytes(content)
    staged = edge_dir / ".manifest"
    staged.write_text(json.dumps(manifest))
    staged.replace(edge_dir / "manifest.json")


def update_to(client: EdgeClient, version: str) -> None:
    """Look for bundles until that version is here: the service looks at its directory once a second."""
    give_up_s = time.monotonic() + 10
    while client.bundle_version != version and time.monotonic() < give_up_s:
        client.update()
        time.sleep(0.05)
    assert client.bundle_version == version


def test_device_answers_by_itself_once_it_has_the_bundle(connect: Connect) -> None:
    client = connect()
    first = client.recommend(HISTORY, k=5)
    client.update()
    second = client.recommend(HISTORY, k=5)

    assert (first.by, first.reason, bool(first.model_version)) == ("cloud", "no_bundle", True)
    assert (second.by, second.reason, second.bundle_version) == ("edge", "default", client.bundle_version)
    assert len(second.items) == 5
    assert not {*HISTORY} & {*ids(second)}
    assert all(item.title and item.score is not None for item in second.items)


def test_filters_hold_on_the_device(client: EdgeClient) -> None:
    everything = client.recommend(HISTORY, k=20)

    fewer = client.recommend(HISTORY, k=20, filters={"deny": {"item_ids": ids(everything)[:5]}})

    assert fewer.by == "edge"
    assert ids(fewer)[:15] == ids(everything)[5:]


def test_filter_that_nothing_meets_leaves_an_empty_list(client: EdgeClient) -> None:
    assert client.recommend(HISTORY, filters={"allow": {"min_year": 2999}}).items == []


def test_without_a_history_popular_items_come(client: EdgeClient) -> None:
    nobody = client.recommend(k=3)

    assert nobody.by == "edge"
    assert ids(nobody) == ids(client.recommend([-1], k=3))


def test_what_a_user_did_counts_in_the_next_answer(client: EdgeClient) -> None:
    for item_id in HISTORY:
        client.record(item_id=item_id, user_id="nora")

    answer = client.recommend(user_id="nora")

    assert answer.by == "edge"
    assert ids(answer) == ids(client.recommend(HISTORY))


def test_cloud_is_told_of_events_that_wait(client: EdgeClient) -> None:
    for item_id in HISTORY:
        client.record(item_id=item_id, user_id="olaf")

    answer = client.recommend(user_id="olaf", rules=NEEDS_CLOUD)

    assert (answer.by, answer.reason) == ("cloud", "rules")
    assert ids(answer) == ids(client.recommend(HISTORY, rules=NEEDS_CLOUD))


def test_cloud_answers_for_a_user_of_whom_nothing_is_known_here(client: EdgeClient) -> None:
    answer = client.recommend(user_id="a stranger")

    assert (answer.by, answer.reason) == ("cloud", "no_local_history")
    assert answer.recommendation_id


def test_rules_are_left_out_and_filters_held_without_a_network(
    client: EdgeClient, proxy: BreakingProxy
) -> None:
    denied = ids(client.recommend(HISTORY))[0]
    proxy.break_("recommend", "lose")
    rules = {"diversity": 0.5, "filters": {"deny": {"item_ids": [denied]}}}

    answer = client.recommend(HISTORY, rules=rules)

    assert (answer.by, answer.reason, answer.degraded) == ("edge", "offline", ("rules",))
    assert denied not in ids(answer)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("portal", "cloud_error"),
        ("redirect", "cloud_error"),
        ("huge", "cloud_error"),
        ("half-gzip", "cloud_error"),
        ("status-500", "cloud_error"),
        ("status-404", "cloud_error"),
        ("status-429", "cloud_busy"),
        ("hang", "cloud_timeout"),
        ("drip", "cloud_timeout"),
        ("lose", "offline"),
        ("cut", "offline"),
    ],
)
def test_cloud_that_does_not_answer_is_stood_in_for(
    hasty_client: EdgeClient, proxy: BreakingProxy, how: str, reason: str
) -> None:
    proxy.break_("recommend", how)

    answer = hasty_client.recommend(HISTORY, rules=NEEDS_CLOUD)

    assert (answer.by, answer.reason, answer.degraded) == ("edge", reason, ("rules",))
    assert ids(answer) == ids(hasty_client.recommend(HISTORY))


def test_caller_s_mistake_is_told_and_not_hidden_by_edge(client: EdgeClient) -> None:
    with pytest.raises(InvalidRequest, match=r"rules\.diversity: 7 is not allowed"):
        client.recommend(HISTORY, rules={"diversity": 7})


def test_without_bundle_and_cloud_both_reasons_are_told(connect: Connect, proxy: BreakingProxy) -> None:
    proxy.break_("/", "portal")
    client = connect()
    client.update()

    with pytest.raises(
        Unavailable, match=r"the manifest cannot be read.*what answered is not the service"
    ) as caught:
        client.recommend(HISTORY)

    assert (caught.value.failure, caught.value.bundle_error) == ("cloud_error", "manifest_unavailable")


@pytest.mark.parametrize(
    ("part", "how", "word"),
    [
        ("edge/manifest", "redirect", "manifest_unavailable"),
        ("edge/manifest", "half-gzip", "manifest_unavailable"),
        ("edge/manifest", "status-404", "manifest_unavailable"),
        ("edge/files/edge", "tamper", "tampered"),
        ("edge/files/catalogue", "cut", "incomplete"),
        ("edge/files/edge", "half-gzip", "incomplete"),
        ("edge/files/popular", "half", "tampered"),
        ("edge/files/edge", "huge", "incomplete"),
        ("edge/files/edge", "portal", "tampered"),
        ("edge/files/edge", "status-503", "incomplete"),
    ],
)
def test_bundle_that_does_not_come_whole_answers_nothing(
    connect: Connect, proxy: BreakingProxy, tmp_path: Path, part: str, how: str, word: str
) -> None:
    proxy.break_(part, how)
    client = connect()

    is_confirmed = client.update()

    assert not is_confirmed
    assert client.status().bundle_error == word
    assert client.recommend(HISTORY).reason == "no_bundle"
    assert not (tmp_path / "cache" / "current.json").exists()


def test_interrupted_download_goes_on_with_the_files_that_are_missing(
    connect: Connect, proxy: BreakingProxy
) -> None:
    proxy.break_("edge/files/catalogue", "cut")
    assert not connect().update()
    proxy.mend()

    assert connect().update()
    assert proxy.count("edge/files") == 1


def test_bundle_is_there_after_a_restart_without_a_network(
    client: EdgeClient, connect: Connect, proxy: BreakingProxy
) -> None:
    before = ids(client.recommend(HISTORY))
    client.close()
    proxy.break_("/", "lose")

    answer = connect().recommend(HISTORY)

    assert (answer.by, answer.reason, ids(answer)) == ("edge", "default", before)


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "missing", "manifest", "note"])
def test_damaged_cache_is_found_at_start_and_made_good(connect: Connect, cache: Path, damage: str) -> None:
    folder = next((cache / "bundles").iterdir())
    graph = next(folder.glob("edge-*.onnx"))
    content = graph.read_bytes()
    match damage:
        case "changed":
            graph.write_bytes(content[:-100] + bytes(100))
        case "shorter":
            graph.write_bytes(content[: len(content) // 2])
        case "longer":
            graph.write_bytes(content + b"!")
        case "missing":
            graph.unlink()
        case "manifest":
            (folder / "manifest.json").write_text("{")
        case "note":
            (cache / "current.json").write_text('{"version": "../.."}')

    restarted = connect()

    assert restarted.bundle_version == ""
    assert restarted.status().bundle_error in ("tampered", "incomplete", "manifest_unavailable", "unreadable")
    assert restarted.recommend(HISTORY).reason == "no_bundle"
    assert restarted.update()
    restarted.close()
    assert connect().recommend(HISTORY).by == "edge"


def test_old_bundle_hands_over_to_the_cloud_and_answers_offline(
    connect: Connect, proxy: BreakingProxy, cache: Path
) -> None:
    device = Device()
    client = connect(clocks=device.clocks)
    device.pass_(8 * DAY_S)
    online = client.recommend(HISTORY)
    proxy.break_("/", "lose")
    offline = client.recommend(HISTORY)

    assert (online.by, online.reason) == ("cloud", "stale_bundle")
    assert (offline.by, offline.reason, offline.degraded) == ("edge", "offline", ("stale_bundle",))


def test_bundle_is_young_again_once_the_service_confirms_it(connect: Connect, proxy: BreakingProxy) -> None:
    device = Device()
    client = connect(clocks=device.clocks)
    client.update()
    device.monotonic_s += 8 * DAY_S
    assert client.recommend(HISTORY).reason == "stale_bundle"
    proxy.mend()

    client.step()

    assert client.status().bundle_age_s == 0
    assert proxy.count("edge/files") == 0
    client.close()
    restarted = connect(clocks=device.clocks)
    assert (restarted.status().bundle_age_s, restarted.recommend(HISTORY).by) == (0, "edge")


def test_clock_that_went_back_behind_the_confirmation_hands_over_after_a_restart(connect: Connect) -> None:
    device = Device()
    client = connect(clocks=device.clocks)
    client.update()
    device.wall_s -= 2 * DAY_S
    in_same_process = client.recommend(HISTORY)
    client.close()

    after_restart = connect(clocks=device.clocks).recommend(HISTORY)

    assert in_same_process.by == "edge"
    assert (after_restart.by, after_restart.reason) == ("cloud", "clock")


def test_clock_that_is_wrong_by_years_is_not_believed_after_a_restart(connect: Connect) -> None:
    device = Device()
    device.wall_s = 86_400.0  # a board without a battery
    client = connect(clocks=device.clocks)
    client.update()
    in_same_process = client.recommend(HISTORY)
    client.close()
    device.pass_(60)

    after_restart = connect(clocks=device.clocks).recommend(HISTORY)

    assert in_same_process.by == "edge"
    assert (after_restart.by, after_restart.reason) == ("cloud", "clock")


def test_cache_that_cannot_be_written_leaves_bundle_and_events_in_memory(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    client = connect(cache_dir=tmp_path / "file" / "cache")

    assert client.update()
    client.record(item_id=260, user_id="mia")
    assert client.recommend(user_id="mia").by == "edge"
    assert "Not a directory" in client.status().cache_error


def test_full_disk_leaves_the_bundle_in_memory(proxy: BreakingProxy, tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own, stands for the disk."""
    script = (
        "import sys; from recserve_edge import EdgeClient\n"
        "client = EdgeClient(sys.argv[1], cache_dir=sys.argv[2], is_background=False)\n"
        "client.update(); answer = client.recommend([260]); print(answer.by, client.status().cache_error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, proxy.url, str(tmp_path / "cache")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "edge" / "python")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("edge cannot write to the cache")
    assert "File too large" in done.stdout
    assert not (tmp_path / "cache" / "current.json").exists()


def test_two_processes_download_a_bundle_once(connect: Connect, proxy: BreakingProxy) -> None:
    clients = [connect(), connect()]
    threads = [threading.Thread(target=client.update) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [client.recommend(HISTORY).by for client in clients] == ["edge", "edge"]
    assert proxy.count("edge/files") == 3


def test_another_bundle_takes_over_whole_or_not_at_all(
    connect: Connect, proxy: BreakingProxy, edge_dir: Path, tmp_path: Path
) -> None:
    client = connect()
    client.update()
    before, listed = client.bundle_version, ids(client.recommend(HISTORY))
    republish(edge_dir, "another-1")
    proxy.break_("edge/files/catalogue", "tamper")
    give_up_s = time.monotonic() + 10
    while client.update() and time.monotonic() < give_up_s:
        time.sleep(0.05)  # the service looks at its directory once a second
    assert (client.bundle_version, client.status().bundle_error) == (before, "tampered")
    assert client.recommend(HISTORY).by == "edge"
    proxy.mend()

    update_to(client, "another-1")

    assert ids(client.recommend(HISTORY)) == listed
    assert proxy.count("edge/files") == 1
    assert [path.name for path in (tmp_path / "cache" / "bundles").iterdir()] == ["another-1"]


def test_events_are_delivered_once_though_answers_are_lost(
    connect: Connect, proxy: BreakingProxy, service_port: int
) -> None:
    client = connect()
    proxy.break_("api/events", "lose")
    for item_id in HISTORY:
        client.record(item_id=item_id, user_id="lena")
    assert not client.flush()
    assert client.status().n_waiting == 3
    client.close()
    proxy.mend()

    restarted = connect()

    assert restarted.status().n_waiting == 3
    assert restarted.flush()
    assert restarted.status().n_waiting == 0
    assert stored(service_port, "lena") == ["260", "1196", "1210"]
    assert restarted.recommend(user_id="lena").reason == "no_bundle"


def test_event_of_a_device_whose_clock_is_wrong_is_not_taken_for_an_old_one(
    connect: Connect, service_port: int
) -> None:
    device = Device()
    device.wall_s = DAY_S  # a board without a battery
    client = connect(clocks=device.clocks)
    client.update()
    in_same_process = client.record(item_id=260, user_id="pia")
    client.close()

    restarted = connect(clocks=device.clocks)
    after_restart = restarted.record(item_id=1196, user_id="pia")
    restarted.flush()

    assert abs(datetime.fromisoformat(in_same_process.at).timestamp() - time.time()) < 600
    assert after_restart.at == ""
    assert stored(service_port, "pia") == ["260", "1196"]


@pytest.mark.parametrize("how", ["portal", "redirect", "status-401", "status-404", "status-500", "half-gzip"])
def test_what_does_not_say_that_it_keeps_events_does_not_get_rid_of_them(
    connect: Connect, proxy: BreakingProxy, how: str
) -> None:
    client = connect()
    client.record(item_id=260, user_id="kim")
    proxy.break_("api/events", how)

    assert not client.flush()
    assert client.status().n_waiting == 1


def test_event_that_the_service_refuses_is_dropped_alone_and_told(
    connect: Connect, service_port: int
) -> None:
    refused: list[tuple[str, str]] = []
    client = connect(on_refused=lambda event, why: refused.append((event["item_id"], why)))
    for item_id in range(1, 12):
        client.record(item_id=item_id, user_id="iris", recommendation_id="x" * 65 if item_id == 7 else "")

    assert client.flush()
    assert [item_id for item_id, _ in refused] == [7]
    assert "recommendation_id" in refused[0][1]
    assert stored(service_port, "iris") == [str(number) for number in range(1, 12) if number != 7]


def test_events_are_sent_when_they_are_due_and_after_a_failure_when_the_service_says(
    connect: Connect, proxy: BreakingProxy
) -> None:
    device = Device()
    client = connect(clocks=device.clocks)
    client.step()
    client.record(item_id=260, user_id="hugo")
    device.pass_(29)
    client.step()
    assert client.status().n_waiting == 1
    proxy.break_("api/events", "status-503")
    device.pass_(1)
    assert client.step() == pytest.approx(7)
    proxy.mend()
    device.pass_(6.9)
    client.step()
    assert client.status().n_waiting == 1
    device.pass_(0.2)
    client.step()

    assert client.status().n_waiting == 0


def test_erased_user_is_forgotten_with_what_waits(connect: Connect) -> None:
    client = connect()
    client.record(item_id=260, user_id="gus")

    assert client.erase("gus") == 1
    assert (client.erase("gus"), client.status().n_waiting) == (0, 0)


def test_reports_are_taken_by_the_service_with_what_was_compared(
    client: EdgeClient, connect: Connect, proxy: BreakingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(EdgeSettings(timeout_s=20, compare_every=1))
    for _ in range(3):
        client.recommend(HISTORY)
    client.step()

    assert proxy.count("api/recommend") == 3
    assert client.flush()
    assert proxy.count("api/events") == 1
    assert "refuses" not in caplog.text


def deliver(url: str, store: EventStore) -> Delivery:
    cloud = Cloud(Service(url, user_agent="tests"))
    tally = Tally(client_version="0")
    return Delivery(
        cloud, store, tally, bundle_version=str, on_refused=lambda event, why: None, rng=Random(1)
    )


def test_report_that_the_service_refuses_does_not_hold_up_events(
    proxy: BreakingProxy, service_port: int
) -> None:
    store = EventStore(None)
    store.keep_report({"report_id": "not an id of a report"})
    store.record(item_id=260, user_id="bea", kind="view", at_s=time.time())

    retry_s = deliver(proxy.url, store).send(now_s=time.time())

    assert (retry_s, store.n_waiting(), store.oldest_report()) == (None, 0, None)
    assert stored(service_port, "bea") == ["260"]


def test_attempts_become_rarer_while_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    store = EventStore(None)
    store.record(item_id=260, user_id="ada", kind="view", at_s=0.0)
    delivery = deliver(url, store)

    waits_s = [delivery.send(now_s=0.0) or 0.0 for _ in range(12)]

    longest_s = [min(300.0, 2.0**n) for n in range(12)]
    assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits_s, longest_s, strict=True))
    assert store.n_waiting() == 1


def test_processes_of_a_device_share_its_events(connect: Connect, service_port: int) -> None:
    one, other = connect(), connect()
    one.record(item_id=260, user_id="ute")

    assert other.status().n_waiting == 1
    assert other.flush()
    assert (one.status().n_waiting, stored(service_port, "ute")) == (0, ["260"])


def test_background_fetches_the_bundle_and_sends_events_by_itself(
    connect: Connect, service_port: int
) -> None:
    client = connect(EdgeSettings(events_at=2), is_background=True)
    client.record(item_id=260, user_id="fay")
    client.record(item_id=1196, user_id="fay")

    give_up_s = time.monotonic() + 20
    while (not client.bundle_version or client.status().n_waiting) and time.monotonic() < give_up_s:
        time.sleep(0.02)

    assert client.recommend(user_id="fay").by == "edge"
    assert stored(service_port, "fay") == ["260", "1196"]


def test_closing_sends_what_waits(connect: Connect, service_port: int) -> None:
    client = connect()
    client.record(item_id=260, user_id="eve")
    client.close()

    assert stored(service_port, "eve") == ["260"]


def test_damaged_queue_is_put_aside(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "events.db").write_bytes(b"not a database, and long enough to be read as one" * 100)
    client = connect()

    client.record(item_id=260, user_id="dan")

    assert (client.status().n_waiting, client.status().cache_error) == (1, "")
    assert (tmp_path / "cache" / "events.damaged").exists()
    client.erase("dan")


def test_person_at_a_kiosk_can_try_it(proxy: BreakingProxy, cache: Path) -> None:
    given = ["--service", proxy.url, "--cache", str(cache), "--history", "260,1196", "-k", "5"]
    done = subprocess.run(
        [sys.executable, "-m", "recserve_edge", "recommend", *given],
        env={**os.environ, "PYTHONPATH": str(ROOT / "edge" / "python")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("by edge (default) in ")
    assert len(done.stdout.splitlines()) == 6


def test_command_says_in_a_line_what_was_wrong(
    proxy: BreakingProxy, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--service", proxy.url, "--cache", str(cache), "--offline"]
    status = main(["recommend", *given, "--history", "260", "-k", "500"])

    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    assert said.err == "error: k: 500 is not allowed; send an integer from 1 to 100\n"


def test_command_tells_how_the_device_is(
    proxy: BreakingProxy, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--service", proxy.url, "--cache", str(cache), "--offline"]
    recorded = main(["record", *given, "--user", "cora", "--item", "260"])
    status = main(["status", *given, "--json"])

    lines = capsys.readouterr().out.splitlines()
    assert (recorded, status) == (0, 0)
    assert lines[0].endswith("is with the service")
    assert json.loads(lines[1])["bundle_error"] is None


def test_client_without_a_cache_keeps_the_bundle_in_memory(connect: Connect) -> None:
    client = connect(cache_dir=None)

    assert client.update()
    assert client.recommend(HISTORY).by == "edge"
    assert client.status().cache_error == "no directory was given"
