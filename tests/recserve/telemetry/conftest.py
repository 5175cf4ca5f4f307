from collections.abc import Iterator

import pytest

from benchmarks.ingestion import Ingestion, ingesting


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    with ingesting() as server:
        yield server
