"""A line about the state of a load, each second: over the one before on a terminal, below it elsewhere."""

import shutil
import sys
from typing import Self, TextIO


class Progress:
    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._is_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._is_begun:
            self._out.write("\n")
            self._out.flush()

    def say(self, line: str) -> None:
        self._is_begun = True
        width = shutil.get_terminal_size().columns
        self._out.write(f"\r{line[: width - 1]:{width - 1}}" if self._is_terminal else f"{line}\n")
        self._out.flush()
