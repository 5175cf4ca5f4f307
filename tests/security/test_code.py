"""What ships runs nothing that it reads: no pickles, no evaluated text, no graph that reaches outside itself."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from streamlit import config

from deployment.package import shipped
from recserve.errors import InvalidModels
from recserve.inference.session import ScoringSession
from recserve.schemas import Request
from training.selection import append_selection

RUNS_WHAT_IT_READS = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"),
    *("xml", "xmlrpc", "yaml", "torch", "pandas", "subprocess", "code", "codeop", "telnetlib"),
}
"Modules that turn data into code, start programs, or expand entities; the app imports none of them itself."
EVALUATE = {"eval", "exec", "compile", "__import__"}
SWITCHES = {"allow_pickle", "shell"}
"Keyword arguments that no call may have but as False."
CONNECTING = (
    *("aiohttp", "ftplib", "http.client", "httpx", "requests", "smtplib", "socket", "ssl", "urllib.request"),
    *("urllib3", "azure.core", "azure.data", "azure.identity", "azure.monitor", "azure.storage"),
)
"Modules that reach other machines."
STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"Operators that ONNX Runtime brings along; any other would be a library of somebody's."


def sources(repository: Path) -> Iterator[tuple[str, ast.Module]]:
    for name in shipped(repository):
        if name.suffix == ".py":
            yield name.as_posix(), ast.parse((repository / name).read_text())


def modules(tree: ast.Module) -> Iterator[str]:
    """Full names of what a source imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_app_imports_nothing_that_runs_what_it_reads(repository: Path) -> None:
    found = [
        (name, module)
        for name, tree in sources(repository)
        for module in modules(tree)
        if module.partition(".")[0] in RUNS_WHAT_IT_READS
    ]

    assert found == []


def test_the_app_evaluates_no_text_and_loads_no_pickle(repository: Path) -> None:
    found = []
    for name, tree in sources(repository):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in EVALUATE:
                found.append((name, call.lineno, call.func.id))
            found += [
                (name, call.lineno, keyword.arg)
                for keyword in call.keywords
                if keyword.arg in SWITCHES and ast.unparse(keyword.value) != "False"
            ]

    assert found == []


def test_bandit_s_rules_find_nothing_in_the_app(repository: Path) -> None:
    """But assertions, chance that is no secret (who is refused, what is explored), and SQL around our own numbers."""
    command = ["-m", "ruff", "check", "--select=S", "--ignore=S101,S311", "--output-format=concise"]
    checked = subprocess.run(
        [sys.executable, *command, "recserve", "function_app.py"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    found = [line for line in checked.stdout.splitlines() if ".py:" in line]

    assert [line for line in found if "recserve/state/sqlite.py" not in line or " S608 " not in line] == []


def test_no_request_carries_an_address_and_few_modules_connect(repository: Path) -> None:
    fields = {field for kind in every(Request) for field in kind.__struct_fields__}
    connecting = {
        name.removeprefix("recserve/")
        for name, tree in sources(repository)
        if name.startswith("recserve/") and any(module.startswith(CONNECTING) for module in modules(tree))
    }

    assert {
        field for field in fields if re.search("url|uri|host|address|callback|endpoint|path", field)
    } == set()
    assert connecting == {
        "callers.py",  # reads the text of addresses
        "doctor/endpoints.py",
        "inference/blob.py",
        "state/table_client.py",
        "telemetry/providers.py",
    }


def every(kind: type[Request]) -> Iterator[type[Request]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from every(inner)


def test_nothing_switches_the_random_hash_off(repository: Path) -> None:
    """Python's hash of text has a key for each process, which no caller can know."""
    started_by = [
        *("Dockerfile", "console/Dockerfile", "infra/console-start.sh", "infra/modules/function-app.bicep"),
        *("infra/modules/console.bicep", "local.settings.sample.json", "host.json", "Makefile"),
    ]

    assert [name for name in started_by if "HASHSEED" in (repository / name).read_text()] == []


def test_the_console_keeps_streamlit_s_protection(repository: Path) -> None:
    """Its checks of origins and of forms are on unless somebody switches them off."""
    started_by = [
        ".streamlit/config.toml",
        "console/Dockerfile",
        "infra/console-start.sh",
        "emulator/stack.py",
    ]
    said = "\n".join((repository / name).read_text() for name in started_by)

    assert re.findall(r"(?i)xsrf|enable_?cors|allowedOrigins", said) == []
    assert config.get_option("server.enableXsrfProtection") is True
    assert config.get_option("server.enableCORS") is True


def graphs(repository: Path) -> list[Path]:
    return sorted((repository / "models").rglob("*.onnx"))


def test_nothing_ships_that_is_a_pickle_or_may_hold_one(repository: Path) -> None:
    kinds = {name.suffix for name in shipped(repository)}

    assert (
        kinds & {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".joblib", ".h5", ".zip"} == set()
    )
    assert len(graphs(repository)) >= 2


def test_shipped_graphs_hold_all_that_they_use_and_standard_operators_alone(repository: Path) -> None:
    for path in graphs(repository):
        graph = onnx.load(path, load_external_data=False)
        tensors = [*graph.graph.initializer]

        assert {node.domain for node in graph.graph.node} <= STANDARD_DOMAINS, path.name
        assert not graph.functions, path.name
        assert not any(external_data_helper.uses_external_data(tensor) for tensor in tensors), path.name


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "{absolute}"])
def test_graph_that_wants_a_file_of_this_machine_is_refused(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can publish models cannot read files with them: a graph's numbers lie in the graph."""
    (tmp_path / "models").mkdir()
    for folder in (tmp_path, tmp_path / "models"):
        (folder / "secret.bin").write_bytes(np.arange(7 * 6, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path / "models")
    path = tmp_path / "models" / "greedy.onnx"
    write_graph(path, domain="")
    graph = onnx.load(path)
    [table] = [tensor for tensor in graph.graph.initializer if tensor.name == "table"]
    external_data_helper.set_external_data(
        table, location.format(absolute=tmp_path / "secret.bin"), offset=0, length=7 * 6 * 4
    )
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL

    with pytest.raises(InvalidModels, match="greedy"):
        ScoringSession("greedy", graph.SerializeToString(), n_items=6)


def test_graph_with_an_operator_of_somebody_s_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    write_graph(path, domain="somebody.library")

    with pytest.raises(InvalidModels, match="foreign"):
        ScoringSession("foreign", path.read_bytes(), n_items=6)


def write_graph(path: Path, *, domain: str) -> None:
    """A graph like those of the six films, whose lookup is an operator of a domain."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["history", "last"], ["newest"], axis=1),
            helper.make_node("Gather", ["table", "newest"], ["scores"], axis=0, domain=domain),
        ],
        "lookup",
        [helper.make_tensor_value_info("history", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 6])],
        [
            numpy_helper.from_array(np.array(-1), "last"),
            numpy_helper.from_array(np.arange(7 * 6, dtype=np.float32).reshape(7, 6), "table"),
        ],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    append_selection(path, path)
