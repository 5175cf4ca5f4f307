"""Functions of numbers as machine code: the same source, a hundred times as fast.

Numba keeps compiled code on disk and knows that it is out of date by the time stamp of one file, that of the
function that Python calls. What this function calls in turn may lie elsewhere, as the scale rules do, so that the
function that Python calls has to close over the digest of all these sources (`digest_of`): what a function closes over
is part of what its code is kept by.

Compiled code counts no references (`_nrt`), since it makes no arrays: counting those that it is given, at every call
of a function, took six sevenths of the time.
"""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

try:
    from numba import njit
except ImportError as err:
    raise ImportError("the simulator needs numba; install it with: pip install 'recserve[planner]'") from err

OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}
P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, for other compiled ones to call, and for Python to call seldom."""
    built: Callable[P, R] = njit(**OPTIONS)(function)
    return built


def kept(function: Callable[P, R]) -> Callable[P, R]:
    """The function compiled, and kept on disk for the next process."""
    built: Callable[P, R] = njit(**OPTIONS, cache=True)(function)
    return built


def digest_of(modules: Sequence[ModuleType]) -> str:
    """Of the sources of modules."""
    sources = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(sources.encode()).hexdigest()
