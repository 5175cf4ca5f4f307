"""This process. Importing this module starts it, so `function_app` imports it before anything else.

The models load on a thread of their own while the thread that imports this goes on with the app: loading
a session and reading files leave the interpreter to others.
"""

import gc

from recserve.telemetry.cold_start import ColdStart, import_packages

cold_start = ColdStart()
cold_start.timeline.mark("interpreter")
# Nothing that a start makes is garbage; looking for some costs a tenth of it. `Startup` turns it on again.
gc.disable()

from recserve.startup import Startup  # noqa: E402  the interpreter's time ends above

startup = Startup(cold_start=cold_start)
import_packages(cold_start.timeline, "azure.functions")
