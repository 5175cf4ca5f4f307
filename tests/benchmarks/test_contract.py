from typing import Any

import pytest

from benchmarks.contract import UNWRITTEN, ContractBench, format_table, run


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The running app, asked as much as `ContractBench` says: most of a minute."""
    figures = run(ContractBench())
    print("\n" + format_table(figures))
    return figures


def test_running_app_keeps_its_contract(figures: dict[str, Any]) -> None:
    assert figures["findings"] == []
    assert figures["n_server_errors"] == 0


def test_every_operation_was_sent_what_is_allowed_and_what_is_not(figures: dict[str, Any]) -> None:
    tallies = figures["operations"]

    assert {label for label, tally in tallies.items() if not tally["n_allowed"]} == set()
    assert {label for label, tally in tallies.items() if not tally["n_forbidden"]} == set()
    assert {label for label, tally in tallies.items() if not tally["statuses"].get(200)} == set()


def test_keys_were_enforced_where_the_document_asks_for_them(figures: dict[str, Any]) -> None:
    public = {label for label, tally in figures["operations"].items() if 401 not in tally["statuses"]}

    assert public == {"GET /health/live", "GET /health/ready", "GET /openapi.json"}


def test_few_requests_are_let_pass(figures: dict[str, Any]) -> None:
    tallies = figures["operations"]
    with_rules = {"POST /recommend", "POST /recommend/batch", "POST /events"}

    assert sum(n for rule, n in figures["let_pass"].items() if rule not in UNWRITTEN) <= 10
    for label in with_rules:
        assert tallies[label]["n_let_pass"] < tallies[label]["statuses"][200] / 2
    for label in tallies.keys() - with_rules:
        assert tallies[label]["n_let_pass"] <= 10
