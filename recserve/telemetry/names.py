"""Every name that telemetry uses, once.

OpenTelemetry's semantic conventions come first. `recserve.*` is what they have no word for, and mirrors
what the Azure Monitor exporter drops: attributes below `http.`, `db.`, `rpc.`, `net.`. Where they arrive in
the tables of Application Insights:

    spans of kind INTERNAL     AppDependencies, DependencyType "InProc"; Name is the span's name
    spans of kind SERVER       AppRequests; the host's, parents of ours
    attributes                 Properties["faas.coldstart"] and so on, all of them text: "True", "200"
    measurements               Measurements["duration_ms"] and so on, numbers
    `SAMPLE_RATE`              ItemCount = 100 / rate
    metrics                    AppMetrics, Name; every sample of the contention sampler is one of ItemCount
    `service.instance.id`      AppRoleInstance
"""

SCOPE = "recserve"

# --- spans ---

RECOMMEND = "recommend"
"A request has the name of its function: recommend, recommend_batch, recommend_user, events, popular, ..."
COLD_START = "cold_start"
SHADOW = "shadow"
EDGE_ANSWERS = "edge_answers"
"Answers of devices of one kind, added up over ten seconds: `N` of them, of about `LATENCY_MS`."
EDGE_COMPARISON = "edge_comparison"
"Answers of devices that the cloud was asked for too, likewise: `N`, `EDGE_OVERLAP`, `N_IDENTICAL`."

KIND = "recserve.kind"
"What a span is: one of the next."
KIND_REQUEST = "request"
KIND_PHASE = "phase"
"""Below a request that is kept for a reason: startup, admit (reading the request included), state, queue, infer,
rank, search, edge, models (of a reload), encode. What ends in an error, or is cancelled, ends in the phase that it
was in, a model run that fails in queue; then comes encode, where somebody gets the error."""
KIND_COLD_START = "cold_start"
KIND_COLD_START_PHASE = "cold_start_phase"
"""Below a cold start, on three threads. The one that imports the app: interpreter (with what the worker imports
first), import recserve, wait (for the imports of the next), import azure.functions, import function_app, host.
The one that builds the service: import msgspec, settings, import numpy, import onnxruntime, import recserve...,
state, models (waits for the third), ready; or failed, with the time of what raised the error. The one that loads
models: model_read, session <variant>, first_inference <variant>. Then: telemetry."""
KIND_SHADOW = "shadow"
KIND_EDGE = "edge"
"What devices report; of no duration, at the moment that it was sent on."

# --- attributes of spans: OpenTelemetry's ---

FAAS_COLDSTART = "faas.coldstart"
"A request met a process that was not warm: it waited for the start, or was the first."
FAAS_NAME = "faas.name"
"<app>/<function>"
FAAS_TRIGGER = "faas.trigger"
"http"
FAAS_INVOCATION_ID = "faas.invocation_id"
HTTP_STATUS_CODE = "http.response.status_code"
"Dropped by the Azure Monitor exporter; see `STATUS_CODE`."
ERROR_TYPE = "error.type"
"Dropped by the Azure Monitor exporter; see `ERROR`."
SAMPLE_RATE = "_MS.sampleRate"
"Percent of the requests like this one that are kept; becomes ItemCount."
CUSTOM_MEASUREMENTS = "microsoft.custom_measurements"
"A JSON object of numbers; becomes Measurements."

# --- attributes of spans: ours ---

FUNCTION = "recserve.function"
PROCESS = "recserve.process"
"Of the worker process, drawn at its start: joins requests with the cold start of their process."
STATUS_CODE = "recserve.status_code"
OUTCOME = "recserve.outcome"
"ok, shed, bad_request, not_ready, unavailable, failed or cancelled."
SHED_REASON = "recserve.shed_reason"
"concurrency, queueing_delay, deadline, queue_full or caller_rate."
ERROR = "recserve.error"
"Class of the error that ended a request."
KEPT = "recserve.kept"
"Why the span exists: failed, impacted, cold, shed, slow, or rate."
IMPACTED = "recserve.impacted"
"The request waited for a process that was still starting; `WAIT_MS` says how long."
VARIANT = "recserve.variant"
"What answered; of a batch all that did, separated by commas."
REASON = "recserve.variant_reason"
"Why this rung of the ladder: default, split, brownout or no_history."
MODEL_VERSION = "recserve.model_version"
"Of what answered; separated likewise."
BASIS = "recserve.basis"
DEGRADED = "recserve.degraded"
"What the answer had to do without, separated by commas."
DISPATCH = "recserve.dispatch"
"Why the micro-batch had its size."
PRIORITY = "recserve.priority"
USER = "recserve.user"
"Keyed hash of the user id; never the id."
SEED = "recserve.exploration_seed"
PROPENSITIES = "recserve.propensities"

EDGE_BY = "recserve.edge.by"
"Who answered: edge or cloud."
EDGE_REASON = "recserve.edge.reason"
"Why there; docs/edge.md has the reasons."
EDGE_CLIENT = "recserve.edge.client"
"js or python."
EDGE_BUNDLE = "recserve.edge.bundle"
"Version of the bundle that the device has; empty without one, `other` where too many are told at once."

CAUSE = "recserve.cause"
"Of a cold start: first, scale_out, deployment, restart or worker; see `telemetry.cause`."
DRIVER = "recserve.driver"
"What met the process first: warmup, request or timer; none so far."

# --- attributes of metrics ---

EVENT_KIND = "recserve.event_kind"
"view, click and so on."
FOLLOWED = "recserve.followed"
"Of an event: listed or not_listed, by its user's last list; unknown where the process has not shown it."

# --- measurements ---

DURATION_MS = "duration_ms"
WAIT_MS = "wait_ms"
"What an impacted request waited for the start."
BATCH_SIZE = "batch_size"
"Requests in the model run."
IN_FLIGHT = "in_flight"
"Requests the process worked on when this one came."
LIMIT = "limit"
"Requests it was allowed to work on."
PRESSURE = "pressure"
"How close to overload the process was then: 1 is there."
DEADLINE_MS = "deadline_ms"
"Time that the caller gave, from its arrival."
N_ITEMS = "n_items"
OVERLAP = "shadow_overlap"
N = "n"
"Of devices: answers, or comparisons."
LATENCY_MS = "latency_ms"
"Of devices: the geometric middle of a bucket of latencies, each 1.2 times as wide as the one before."
EDGE_OVERLAP = "overlap"
"Mean share of the cloud's list that was on the device's."
N_IDENTICAL = "n_identical"
"Comparisons with the same items in the same order."
N_IMPACTED = "n_impacted"
"Of a cold start: requests that waited for it."
READY_MS = "ready_ms"
"Of a cold start: from the start of the process to readiness; of a placeholder, from the app's import."
EXPLAINED_MS = "explained_ms"
"Of a cold start: the part of that which lies in some phase."
PLACEHOLDER_MS = "placeholder_ms"
"Of a cold start: how long the process was the platform's placeholder before; 0 where it was none."


def phase_ms(phase: str) -> str:
    """The measurement that a phase's time goes to.

    Of requests startup_ms, admit_ms, state_ms, queue_ms, infer_ms, rank_ms, search_ms, edge_ms, models_ms,
    encode_ms; of cold starts interpreter_ms, import_numpy_ms, session_student_ms and so on. A phase that comes twice
    is summed.
    """
    return f"{phase.replace(' ', '_').replace('.', '_')}_ms"


# --- metrics ---

REQUEST_DURATION = "http.server.request.duration"
"Seconds; by http.response.status_code. To OTLP alone: the host sends it to Application Insights."
INVOKE_DURATION = "faas.invoke_duration"
"Seconds; by faas.name, recserve.outcome and recserve.variant: what Application Insights can tell apart."
INVOCATIONS = "faas.invocations"
ERRORS = "faas.errors"
COLD_STARTS = "faas.coldstarts"
"By recserve.cause and recserve.driver."
INIT_DURATION = "faas.init_duration"
"Seconds, of what `READY_MS` tells."
FEEDBACK_GAIN = "recserve.feedback.gain"
"""Of each event, 1 / log2(1 + place) of its item on the list before it, else 0; by recserve.variant,
recserve.model_version, recserve.event_kind and recserve.followed."""
DROPPED = "recserve.telemetry.dropped"
"Timelines that found the queue full."

# Each second one sample; AppMetrics carries their Sum, Min, Max and ItemCount.
MEM_USAGE = "faas.mem_usage"
"Bytes resident."
CPU_USAGE = "faas.cpu_usage"
"Processor seconds of the process in that second: 1 is a core."
MEM_LIMIT = "recserve.memory.limit"
CORES = "recserve.cores"
"That the process may use, a cgroup's quota included."
INFERENCE_THREADS = "recserve.inference.threads"
"Threads that model runs may use at once."
THREADS = "recserve.threads"
CGROUP_CPU = "recserve.cgroup.cpu_usage"
"Like `CPU_USAGE`, of the whole cgroup."
THROTTLED = "recserve.cgroup.throttled"
"Seconds in that second in which the cgroup wanted to run and was not let."
PRESSURE_CPU = "recserve.pressure.cpu"
"Share of that second in which some task waited for a processor (`/proc/pressure`)."
PRESSURE_MEMORY = "recserve.pressure.memory"
PRESSURE_IO = "recserve.pressure.io"
PREEMPTIONS = "recserve.preemptions"
"Involuntary context switches in that second."
LOOP_LAG = "recserve.loop.lag"
"Seconds that a callback waited for the event loop, or that the process stood still, whichever is longer."
IN_FLIGHT_NOW = "recserve.in_flight"
LIMIT_NOW = "recserve.limit"
QUEUE_LENGTH = "recserve.queue_length"
"Requests that wait for a model."
SHED_SHARE = "recserve.shed_share"

SAMPLED = {
    MEM_USAGE: "By",
    CPU_USAGE: "s",
    MEM_LIMIT: "By",
    CORES: "{core}",
    INFERENCE_THREADS: "{thread}",
    THREADS: "{thread}",
    CGROUP_CPU: "s",
    THROTTLED: "s",
    PRESSURE_CPU: "1",
    PRESSURE_MEMORY: "1",
    PRESSURE_IO: "1",
    PREEMPTIONS: "{switch}",
    LOOP_LAG: "s",
    IN_FLIGHT_NOW: "{request}",
    LIMIT_NOW: "{request}",
    QUEUE_LENGTH: "{request}",
    SHED_SHARE: "1",
}
"What the contention sampler reads each second, as far as there is a source for it, with its unit (UCUM)."
