"""Every name in the plan's events, once.

Each line of `events.jsonl` is one event: `time` (UTC), `event`, `message`, and properties. In Application
Insights events are AppTraces, with the message as Message and everything else as text in Properties, each
name with `plan.` in front; allocated seconds are AppMetrics named `ALLOCATED_S`. AppRoleName is the function
app, AppRoleInstance the instance that an event is about, or `PLATFORM`.
"""

PREFIX = "plan."
"Of properties in Application Insights."
PLATFORM = "plan"
"AppRoleInstance of what concerns no single instance."

# --- events ---

EVENT = "event"
"Which of the next."
STARTED = "started"
"The plan; with its settings."
STOPPED = "stopped"
STATE = "state"
"An instance went from one state to the next: `FROM`, `TO`, `REASON`, `IN_STATE_S`."
ENDED = "ended"
"An instance's process has ended: `REASON`, `LIFETIME_S`, `EXIT_STATUS`, and `LAST_LINES` where it should not have."
DECISION = "decision"
"The scale rules act: `ACTION`, `ROLE`, `REASON`, and the numbers behind it."
COMMAND = "command"
"Somebody at the terminal or the control endpoint: `COMMAND_LINE`, `OUTCOME`."
HEALTH = "health"
"An instance does not answer its probes, or holds more memory than it may."
ALLOCATION = "allocation"
"Once a second: `SECONDS` by instance and class, and the front end's counts since the last one."
NOTICE = "notice"
"How this machine stands in for the plan, where it cannot do all that Azure does."

# --- properties ---

TIME = "time"
MESSAGE = "message"
INSTANCE = "instance"
ROLE = "role"
"active or pre_warmed."
FROM = "from"
TO = "to"
"States: starting, pre_warmed, active, draining, ended."
REASON = "reason"
CAUSE = "cause"
"Why an instance was started: first, scale_out, replacement, restart or deployment."
IN_STATE_S = "in_state_s"
READY_S = "ready_s"
"From allocation to readiness."
LIFETIME_S = "lifetime_s"
EXIT_STATUS = "exit_status"
"Negative: the signal that ended it."
LAST_LINES = "last_lines"
PID = "pid"
PORT = "port"
LOG = "log"
"File with all that the instance has said."
ACTION = "action"
DEMAND = "demand"
N_WANTED = "n_wanted"
N_ACTIVE = "n_active"
N_PRE_WARMED = "n_pre_warmed"
N_HELD = "n_held"
COMMAND_LINE = "command"
OUTCOME = "outcome"
SECONDS = "allocated_s"
"Seconds by instance, then by class: starting, pre_warmed, active, idle, burst, draining."
N_INSTANCES = "n_instances"
"By class, at that moment."
N_ARRIVED = "n_arrived"
N_ANSWERED = "n_answered"
N_FAILED = "n_failed"
N_COLD = "n_cold"
HELD_S = "held_s"

# --- metric ---

ALLOCATED_S = "plan.allocated_s"
"Sum is seconds in about one second; Properties['plan.class'] is the class, AppRoleInstance the instance."
CLASS = "class"
