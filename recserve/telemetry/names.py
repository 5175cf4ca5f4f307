"""Every name that telemetry uses, once.

OpenTelemetry's semantic conventions come first; `recserve.*` is what they have no word for, and mirrors
what the Azure Monitor exporter drops (attributes below `http.`, `db.`, `rpc.`, `net.`).
"""

SCOPE = "recserve"

# spans
RECOMMEND = "recommend"
COLD_START = "cold_start"
SHADOW = "shadow"

# span attributes
FAAS_COLDSTART = "faas.coldstart"
FAAS_NAME = "faas.name"
STATUS_CODE = "recserve.status_code"
VARIANT = "recserve.variant"
REASON = "recserve.variant_reason"
BASIS = "recserve.basis"
SEED = "recserve.exploration_seed"
PROPENSITIES = "recserve.propensities"
OVERLAP = "recserve.shadow_overlap"
BATCH_SIZE = "recserve.batch_size"
IN_FLIGHT = "recserve.in_flight"

# metrics
REQUEST_DURATION = "http.server.request.duration"
DROPPED = "recserve.telemetry.dropped"
INIT_DURATION = "faas.init_duration"
