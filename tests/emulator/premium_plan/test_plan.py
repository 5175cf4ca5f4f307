"""A plan with the real function app: it starts, scales, survives faults, and leaves nothing behind."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.emulator.app_insights.emulator_process import EmulatorProcess
from tests.emulator.conftest import write_app
from tests.emulator.premium_plan.plan_process import REPOSITORY, PlanProcess, are_gone, is_free

Start = Callable[..., PlanProcess]

NEVER_READY = """
    @app.route("health/ready")
    def ready(req):
        print("the models are on their way", flush=True)
        return func.HttpResponse(status_code=503)
"""


def test_plan_answers_through_its_instances_and_leaves_nothing_behind(start_plan: Start) -> None:
    plan = start_plan().wait_until_up()
    answer = plan.recommend()
    url = plan.url

    assert (answer.status_code, answer.headers["x-recserve-instance"]) == (200, "I1")
    assert len(answer.json()["items"]) == 5

    plan.wait_for("state", to="pre_warmed", instance="I2", cause="scale_out")

    assert {each["instance"]: each["state"] for each in plan.status()["instances"]} == {
        "I1": "active",
        "I2": "pre_warmed",
    }
    assert plan.stop(signal.SIGINT) == 0
    assert are_gone(plan.pids())
    assert is_free(url)
    assert "Traceback" not in plan.said
    assert not (plan.data / "control.json").exists()


def test_load_takes_the_pre_warmed_instance_before_a_cold_one(start_plan: Start) -> None:
    plan = start_plan("--target", "1", "--max-burst", "3").wait_until_up()
    plan.recommend()
    plan.wait_for("state", to="pre_warmed", instance="I2")
    with plan.load(8) as answers:
        plan.wait_for("decision", action="activate", instance="I2", reason="demand")
        plan.wait_for("decision", action="add", role="pre_warmed", reason="refill")
        answers.wait_for("I2")
        answers.wait_for("I3")

    assert answers.statuses == {200}

    seconds = [event["allocated_s"] for event in plan.events("allocation")]

    assert {kind for by_instance in seconds for spent in by_instance.values() for kind in spent} >= {
        "starting",
        "idle",
        "active",
        "pre_warmed",
        "burst",
    }


def test_cold_instance_gets_requests_that_wait_where_the_buffer_is_off(start_plan: Start) -> None:
    plan = start_plan("--target", "1", "--max-burst", "2", "--pre-warmed", "0").wait_until_up()
    with plan.load(8) as answers:
        answers.wait_for("I2")

    assert answers.statuses == {200}
    assert plan.events("decision", action="add", role="active", reason="demand")
    assert plan.status()["load"]["n_cold"] > 0


def test_killed_instance_fails_its_own_requests_only_and_is_replaced(start_plan: Start) -> None:
    plan = start_plan("--pre-warmed", "0", "--max-burst", "1").wait_until_up()
    with plan.load() as answers:
        answers.wait_for("I1")
        said = plan.command("kill", "I1")
        answers.wait_for("I2")
        answers.seen.clear()
        answers.wait_for("I2")

    assert said == "I1 is killed\n"
    assert answers.statuses == {200}
    assert plan.events("ended", instance="I1", exit_status=-signal.SIGKILL)
    assert plan.wait_for("state", instance="I2", to="starting")["cause"] == "replacement"


def test_restart_of_all_instances_fails_no_request(start_plan: Start) -> None:
    plan = start_plan("--target", "64").wait_until_up()
    with plan.load() as answers:
        plan.wait_for("state", to="pre_warmed", instance="I2")
        said = plan.command("restart", "all")
        answers.wait_for("I3")
        plan.wait_for("ended", instance="I1")

    assert said == "2 instances are replaced\n"
    assert answers.statuses == {200}
    assert answers.instances == {"I1", "I3"}
    assert {event["exit_status"] for event in plan.events("ended")} == {0}


def test_frozen_instance_is_replaced_once_it_fails_its_probes(start_plan: Start) -> None:
    plan = start_plan("--pre-warmed", "0", "--probe-timeout-s", "0.3").wait_until_up()
    plan.command("freeze", "I1")
    reason = plan.wait_for("health", instance="I1")["reason"]
    plan.wait_for("state", instance="I2", to="active")

    assert reason == "does not answer: 3 probes failed in a row"
    assert plan.recommend().headers["x-recserve-instance"] == "I2"


def test_slow_instance_still_answers_and_can_be_thawed(start_plan: Start) -> None:
    plan = start_plan().wait_until_up()
    slowed = plan.command("slow", "I1", "0.2")
    answer = plan.recommend()

    assert slowed == "I1 runs for 20% of the time\n"
    assert answer.status_code == 200
    assert plan.command("thaw", "I1") == "I1 runs freely\n"


def test_cut_state_store_holds_up_writes_and_no_reads(start_plan: Start) -> None:
    plan = start_plan().wait_until_up()
    event = {
        "events": [
            {"event_id": "1", "user_id": "ann", "item_id": 260, "kind": "view", "at": "2026-11-01T10:00:00Z"}
        ]
    }
    said = plan.command("cut", "state", "60")
    read = httpx.get(f"{plan.url}/api/recommend/ann", timeout=30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{plan.url}/api/events", json=event, timeout=0.5)
    plan.command("restore", "state")
    written = httpx.post(f"{plan.url}/api/events", json=event, timeout=30)

    assert "writes wait, reads go on" in said
    assert read.status_code == 200
    assert written.status_code == 200


def test_terminal_takes_commands_and_refuses_with_what_there_is(start_plan: Start) -> None:
    plan = start_plan().wait_until_up()
    assert plan.process.stdin is not None
    print("kill I9\nkil I1\nslow I1 fast\nfreeze I1 -1\nstatus", file=plan.process.stdin, flush=True)
    said = plan.wait_for_text('"instances": [')

    assert "> kill I9: cannot be done: no instance 'I9'; there are I1\n" in said
    assert "unknown command 'kil I1'; there are:\nkill <instance>" in said
    assert "'fast' is no share of the time; give a number from 0.01 to 1" in said
    assert "'-1' is no duration; give seconds above 0" in said


def test_app_that_fails_to_import_is_told_with_its_own_last_lines(start_plan: Start, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "import a_package_that_is_not_there\n")
    plan = start_plan("--script-root", str(app))

    assert plan.process.wait(30) == 1
    assert "error: instance I1 ended by itself: exit status 1; its last lines:" in plan.said
    assert "ModuleNotFoundError: No module named 'a_package_that_is_not_there'" in plan.said
    assert "emulator/premium_plan" not in plan.said


def test_app_that_is_never_ready_is_told_with_its_own_last_lines(start_plan: Start, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", NEVER_READY)
    plan = start_plan("--script-root", str(app), "--start-timeout-s", "4")

    assert plan.process.wait(30) == 1
    assert "error: instance I1 is not ready after 4 s: /api/health/ready answers 503; its last" in plan.said
    assert "the models are on their way" in plan.said
    assert are_gone(plan.pids())


def test_damaged_models_are_told_at_once(
    start_plan: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSERVE_MODELS_DIR", str(tmp_path))
    plan = start_plan()

    assert plan.process.wait(30) == 1
    assert "will never be ready: the process cannot serve: cannot read manifest.json" in plan.said


def test_app_without_a_readiness_check_is_ready_with_its_host(start_plan: Start, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "@app.route('hello')\ndef hello(req): return 'hello'\n")
    plan = start_plan("--script-root", str(app)).wait_until_up()

    assert httpx.get(f"{plan.url}/api/hello").text == "hello"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.45, 0.7])
def test_signal_at_any_moment_leaves_nothing(start_plan: Start, after_s: float, number: int) -> None:
    plan = start_plan()
    time.sleep(after_s)
    plan.stop(number)

    assert are_gone(plan.pids())
    assert "Traceback" not in plan.said


def test_instances_end_with_a_plan_that_is_killed(start_plan: Start) -> None:
    plan = start_plan("--always-ready", "2").wait_until_up()
    plan.command("freeze", "I1")
    plan.stop(signal.SIGKILL)

    assert len(plan.pids()) == 2
    assert are_gone(plan.pids())


def test_plan_ends_at_its_time_limit(start_plan: Start) -> None:
    plan = start_plan("--time-limit-s", "0.5")

    assert plan.process.wait(30) == 0
    assert "the plan has stopped; allocated: starting" in plan.said


def test_address_in_use_is_one_line_with_the_remedy(start_plan: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plan = start_plan("--port", str(port))
        status = plan.process.wait(30)

    assert status == 1
    assert plan.said == (
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what runs there, or choose another --port\n"
    )


def test_second_plan_on_a_folder_is_refused(start_plan: Start, tmp_path: Path) -> None:
    first = start_plan().wait_until_up()
    refused = subprocess.run(
        [sys.executable, "-m", "emulator", "plan", "--data", str(first.data), "--port", "0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: another plan runs on {first.data}; stop it, or")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pre-warmed", "4"), "4 pre-warmed instances are above the maximum burst of 3"),
        (("--sku", "EP9"), "unknown size 'EP9'; Premium has EP1, EP2, EP3"),
        (("--always-ready", "0"), "0 always-ready instances; a plan has 1 to 20"),
        (("--target", "0"), "target_outstanding is 0; give more than 0"),
        (("--start-timeout-s", "0"), "start_timeout_s is 0; give seconds above 0"),
        (("--state", "paper"), "--state is 'paper'; give settings or azurite"),
        (
            ("--app-insights", "nonsense"),
            "cannot send to Application Insights 'nonsense'; give its connection",
        ),
        (("--script-root", "docs"), "host.json is missing in"),
    ],
)
def test_impossible_plan_is_one_line(start_plan: Start, options: tuple[str, ...], said: str) -> None:
    plan = start_plan(*options)

    assert plan.process.wait(30) == 1
    assert plan.said.startswith(f"error: {said}")
    assert plan.said.count("\n") == 1


def test_command_without_a_plan_says_how_to_start_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "plan-command", "--data", str(tmp_path), "status"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: no plan runs on {tmp_path}; start one with")


def test_control_endpoint_wants_its_token(start_plan: Start) -> None:
    plan = start_plan().wait_until_up()
    control = (plan.data / "control.json").read_text()
    url = control.partition('"url": "')[2].partition('"')[0]

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"x-token": "guess"}).status_code == 401
    assert (plan.data / "control.json").stat().st_mode & 0o077 == 0


def test_platform_telemetry_arrives_in_the_tables(start_plan: Start, tmp_path: Path) -> None:
    emulator = EmulatorProcess(tmp_path / "insights")
    try:
        plan = start_plan("--app-insights", emulator.connection_string, "--time-limit-s", "3")
        assert plan.process.wait(30) == 0
        states = emulator.rows(
            'AppTraces | where Properties["plan.event"] == "state"'
            ' | project AppRoleName, AppRoleInstance, To = tostring(Properties["plan.to"]) | order by To'
        )
        seconds = emulator.rows(
            'AppMetrics | where Name == "plan.allocated_s"'
            ' | summarize S = sum(Sum) by Class = tostring(Properties["plan.class"]), AppRoleInstance'
        )
    finally:
        emulator.kill()

    total_s = plan.events("stopped")[0]["total_s"]

    assert ["recserve", "I1", "active"] in states
    assert ["recserve", "I1", "starting"] in states
    assert {kind: round(spent_s, 1) for kind, _, spent_s in seconds} == {
        kind: round(spent_s, 1) for kind, spent_s in total_s.items()
    }


def test_seconds_of_an_instance_add_up_to_its_lifetime(start_plan: Start) -> None:
    plan = start_plan("--time-limit-s", "2")
    assert plan.process.wait(30) == 0
    spent = [event["allocated_s"].get("I1", {}) for event in plan.events("allocation")]
    [ended] = plan.events("ended", instance="I1")

    assert sum(sum(by_class.values()) for by_class in spent) == pytest.approx(ended["lifetime_s"], abs=0.001)
