"""Azure's own prices, read from the Azure Retail Prices API.

The API answers `GET /api/retail/prices?$filter=...` without a key, in pages of at most 1,000 rows:

    {"Items": [{"serviceName": "Functions", "productName": "Flex Consumption", "skuName": "On Demand",
                "meterName": "On Demand Execution Time", "armRegionName": "eastus", "currencyCode": "USD",
                "type": "Consumption", "unitOfMeasure": "1 GB Second", "tierMinimumUnits": 100000,
                "retailPrice": 0.000026, "effectiveStartDate": "2024-11-01T00:00:00Z", ...}, ...],
     "NextPageLink": "https://prices.azure.com:443/api/retail/prices?...&$skip=1000", "Count": 1000}

A meter with a free amount has a row of price 0, and its paid row begins where the free amount ends; both
count in the row's own unit, so that executions, priced per 10, are free up to 25,000 of these.

Unconfirmed: this was written against the published schema and against names of products, SKUs and meters as
others recorded them, and tested against answers written by hand, never against the API itself. A name that
differs shows as a missing meter, and then nothing is written.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

import httpx
import msgspec

from planner.price_list import PriceError

API_URL = "https://prices.azure.com/api/retail/prices"
TIMEOUT_S = 20.0
MOST_PAGES = 100
ATTEMPTS = 4
LONGEST_WAIT_S = 30.0


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One price as the API has it; its further fields are not read."""

    currency_code: str
    tier_minimum_units: Decimal
    retail_price: Decimal
    arm_region_name: str
    effective_start_date: str
    meter_name: str
    product_name: str
    sku_name: str
    service_name: str
    unit_of_measure: str
    type: str
    effective_end_date: str | None = None
    is_primary_meter_region: bool = True

    def __post_init__(self) -> None:
        if not (self.retail_price.is_finite() and self.tier_minimum_units.is_finite()):
            raise ValueError(
                f"{self.meter_name!r} costs {self.retail_price} from {self.tier_minimum_units} on"
            )


class Page(msgspec.Struct, frozen=True, rename="pascal"):
    """One answer."""

    items: tuple[Row, ...]
    next_page_link: str | None = None


def fetch_rows(
    services: Iterable[str], region: str, *, api_url: str, sleep: Callable[[float], None] = time.sleep
) -> list[Row]:
    """All rows that the API has of some services in a region.

    Raises:
        PriceError: the API cannot be reached, refuses, or does not answer in its schema.
    """
    rows: list[Row] = []
    with httpx.Client(timeout=TIMEOUT_S) as client:
        for service in services:
            query = (
                f"serviceName eq '{service}' and armRegionName eq '{region}' and priceType eq 'Consumption'"
            )
            try:
                first = httpx.URL(api_url).copy_merge_params({"$filter": query})
            except httpx.InvalidURL as err:
                raise PriceError(f"{api_url!r} is no URL: {err}; name one that begins with https://") from err
            for page in _pages(client, first, sleep):
                rows += page.items
    return rows


def _pages(client: httpx.Client, url: httpx.URL, sleep: Callable[[float], None]) -> Iterator[Page]:
    host, seen = url.host, {str(url)}
    while True:
        page = _page(client, url, sleep)
        yield page
        if not page.next_page_link:
            return
        url = url.join(page.next_page_link)
        if url.host != host:
            raise PriceError(f"{host} continues its list at {url.host!r}; only pages of {host} are read")
        if str(url) in seen or len(seen) >= MOST_PAGES:
            raise PriceError(f"{host} lists pages without end, as {str(url)!r}; try again later")
        seen.add(str(url))


def _page(client: httpx.Client, url: httpx.URL, sleep: Callable[[float], None]) -> Page:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = client.get(url)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            reason = str(err) or type(err).__name__
            raise PriceError(
                f"cannot reach {str(url)[:80]!r}: {reason}; check the URL and the network"
            ) from err
        busy = response.status_code == 429 or response.status_code >= 500
        if not busy or attempt == ATTEMPTS:
            break
        sleep(_wait_s(response, attempt))
    if response.status_code != 200:
        tries = f" {ATTEMPTS} times" if busy else ""
        remedy = "try again later" if busy else "check the URL"
        raise PriceError(f"{url.host} answered {response.status_code}{tries}; {remedy}")
    try:
        return msgspec.json.decode(response.content, type=Page)
    except msgspec.MsgspecError as err:
        raise PriceError(f"{url.host} did not answer with a page of prices: {err}; check the URL") from err


def _wait_s(response: httpx.Response, attempt: int) -> float:
    """As long as the answer asks for, or else 1, 2, 4 s."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_WAIT_S) if asked.isascii() and asked.isdigit() else 2.0 ** (attempt - 1)
