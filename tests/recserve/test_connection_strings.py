import pytest

from recserve.connection_strings import StorageAccount, read_insights, read_storage
from recserve.errors import InvalidSettings

KEY = "c2VjcmV0"
INSTRUMENTATION = "InstrumentationKey=00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("text", "account"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net",
            StorageAccount("https://shop.blob.core.windows.net", "https://shop.table.core.windows.net"),
        ),
        (
            f"AccountName=shop;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn;",
            StorageAccount(
                "https://shop.blob.core.chinacloudapi.cn", "https://shop.table.core.chinacloudapi.cn"
            ),
        ),
        (
            "BlobEndpoint=https://shop.blob.core.windows.net/;SharedAccessSignature=sv=2024&sig=x",
            StorageAccount("https://shop.blob.core.windows.net/", ""),
        ),
        ("UseDevelopmentStorage=true", StorageAccount("http://127.0.0.1:10000", "http://127.0.0.1:10002")),
    ],
)
def test_connection_string_leads_to_its_account(text: str, account: StorageAccount) -> None:
    assert read_storage(text) == account


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("shop", "is no connection string"),
        (f"AccountKey={KEY}", "lacks AccountName"),
        ("AccountName=shop", "lacks AccountKey"),
        ("AccountName=;AccountKey=", "lacks AccountName and AccountKey"),
        ("AccountName=shop;AccountKey=c2Vjc", "not base64"),
        ("SharedAccessSignature=sv=2024", "neither an AccountName nor an endpoint"),
        (f"AccountName=shop;AccountKey={KEY};BlobEndpoint=shop.blob.core.windows.net", "BlobEndpoint"),
        (f"AccountName=shop;AccountKey={KEY};TableEndpoint=https://shop:port", "TableEndpoint"),
    ],
)
def test_what_a_connection_string_lacks_is_named_and_its_key_is_not(text: str, fault: str) -> None:
    with pytest.raises(InvalidSettings, match=fault) as invalid:
        read_storage(text)

    assert "c2Vjc" not in str(invalid.value)


def test_telemetry_goes_to_the_endpoint_that_is_named_or_to_the_default() -> None:
    assert read_insights(f"{INSTRUMENTATION};IngestionEndpoint=https://x.in.ai.azure.com/") == (
        "https://x.in.ai.azure.com"
    )
    assert read_insights(INSTRUMENTATION).startswith("https://dc.services")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("IngestionEndpoint=https://x", "lacks InstrumentationKey"),
        ("InstrumentationKey=12", "no GUID"),
        (f"{INSTRUMENTATION};IngestionEndpoint=x", "IngestionEndpoint"),
    ],
)
def test_telemetry_that_cannot_be_sent_is_named(text: str, fault: str) -> None:
    with pytest.raises(InvalidSettings, match=fault):
        read_insights(text)
