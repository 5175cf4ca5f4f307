"""A models directory small enough to reason about, and ways to ask the real function app."""

import importlib
import inspect
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import azure.functions as func
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from recserve.inference.manifest import (
    FORMAT,
    MANIFEST_NAME,
    Dataset,
    Manifest,
    Measurement,
    Metrics,
    Provenance,
    Variant,
    describe_file,
)
from training.selection import append_selection

N_ITEMS = 6
METRICS = Metrics(
    hr={"5": 0.4, "10": 0.5, "20": 0.6},
    ndcg={"5": 0.2, "10": 0.3, "20": 0.4},
    mrr={"5": 0.2, "10": 0.25, "20": 0.3},
    ndcg_10_low=0.2,
    ndcg_10_high=0.4,
    coverage_10=1.0,
    novelty_10=2.0,
    diversity_10=None,
    ndcg_10_by_length={"1-5": 0.3},
    n_users=10,
)
MEASUREMENT = Measurement(load_ms=1.0, rss_mib=1.0, latency_ms={"1": 0.1, "8": 0.2, "32": 0.3})

Ask = Callable[..., Any]


def write_lookup_model(path: Path, table: np.ndarray) -> None:
    """A variant that ranks by the row of `table` (n_items + 1, n_items) for the newest item."""
    newest = helper.make_node("Gather", ["history", "last"], ["newest"], axis=1)
    looked_up = helper.make_node("Gather", ["table", "newest"], ["scores"], axis=0)
    graph = helper.make_graph(
        [newest, looked_up],
        "lookup",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", table.shape[1]])],
        [
            numpy_helper.from_array(np.array(-1), "last"),
            numpy_helper.from_array(table.astype(np.float32), "table"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    append_selection(path, path)


def write_models(target: Path) -> Path:
    """A models directory of six items: `near` prefers the next item number, `popular` the first."""
    target.mkdir(parents=True, exist_ok=True)
    distance = (np.arange(1, N_ITEMS + 1)[None, :] - np.arange(N_ITEMS + 1)[:, None] - 1) % N_ITEMS
    write_lookup_model(target / "near.onnx", N_ITEMS - distance)
    popularity = np.tile(np.arange(N_ITEMS, 0, -1), (N_ITEMS + 1, 1))
    write_lookup_model(target / "popular.onnx", popularity)
    catalogue = {
        "ids": [10, 20, 30, 40, 50, 60],
        "titles": [f"Film {letter} (200{i})" for i, letter in enumerate("ABCDEF")],
        "years": [2000, 2001, 2002, 2003, 2004, None],
        "genres": [["Drama"], ["Drama", "War"], [], ["Comedy"], ["Comedy"], []],
        "n_interactions": [60, 50, 40, 30, 20, 10],
    }
    (target / "catalogue.json").write_bytes(msgspec.json.encode(catalogue))
    ladder = [
        Variant(
            name=name,
            description=f"{name} items",
            file=describe_file(target / f"{name}.onnx"),
            is_neural=False,
            parameters=42,
            metrics=METRICS,
            measurement=MEASUREMENT,
            identical=1.0,
            overlap=1.0,
        )
        for name in ("near", "popular")
    ]
    manifest = Manifest(
        format=FORMAT,
        version="test-1",
        dataset=Dataset(
            name="six films",
            source="tests",
            licence="none",
            n_users=10,
            n_items=N_ITEMS,
            n_interactions=210,
            allow_repeats=False,
            sha256="0" * 64,
        ),
        catalogue=describe_file(target / "catalogue.json"),
        ladder=ladder,
        serving=["near", "popular"],
        similar="near",
        max_history=4,
        unshipped={},
        provenance=Provenance(
            command="pytest",
            commit="test",
            created="2026-01-01T00:00:00+00:00",
            seed=0,
            packages={},
            machine="test",
            duration_s=0.0,
        ),
    )
    (target / MANIFEST_NAME).write_bytes(msgspec.json.encode(manifest))
    return target


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return write_models(tmp_path / "models")


def http_request(
    method: str = "GET",
    *,
    body: bytes = b"",
    json_body: object = None,
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    route: dict[str, str] | None = None,
) -> func.HttpRequest:
    """A request as the worker hands it to a function."""
    if json_body is not None:
        body = json.dumps(json_body).encode()
        headers = {"content-type": "application/json"} | (headers or {})
    return func.HttpRequest(
        method=method,
        url="http://localhost/api",
        headers=headers or {},
        params=params or {},
        route_params=route or {},
        body=body,
    )


@pytest.fixture(scope="session")
def state_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "state.db"


@pytest.fixture(scope="session")
def function_app(state_path: Path) -> Iterator[ModuleType]:
    os.environ["RECSERVE_STATE_PATH"] = str(state_path)
    yield importlib.import_module("function_app")
    del os.environ["RECSERVE_STATE_PATH"]


@pytest.fixture(scope="session")
def indexed(function_app: ModuleType) -> list[func.Function]:
    """What the host indexes; an app can be asked for it once."""
    return function_app.app.get_functions()


@pytest.fixture(scope="session")
def functions(indexed: list[func.Function]) -> dict[str, Callable[..., Any]]:
    found = {f.get_function_name(): f.get_user_function() for f in indexed}
    return {name: _with_context(name, function) for name, function in found.items()}


def _with_context(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the worker calls it, with an invocation's context where it takes one."""
    takes_context = inspect.signature(function).parameters.get("context")
    if takes_context is None or takes_context.annotation is not func.Context:
        return function
    return partial(function, context=Invocation(name))


class Invocation(func.Context):
    """What a function is told of its invocation."""

    def __init__(self, function_name: str = "recommend", trace_parent: str = "") -> None:
        self._function_name = function_name
        self._trace_parent = trace_parent

    @property
    def invocation_id(self) -> str:
        return "1b4e28ba-2fa1-11d2-883f-0016d3cca427"

    @property
    def function_name(self) -> str:
        return self._function_name

    @property
    def function_directory(self) -> str:
        return "/home/site/wwwroot"

    @property
    def trace_context(self) -> Any:
        return SimpleNamespace(trace_parent=self._trace_parent, trace_state="", attributes={})

    @property
    def thread_local_storage(self) -> Any:
        return None

    @property
    def retry_context(self) -> Any:
        return None


def read(response: func.HttpResponse) -> Any:
    """The answer, decoded."""
    return msgspec.json.decode(response.get_body())
