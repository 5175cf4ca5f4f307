"""Price lists, and the Retail Prices API, whose answers stand in `retail_prices/`.

These answers are written by hand in the published schema: prices of East US, some with a price that is over,
one that is yet to come, and meters that nobody here bills. A server of our own gives them out.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from planner.price_list import PRICES_DIR, PriceError, read_prices, write_prices
from planner.price_refresh import refresh_prices

TODAY = date(2026, 11, 22)
RECORDED = Path(__file__).parent / "retail_prices"
FUNCTIONS = (
    "serviceName eq 'Functions' and armRegionName eq 'eastus' and priceType eq 'Consumption'",
    "functions",
)
LOGS = (
    "serviceName eq 'Log Analytics' and armRegionName eq 'eastus' and priceType eq 'Consumption'",
    "log-analytics",
)


class RetailPricesApi:
    """The API on a port of this machine: recorded pages, or what a test puts in their place."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        "Path and query of each request."
        self.refusals: list[tuple[int, dict[str, str]]] = []
        "Status and headers of the next answers, before any page."
        self.body: bytes | None = None
        "What is answered instead of pages."
        self.change: Callable[[list[dict]], None] = lambda rows: None
        "Alters the rows of each page."
        self.next_host: str | None = None
        "Where pages continue, if not here."
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                status, headers = api.refusals.pop(0) if api.refusals else (200, {})
                body = api._page(self.path) if status == 200 else b"Too Many Requests"
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}/api/retail/prices"

    def _page(self, path: str) -> bytes:
        if self.body is not None:
            return self.body
        query = parse_qs(urlsplit(path).query)
        known = dict((FUNCTIONS, LOGS))
        if query["$filter"][0] not in known:
            return json.dumps({"Items": [], "NextPageLink": None, "Count": 0}).encode()
        page = json.loads(
            (RECORDED / f"{known[query['$filter'][0]]}-{query.get('$skip', '0')[0]}.json").read_text()
        )
        if page["NextPageLink"]:
            page["NextPageLink"] = page["NextPageLink"].replace(
                "https://prices.azure.com:443", f"http://{self.next_host or self.host}"
            )
        self.change(page["Items"])
        return json.dumps(page).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[RetailPricesApi]:
    api = RetailPricesApi()
    yield api
    api.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Price lists as shipped."""
    (tmp_path / "eastus-2026-10.json").write_bytes((PRICES_DIR / "eastus-2026-10.json").read_bytes())
    return tmp_path


def refresh(api: RetailPricesApi, folder: Path, region: str = "eastus", waits: list[float] | None = None):
    sleep = (lambda seconds: None) if waits is None else waits.append
    return refresh_prices(region, today=TODAY, folder=folder, api_url=api.url, sleep=sleep)


def only(meter: str, **values: object) -> Callable[[list[dict]], None]:
    """Changes the paid rows of one meter."""

    def change(rows: list[dict]) -> None:
        for row in rows:
            if row["meterName"] == meter and row["retailPrice"]:
                row.update(values)

    return change


def without(meter: str) -> Callable[[list[dict]], None]:
    def change(rows: list[dict]) -> None:
        rows[:] = [row for row in rows if row["meterName"] != meter]

    return change


def test_shipped_list_has_the_prices_that_are_known() -> None:
    told = {
        f"{plan}.{name}": (str(meter.price), str(meter.free))
        for plan, name, meter in read_prices("eastus").lines()
    }

    assert told == {
        "premium.vcpu": ("0.173", "0"),
        "premium.memory": ("0.0123", "0"),
        "flex.on_demand_execution": ("0.000026", "100000"),
        "flex.on_demand_executions": ("0.40", "0.25"),
        "flex.always_ready_baseline": ("0.000004", "0"),
        "flex.always_ready_execution": ("0.000016", "0"),
        "flex.always_ready_executions": ("0.40", "0"),
        "consumption.execution": ("0.000016", "400000"),
        "consumption.executions": ("0.20", "1"),
        "egress.internet": ("0.087", "100"),
        "telemetry.ingestion": ("2.30", "5"),
        "aws_lambda.duration": ("0.0000166667", "400000"),
        "aws_lambda.requests": ("0.20", "1"),
        "aws_lambda.provisioned": ("0.0000041667", "0"),
        "aws_lambda.provisioned_duration": ("0.0000097222", "0"),
        "aws_lambda.provisioned_requests": ("0.20", "0"),
        "cloud_run.vcpu": ("0.000024", "180000"),
        "cloud_run.memory": ("0.0000025", "360000"),
        "cloud_run.requests": ("0.40", "2"),
        "cloud_run.idle_vcpu": ("0.0000025", "0"),
        "cloud_run.idle_memory": ("0.0000025", "0"),
    }


def test_every_plan_of_the_shipped_list_says_where_its_prices_are_from() -> None:
    assert all(
        plan.source and plan.checked and plan.unconfirmed for plan in read_prices("eastus").plans.values()
    )


def test_refresh_reads_all_pages_and_writes_a_list_of_the_day(api: RetailPricesApi, folder: Path) -> None:
    refreshed = refresh(api, folder)

    assert refreshed.path == folder / "eastus-2026-11-22.json"
    assert read_prices("eastus", folder=folder) == refreshed.prices
    assert len(api.asked) == 3
    flex = refreshed.prices.plans["flex"]
    assert (flex.checked, flex.unconfirmed, api.url in flex.source) == ("2026-11-22", None, True)
    assert (flex.meters["on_demand_executions"].price, flex.meters["on_demand_executions"].free) == (
        Decimal("0.4"),
        Decimal("0.25"),
    )
    assert flex.meters["on_demand_execution"].since == "2024-11-01"


def test_refresh_tells_what_changed_and_nothing_else(api: RetailPricesApi, folder: Path) -> None:
    changes = refresh(api, folder).changes

    assert [(each.plan, each.meter, each.before.price, each.after.price) for each in changes] == [
        ("flex", "always_ready_baseline", Decimal("0.000004"), Decimal("0.000005"))
    ]


def test_a_second_refresh_of_the_day_replaces_the_first(api: RetailPricesApi, folder: Path) -> None:
    refresh(api, folder)
    api.change = only("Premium vCPU Duration", retailPrice=0.18, effectiveStartDate="2026-11-01T00:00:00Z")
    del api.asked[:]

    assert [(each.meter, each.after.price) for each in refresh(api, folder).changes] == [
        ("vcpu", Decimal("0.18"))
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["eastus-2026-10.json", "eastus-2026-11-22.json"]


def test_services_elsewhere_keep_their_prices_and_dates(api: RetailPricesApi, folder: Path) -> None:
    before = read_prices("eastus", folder=folder)

    after = refresh(api, folder).prices

    assert [after.plans[plan] == before.plans[plan] for plan in ("aws_lambda", "cloud_run")] == [True, True]


def test_prices_that_are_over_or_yet_to_come_do_not_count(api: RetailPricesApi, folder: Path) -> None:
    def add(rows: list[dict]) -> None:
        paid = [row for row in rows if row["meterName"] == "Premium vCPU Duration"]
        days = {"effectiveStartDate": "2026-01-01T00:00:00Z", "effectiveEndDate": "2026-11-22T00:00:00Z"}
        rows.extend({**row, **days, "retailPrice": 0.1} for row in paid[:1])

    api.change = add

    assert refresh(api, folder).prices.plans["premium"].meters["vcpu"].price == Decimal("0.173")


@pytest.mark.parametrize(
    ("rename", "named"),
    [
        ("Premium vCPU Duration", "Premium Functions / Premium vCPU Duration"),
        ("Always Ready Baseline", "Flex Consumption / Always Ready Baseline"),
        ("Analytics Logs Data Ingestion", "Log Analytics / Analytics Logs Data Ingestion"),
    ],
)
def test_a_missing_meter_is_named_and_nothing_is_written(
    api: RetailPricesApi, folder: Path, rename: str, named: str
) -> None:
    api.change = without(rename)

    with pytest.raises(PriceError, match=f"no price of '{named}'; nothing was written"):
        refresh(api, folder)
    assert [path.name for path in folder.iterdir()] == ["eastus-2026-10.json"]


def test_a_meter_with_its_free_row_alone_is_missing(api: RetailPricesApi, folder: Path) -> None:
    api.change = only("On Demand Execution Time", retailPrice=0.0)

    with pytest.raises(PriceError, match="no price of 'Flex Consumption / On Demand Execution Time'"):
        refresh(api, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (only("Premium Memory Duration", retailPrice=-0.01), "'Premium Memory Duration': a price of -0.01"),
        (only("Premium Memory Duration", retailPrice="NaN"), "'Premium Memory Duration' costs NaN"),
        (only("Premium Memory Duration", retailPrice="Infinity"), "'Premium Memory Duration' costs Infinity"),
        (only("Premium Memory Duration", unitOfMeasure="1 GB Hour"), "priced per '1 GB Hour'; expected"),
        (only("On Demand Total Executions", unitOfMeasure="0"), "expected a number above 0"),
        (only("Premium Memory Duration", currencyCode="EUR"), "priced in EUR; only USD"),
        (only("Premium Memory Duration", tierMinimumUnits=10), "tiers of 0.0123 from 10"),
        (
            lambda rows: rows.extend(
                {**row, "tierMinimumUnits": 10**9, "retailPrice": 0.00001}
                for row in list(rows)
                if row["meterName"] == "Standard Execution Time" and row["retailPrice"]
            ),
            "'Standard Execution Time' has tiers of 0.0 from 0.0, 0.000016 from 400000.0, 0.00001 from 1000000000",
        ),
        (
            lambda rows: rows.extend(
                {**row, "retailPrice": 0.5}
                for row in list(rows)
                if row["meterName"] == "Premium Memory Duration"
            ),
            "'Premium Memory Duration' costs both 0.0123 and 0.5 from 2019-11-01 on",
        ),
    ],
)
def test_rows_that_cannot_be_billed_are_refused(
    api: RetailPricesApi, folder: Path, change: Callable[[list[dict]], None], said: str
) -> None:
    api.change = change

    with pytest.raises(PriceError, match=said):
        refresh(api, folder)
    assert [path.name for path in folder.iterdir()] == ["eastus-2026-10.json"]


def test_rows_of_other_regions_and_of_reservations_do_not_count(api: RetailPricesApi, folder: Path) -> None:
    def add(rows: list[dict]) -> None:
        paid = [row for row in rows if row["meterName"] == "Premium Memory Duration"]
        rows.extend({**row, "retailPrice": 9.0, "type": "Reservation"} for row in paid)
        rows.extend({**row, "retailPrice": 9.0, "armRegionName": "westus"} for row in paid)

    api.change = add

    assert refresh(api, folder).prices.plans["premium"].meters["memory"].price == Decimal("0.0123")


def test_a_region_that_the_api_does_not_know_is_refused(api: RetailPricesApi, folder: Path) -> None:
    with pytest.raises(PriceError, match="lists nothing for region 'atlantis'; name an Azure region"):
        refresh(api, folder, region="atlantis")


@pytest.mark.parametrize("region", ["East US", "eastus' or 1 eq 1", "../eastus", ""])
def test_a_name_that_no_region_has_is_never_sent(api: RetailPricesApi, folder: Path, region: str) -> None:
    with pytest.raises(PriceError, match="names no Azure region"):
        refresh(api, folder, region=region)
    assert api.asked == []


def test_a_busy_api_is_asked_again_when_it_says(api: RetailPricesApi, folder: Path) -> None:
    waits: list[float] = []
    api.refusals = [(429, {"Retry-After": "7"}), (500, {}), (503, {"Retry-After": "3600"})]

    refresh(api, folder, waits=waits)

    assert waits == [7.0, 2.0, 30.0]


@pytest.mark.parametrize(
    ("status", "said"),
    [(429, "answered 429 4 times; try again later"), (500, "answered 500 4 times; try again")],
)
def test_an_api_that_stays_busy_is_given_up(
    api: RetailPricesApi, folder: Path, status: int, said: str
) -> None:
    api.refusals = [(status, {})] * 9

    with pytest.raises(PriceError, match=said):
        refresh(api, folder)
    assert len(api.asked) == 4


def test_a_refusal_is_not_asked_again(api: RetailPricesApi, folder: Path) -> None:
    api.refusals = [(404, {})] * 9

    with pytest.raises(PriceError, match="answered 404; check the URL"):
        refresh(api, folder)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"Items": [',
        b"[]",
        b"{}",
        b'{"Items": null}',
        b'{"Items": [{"meterName": "x"}]}',
        b"\xff",
    ],
)
def test_an_answer_in_another_schema_is_refused(api: RetailPricesApi, folder: Path, body: bytes) -> None:
    api.body = body

    with pytest.raises(PriceError, match="did not answer with a page of prices"):
        refresh(api, folder)


def test_pages_elsewhere_are_not_read(api: RetailPricesApi, folder: Path) -> None:
    api.next_host = "localhost:1"

    with pytest.raises(PriceError, match="continues its list at 'localhost'"):
        refresh(api, folder)


def test_pages_without_end_are_given_up(api: RetailPricesApi, folder: Path) -> None:
    api.body = json.dumps({"Items": [], "NextPageLink": f"{api.url}?$skip=1"}).encode()

    with pytest.raises(PriceError, match="lists pages without end"):
        refresh(api, folder)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "prices.azure.com", "http://[", ""])
def test_an_api_that_is_not_there_is_one_line(folder: Path, url: str) -> None:
    with pytest.raises(PriceError, match=r"cannot reach|is no URL") as caught:
        refresh_prices("eastus", today=TODAY, folder=folder, api_url=url)
    assert "\n" not in str(caught.value)


def test_newest_list_counts(folder: Path) -> None:
    text = (folder / "eastus-2026-10.json").read_text()
    for day in ("2026-10-15", "2026-09-30", "2025-12"):
        (folder / f"eastus-{day}.json").write_text(
            text.replace('"checked": "2026-10"', f'"checked": "{day}"')
        )

    assert read_prices("eastus", folder=folder).checked == "2026-10-15"


def test_unknown_region_names_those_there_are(folder: Path) -> None:
    with pytest.raises(PriceError, match="no prices for region 'atlantis'; there are eastus"):
        read_prices("atlantis", folder=folder)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('{"price": 0.173,', '{"price": -0.173,', "a price of -0.173; give a number, 0 or more"),
        ('{"price": 0.173,', '{"price": "NaN",', "a price of NaN"),
        ('{"price": 0.173,', '{"price": "Infinity",', "a price of Infinity"),
        ('"free": 400000', '"free": -1', "a free amount of -1"),
        (
            '"unit": "vCPU-hour"',
            '"unit": "vCPU-s"',
            "premium.vcpu is priced per 'vCPU-s'; give a price per 'vCPU-hour'",
        ),
        ('"vcpu": {"price": 0.173', '"vpcu": {"price": 0.173', "no price of premium.vcpu; add"),
        ('"telemetry": {', '"telemetrics": {', "no price of telemetry.ingestion"),
        ('"USD"', '"EUR"', "EUR"),
        ('"USD",', '"USD"', "malformed"),
    ],
)
def test_a_damaged_list_is_one_line(folder: Path, before: str, after: str, said: str) -> None:
    path = folder / "eastus-2026-10.json"
    path.write_text(path.read_text().replace(before, after, 1))

    with pytest.raises(PriceError, match=said) as caught:
        read_prices("eastus", folder=folder)
    assert "\n" not in str(caught.value)
    assert "eastus-2026-10.json" in str(caught.value)


def test_a_list_under_the_name_of_another_region_is_refused(folder: Path) -> None:
    (folder / "westus-2026-10.json").write_bytes((folder / "eastus-2026-10.json").read_bytes())

    with pytest.raises(PriceError, match="has the prices of 'eastus'"):
        read_prices("westus", folder=folder)


def test_a_list_that_cannot_be_written_leaves_nothing(folder: Path) -> None:
    prices = read_prices("eastus", folder=folder)

    with pytest.raises(PriceError, match="name a folder that can be written to"):
        write_prices(prices, folder=folder / "missing")


def test_written_prices_are_the_same_to_the_last_digit(folder: Path) -> None:
    prices = read_prices("eastus", folder=folder)

    write_prices(prices, folder=folder)

    assert read_prices("eastus", folder=folder) == prices


def command(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", "prices", *arguments],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )


def test_prices_command_shows_date_and_what_is_unconfirmed(repository: Path) -> None:
    shown = command(repository).stdout

    assert "prices of eastus, USD, 2026-" in shown
    assert "unconfirmed: price and free amount are from memory" in shown
    assert "0.000026 per GB-s, 100000 GB-s free a month" in shown


def test_refresh_command_shows_what_changed(repository: Path, api: RetailPricesApi, folder: Path) -> None:
    result = command(repository, "--refresh", "--api", api.url, "--folder", str(folder))

    assert "flex.always_ready_baseline: 0.000004 per GB-s -> 0.000005 per GB-s" in result.stdout
    assert "1 price changed; written to" in result.stdout
    assert len(list(folder.iterdir())) == 2


def test_a_refresh_that_fails_is_one_line(repository: Path, api: RetailPricesApi, folder: Path) -> None:
    api.change = without("Always Ready Baseline")

    result = command(repository, "--refresh", "--api", api.url, "--folder", str(folder))

    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "Always Ready Baseline" in result.stderr
