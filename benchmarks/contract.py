"""Whether the running app keeps the contract of its own OpenAPI document, asked by Schemathesis.

The app runs behind the stand-in host in a process of its own, with keys enforced. Schemathesis gets the
document from it and sends what that allows and what it forbids: the edges of every schema, then random
requests, then chains of requests with data from earlier answers. All its checks look at every answer, but

    unsupported_method        is off: to Azure's host a method that a route does not have is no route, and
                              it says 404 where the check wants 405; the app never sees such a request. They
                              are sent all the same.
    use_after_free            is off: user ids are the caller's, and one that was erased is as good as one
                              never seen: 200, and nothing stored.
    positive_data_acceptance  lets pass what the answer says breaks one of `UNWRITTEN`, and user ids with a
                              slash in a path: the document forbids them there, but chains take an id from
                              one answer to the next path without looking.
    negative_data_rejection   lets pass requests whose only fault is a header that the document does not
                              name, which HTTP wants ignored (RFC 9110, section 5.1), or a query parameter
                              without a value, which the host leaves out.

What the last two let pass is counted.
"""

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi.checks import RejectedPositiveData

from benchmarks.server import ROOT, Server, serving
from recserve.edge.bundle import read_bundle

SERVER_CORE = min(os.sched_getaffinity(0))
N_IDS = 40
MAX_SHOWN = 2000
"Longest part of a request or an answer that a finding shows."
UNWRITTEN: Mapping[str, str] = {
    "integers are written without a fraction": r": (-?\d+\.0|-?\d(\.\d+)?e\+?\d+) is not allowed; send an integer",
    "pins are of the catalogue": r"^pinned item .* is not in the catalogue",
    "pins are inside the list": r"^item .* is pinned to position \d+ of a list of \d+",
    "pins differ in item and position": r"(item|position) .* is pinned twice",
    "years are in order": r"`min_year` \d+ is after `max_year` \d+",
    "no more is alike than was compared": r"`overlap_sum` \S+ or `n_identical` \d+ is more than `n` \d+",
}
"Rules that JSON Schema has no words for, and what we answer to whoever breaks one."
UNNAMED_HEADER = "a header that the document does not name"
CHAINED_SLASH = "an id with a slash that a chain of requests put into a path"
EMPTY_VALUE = "a query parameter without a value"
ITEMS_IN_BODIES = (
    "events[*].item_id",
    *(
        f"{request}{where}"
        for request in ("", "requests[*].")
        for where in ("history[*]", "rules.pins[*].item_id", "rules.filters.allow.item_ids[*]")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractBench:
    examples: int = 100
    "Random requests per operation, and chains of requests in all; the edges of the schemas come on top."
    seed: int = 0
    with_edges: bool = True
    "The edges of every schema too, which are the same with every seed."
    models_dir: str = "models"


@dataclass(slots=True)
class Tally:
    """What one operation was sent and how it answered."""

    n_cases: int = 0
    n_allowed: int = 0
    "Of those, how many are as the document wants them."
    n_forbidden: int = 0
    n_let_pass: int = 0
    "Failed checks that are excused by this module's docstring."
    statuses: dict[int, int] = field(default_factory=dict)
    "Answers by status."


def run(bench: ContractBench) -> dict[str, Any]:
    """Ask the app; returns cases and statuses by operation, and what was found."""
    with tempfile.TemporaryDirectory(prefix="recserve-contract-") as directory:
        settings = {
            "RECSERVE_MODELS_DIR": str(Path(bench.models_dir).resolve()),
            "RECSERVE_STATE_PATH": f"{directory}/state.db",
            "RECSERVE_EDGE": "key",
        }
        log = Path(directory) / "server.log"
        with serving(settings, core=SERVER_CORE, log=log, options=("--enable-auth",)) as server:
            return ask(bench, server)


def ask(bench: ContractBench, server: Server) -> dict[str, Any]:
    """Ask an app that runs, with keys enforced and printed into its log; returns what `run` does."""
    base_url = f"http://127.0.0.1:{server.port}/api"
    # Loaded from its address, the document would be left out of the operations.
    document = httpx.get(f"{base_url}/openapi.json").raise_for_status().json()
    schema = schemathesis.openapi.from_dict(document, config=_config(bench, base_url, _master_key(server)))
    tallies = {label: Tally() for label in _labels(document)}
    let_pass: Counter[str] = Counter()

    @schema.hook
    def filter_failure(
        context: object, failure: Failure, case: schemathesis.Case[Any], response: Response
    ) -> bool:
        why = _why_let_pass(failure, response)
        if why:
            let_pass[why] += 1
            tallies[case.operation.label].n_let_pass += 1
        return not why

    findings: dict[str, None] = {}
    "As an ordered set: Schemathesis finds some things more than once."
    duration_s = 0.0
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                _count(recorder, tallies)
                findings |= dict.fromkeys(_findings(recorder))
            case events.NonFatalError(value=err) | events.FatalError(exception=err):
                findings[f"Schemathesis could not go on: {err!r}"] = None
            case events.EngineFinished():
                duration_s = event.running_time
    return {
        "n_cases": sum(tally.n_cases for tally in tallies.values()),
        "n_server_errors": sum(
            n for tally in tallies.values() for status, n in tally.statuses.items() if status >= 500
        ),
        "duration_s": round(duration_s, 1),
        "operations": {label: asdict(tally) for label, tally in tallies.items()},
        "let_pass": dict(let_pass),
        "findings": list(findings),
    }


def _labels(document: Mapping[str, Any]) -> Iterator[str]:
    """Every operation as Schemathesis calls it."""
    for path, operations in document["paths"].items():
        for method in operations:
            yield f"{method.upper()} {path}"


def _master_key(server: Server) -> str:
    """The key that opens every function; the stand-in host prints it when it starts."""
    printed = re.search(r"^\s+master\s+(\S+)$", server.log.read_text(), re.MULTILINE)
    assert printed is not None
    return printed.group(1)


def _config(bench: ContractBench, base_url: str, key: str) -> SchemathesisConfig:
    ids, files = _catalogue_ids(bench), _bundle_names()
    # What is drawn from answers is not the same in the next run: they hold random ids.
    repeatable = {"extra-data-sources": {"responses": False}}
    return SchemathesisConfig.from_dict(
        {
            "base-url": base_url,
            "headers": {"x-functions-key": key},
            "seed": bench.seed,
            "continue-on-failure": True,
            "generation": {"mode": "all", "max-examples": bench.examples, "database": "none"},
            "phases": {
                "examples": repeatable | {"enabled": bench.with_edges},
                "coverage": repeatable | {"enabled": bench.with_edges},
                "fuzzing": repeatable | {"error-feedback": {"enabled": False}},
            },
            "checks": {"unsupported_method": {"enabled": False}, "use_after_free": {"enabled": False}},
            # A random item id is next to never one of the catalogue.
            "dictionaries": {
                "ids": {"values": ids},
                "texts": {"values": [*map(str, ids)]},
                "files": {"values": files},
            },
            "parameters": {
                "path.item_id": {"dictionary": "texts", "probability": 0.5},
                "path.name": {"dictionary": "files", "probability": 0.5},
                **{f"body.{where}": {"dictionary": "ids", "probability": 0.5} for where in ITEMS_IN_BODIES},
            },
        }
    )


def _catalogue_ids(bench: ContractBench) -> list[int | str]:
    ids: list[int | str] = json.loads((Path(bench.models_dir) / "catalogue.json").read_text())["ids"]
    return ids[:N_IDS]


def _bundle_names() -> list[str]:
    """Names of the files that devices are given."""
    bundle = read_bundle(ROOT / "models" / "edge")
    return [bundle.model.name, bundle.popular.name, bundle.catalogue.name]


def _why_let_pass(failure: Failure, response: Response) -> str:
    """Which of the rules in this module's docstring excuses a failed check; empty for none."""
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        detail = json.loads(response.content)["detail"]
        excuses = {**UNWRITTEN, CHAINED_SLASH: "holds a slash, which a path cannot carry"}
        return next((rule for rule, answer in excuses.items() if re.search(answer, detail, re.DOTALL)), "")
    if not isinstance(failure, AcceptedNegativeData):
        return ""
    if failure.message.endswith("in header - object with unexpected properties"):
        return UNNAMED_HEADER
    wrong = re.search(r"parameters? (.*) in query", failure.message)
    sent = parse_qsl(urlsplit(str(response.request.url)).query, keep_blank_values=True)
    without_value = {f"`{name}`" for name, value in sent if not value}
    return EMPTY_VALUE if wrong and without_value.issuperset(wrong.group(1).split(", ")) else ""


def _count(recorder: ScenarioRecorder, tallies: Mapping[str, Tally]) -> None:
    for case_id, node in recorder.cases.items():
        tally = tallies[node.value.operation.label]
        tally.n_cases += 1
        if node.value.meta is not None:
            is_allowed = node.value.meta.generation.mode.is_positive
            tally.n_allowed += is_allowed
            tally.n_forbidden += not is_allowed
        if (response := recorder.find_response(case_id=case_id)) is not None:
            status = response.status_code
            tally.statuses[status] = tally.statuses.get(status, 0) + 1


def _findings(recorder: ScenarioRecorder) -> Iterator[str]:
    for case_id, checks in recorder.checks.items():
        response = recorder.find_response(case_id=case_id)
        answer = response.content.decode(errors="replace")[:MAX_SHOWN] if response else "no answer"
        for check in checks:
            if check.failure_info is not None:
                failure, command = check.failure_info.failure, check.failure_info.code_sample[:MAX_SHOWN]
                yield f"{recorder.label}: {failure.title}: {failure.message}\n{command}\n{answer}"
            elif check.status is not Status.SUCCESS:
                yield f"{recorder.label}: the check {check.name} itself failed\n{answer}"


def format_table(figures: Mapping[str, Any]) -> str:
    """Cases by operation, and how they were answered."""
    lines = [f"{'operation':34} {'cases':>6} {'allowed':>8} {'forbidden':>10} {'let pass':>8}  statuses"]
    for label, tally in figures["operations"].items():
        statuses = ", ".join(f"{status} x {n}" for status, n in sorted(tally["statuses"].items()))
        lines.append(
            f"{label:34} {tally['n_cases']:6} {tally['n_allowed']:8} {tally['n_forbidden']:10} "
            f"{tally['n_let_pass']:8}  {statuses}"
        )
    lines += [
        f"{figures['n_cases']} cases in {figures['duration_s']} s, {figures['n_server_errors']} answers of 5xx, "
        f"{len(figures['findings'])} findings",
        *(f"let pass {n} x {rule}" for rule, n in sorted(figures["let_pass"].items())),
        *figures["findings"],
    ]
    return "\n".join(lines)
