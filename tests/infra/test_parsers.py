"""Two other readers of Bicep take the files too: pycep, which Checkov reads with, and the grammar for tree-sitter."""

from pathlib import Path

import pytest
import tree_sitter_bicep
from pycep import BicepParser
from tree_sitter import Language, Node, Parser

from infra.check.rules import INFRA
from infra.check.syntax import read_file

FILES = sorted(path for path in INFRA.rglob("*.bicep"))


def errors(node: Node) -> list[int]:
    """Lines of what the grammar has no rule for."""
    own = [node.start_point.row + 1] if node.type == "ERROR" or node.is_missing else []
    return own + [line for child in node.children for line in errors(child)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tree_sitter_finds_no_error(path: Path) -> None:
    tree = Parser(Language(tree_sitter_bicep.language())).parse(path.read_bytes())

    assert errors(tree.root_node) == []


def test_pycep_reads_the_same_declarations() -> None:
    parser = BicepParser()
    for path in FILES:
        theirs, ours = parser.parse(text=path.read_text()), read_file(path)

        assert set(theirs.get("parameters", {})) == set(ours.parameters), path.name
        assert set(theirs.get("resources", {})) == set(ours.resources), path.name
        assert set(theirs.get("modules", {})) == set(ours.modules), path.name
        assert set(theirs.get("outputs", {})) == set(ours.outputs), path.name
