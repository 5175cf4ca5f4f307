"""Questions to the planner, answered beside the console: one process for each, one at a time of each goal."""

import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec

from console.analysis.plan_question import Goal, Line, PlanAnswer, PlanQuestion, Progress

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0
NICENESS = 10
"A search takes all of a core for seconds, and the page that shows how far it is comes first."
MOST_KEPT = 40
COMMAND = [sys.executable, "-m", "console.analysis.plan_search"]
NOT_INSTALLED = (
    "The planner is not installed beside the console. Install it with `pip install msgspec numba numpy`, or run "
    "`python -m planner plan` where it is."
)


@dataclass(slots=True, eq=False)
class Search:
    """A question, and how far its answer is. Written by one thread, read by any."""

    question: PlanQuestion
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    progress: Progress = field(default_factory=lambda: Progress(what="Waiting for the planner"))
    answer: PlanAnswer | None = None

    @property
    def is_done(self) -> bool:
        return self.answer is not None


class Searches:
    """The searches of a console, by what was asked; the oldest are forgotten."""

    def __init__(self, command: list[str] | None = None, *, limit_s: float = LIMIT_S) -> None:
        self._command = command or COMMAND
        self._limit_s = limit_s
        self._kept: OrderedDict[Hashable, Search] = OrderedDict()
        self._lock = threading.Lock()
        # A model of what was seen is quick, and does not wait for somebody's long search.
        self._turns = {goal: threading.Lock() for goal in get_args(Goal)}

    def known(self, key: Hashable) -> Search | None:
        """The search of that key, whether it is done or not; None where there is none."""
        with self._lock:
            return self._kept.get(key)

    def begin(self, key: Hashable, question: PlanQuestion) -> Search:
        """Search in the background; what has the same key and still runs is not started again."""
        with self._lock:
            known = self._kept.get(key)
            if known is not None and not known.is_done:
                return known
            search = self._kept[key] = Search(question)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        threading.Thread(target=self._run, args=(search,), name="planner", daemon=True).start()
        return search

    def _run(self, search: Search) -> None:
        with self._turns[search.question.goal]:
            try:
                search.answer = self._ask(search)
            except OSError as err:
                search.answer = PlanAnswer(error=f"The planner could not be started: {err.strerror}.")

    def _ask(self, search: Search) -> PlanAnswer:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        with subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            _step_back(process.pid)
            began_s = time.monotonic()
            timer = threading.Timer(self._limit_s, process.kill)
            timer.start()
            try:
                process.stdin.write(msgspec.json.encode(search.question))
                process.stdin.close()
                for text in process.stdout:
                    line = msgspec.json.decode(text, type=Line)
                    if line.answer is not None:
                        return line.answer
                    search.progress = line.progress or search.progress
                said = process.stderr.read().decode(errors="replace")
            except (BrokenPipeError, msgspec.DecodeError):
                said = process.stderr.read().decode(errors="replace")
            finally:
                timer.cancel()
                process.kill()
        if "ModuleNotFoundError" in said:
            return PlanAnswer(error=NOT_INSTALLED)
        if time.monotonic() - began_s >= self._limit_s:
            return PlanAnswer(
                error=f"The planner did not find an answer within {self._limit_s:g} s. Ask for a shorter time range, "
                "fewer sizes or fewer variants."
            )
        print(said, file=sys.stderr)
        return PlanAnswer(error="The planner stopped without an answer. The console's log says why.")


def _step_back(pid: int) -> None:
    """Let others go first, where the system has such a thing."""
    if hasattr(os, "setpriority"):
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
