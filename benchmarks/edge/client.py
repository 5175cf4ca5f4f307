"""The edge client of this checkout: a distribution of its own, which need not be installed to be measured."""

import sys

from benchmarks.server import ROOT

sys.path.insert(0, str(ROOT / "edge" / "python"))

from recserve_edge import Answer, EdgeClient, EdgeSettings, Item

__all__ = ["Answer", "EdgeClient", "EdgeSettings", "Item"]
