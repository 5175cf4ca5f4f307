"""This process. Importing this module starts it, so `function_app` imports it before anything else.

The models load on a thread of their own. It imports first what it needs, and the thread that imports this
waits for it: two threads that import at once hand the interpreter to and fro at every file that they open.
Then both go on: reading, verifying and loading models leaves the interpreter to the app's imports.
"""

import gc
import os
from functools import partial

from recserve.telemetry.cold_start import ColdStart, import_packages

cold_start = ColdStart()
cold_start.timeline.mark("interpreter")
# Nothing that a start makes is garbage; looking for some costs a tenth of it. `Startup` turns it on again.
gc.disable()
# NumPy's BLAS starts a thread for each core as it is loaded, which took half of its import (61 ms instead of
# 109, two cores); models run in ONNX Runtime, and what is left for NumPy is no work for threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from recserve.startup import IMPORT_WAIT_S, Startup  # noqa: E402  the interpreter's time ends above
from recserve.telemetry.termination import CLOSE_WAIT_S, close_before_termination  # noqa: E402

cold_start.timeline.mark("import recserve")
startup = Startup(cold_start=cold_start)
close_before_termination(partial(startup.close, wait_s=CLOSE_WAIT_S))
startup.imported.wait(IMPORT_WAIT_S)
cold_start.timeline.mark("wait")
import_packages(cold_start.timeline, "azure.functions")
