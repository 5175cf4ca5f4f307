"""App settings that contradict each other, lack their counterpart or cannot mean what they say: all at once.

`read_settings` refuses to start with the fatal ones and logs the others; `python -m recserve.doctor` prints
every one before a deployment. Values of secrets are never repeated: what is found ends in logs, and what is
fatal in the answers of an app that cannot start.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from recserve import connection_strings
from recserve.errors import InvalidSettings

if TYPE_CHECKING:
    from recserve.settings import Settings

PREFIX = "RECSERVE_"
OF_NEIGHBOURS = frozenset(
    f"{PREFIX}{name}"
    for name in (
        *("API_KEY", "API_URL", "CONSOLE_ROLES", "LOGS_URL", "SLO_SHARE", "WORKSPACES"),
        *("NO_SKIPS", "PEER", "SCREENSHOTS", "WORKER_PYTHON"),
    )
)
"What the console, the tests and the benchmarks read."
TIMER = "reload_models_on_schedule"
STORAGE = "AzureWebJobsStorage"
TRUE = ("1", "true")


class Finding(NamedTuple):
    """What is wrong with the settings."""

    level: Literal["warn", "fail"]
    problem: str
    "Names every setting that it is about."
    remedy: str
    is_fatal: bool = False
    "The process does not serve with it; all else is somebody else's to refuse, or works in some way."

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def fatal(problem: str, remedy: str) -> Finding:
    return Finding("fail", problem, remedy, is_fatal=True)


def check_settings(
    settings: "Settings",
    environ: Mapping[str, str],
    *,
    variants: Mapping[str, Collection[str]],
    is_deployed: bool = False,
) -> list[Finding]:
    """Everything that is wrong with settings each of which can be read.

    Args:
        settings: as they were read.
        environ: what they were read from, with what the host and the platform read.
        variants: names of the models by line (`experiments.CURRENT`, `CHALLENGER`), of those that are known.
        is_deployed: they are those of an app in Azure, wherever this runs.
    """
    return [
        *_misspelt(settings, environ),
        *_state(settings, is_deployed=is_deployed),
        *_models(settings),
        *_variants(settings, variants),
        *_limits(settings),
        *_callers(settings),
        *_telemetry(settings),
        *_host(environ, is_deployed=is_deployed),
    ]


def _misspelt(settings: "Settings", environ: Mapping[str, str]) -> Iterator[Finding]:
    known = {name.upper() for name in settings.__struct_fields__} | OF_NEIGHBOURS
    for name in sorted(environ):
        if name.upper().startswith(PREFIX) and name not in known:
            nearest = _nearest(name.upper(), known)
            remedy = f"did you mean {nearest}?" if nearest else "remove it; README.md lists the settings"
            yield Finding("warn", f"{name} is no setting of this version and has no effect", remedy)


def _nearest(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # most starts have nothing to compare

    return next(iter(get_close_matches(name, known, n=1, cutoff=0.7)), "")


def _state(settings: "Settings", *, is_deployed: bool) -> Iterator[Finding]:
    url, connection = settings.recserve_state_tables_url, settings.recserve_state_tables_connection_string
    names = f"{PREFIX}STATE_TABLES_URL", f"{PREFIX}STATE_TABLES_CONNECTION_STRING"
    yield from _one_place(*names, url, connection)
    if url and (fault := _url_fault(url)):
        yield fatal(f"{names[0]}={_shown(url)!r} {fault}", "write https://<account>.table.core.windows.net")
    elif url and ".blob." in url:
        yield fatal(f"{names[0]}={_shown(url)!r} is the address of blobs", "write .table. instead of .blob.")
    yield from _connection_fault(names[1], connection, "table_url")
    # The emulated plan gives its instances a file that they share.
    is_alone = settings.website_instance_id and not settings.recserve_state_path
    if not url and not connection and (is_deployed or is_alone):
        yield Finding(
            "warn",
            f"neither {names[0]} nor {names[1]} is set: user histories lie in SQLite on the instance's own "
            "disk, are lost with it and unknown to other instances",
            f"set {names[0]}",
        )
    if (url or connection) and settings.recserve_state_timeout_ms >= settings.recserve_deadline_ms:
        yield Finding(
            "warn",
            f"{PREFIX}STATE_TIMEOUT_MS={settings.recserve_state_timeout_ms:g} leaves nothing of "
            f"{PREFIX}DEADLINE_MS={settings.recserve_deadline_ms:g} to a request whose store is slow",
            f"lower {PREFIX}STATE_TIMEOUT_MS",
        )


def _models(settings: "Settings") -> Iterator[Finding]:
    url, connection = settings.recserve_models_url, settings.recserve_models_connection_string
    names = f"{PREFIX}MODELS_URL", f"{PREFIX}MODELS_CONNECTION_STRING"
    yield from _one_place(*names, url, connection)
    remedy = "write https://<account>.blob.core.windows.net/<container>"
    if url and (fault := _url_fault(url, allows_plain="?" in url)):
        yield fatal(f"{names[0]}={_shown(url)!r} {fault}", remedy)
    elif url and not urlsplit(url).path.strip("/"):
        yield fatal(f"{names[0]}={_shown(url)!r} names no container", remedy)
    elif url and ".table." in url:
        yield fatal(f"{names[0]}={_shown(url)!r} is the address of tables", remedy)
    yield from _connection_fault(names[1], connection, "blob_url")


def _one_place(url_name: str, connection_name: str, url: str, connection: str) -> Iterator[Finding]:
    if url and connection:
        yield fatal(f"{url_name} and {connection_name} are both set", "leave one of them empty")


def _connection_fault(name: str, text: str, wanted: Literal["blob_url", "table_url"]) -> Iterator[Finding]:
    if text.strip().rstrip(";") == connection_strings.DEVELOPMENT:
        yield fatal(f"{name} is {text}, which Python's libraries do not know", "write Azurite's in full")
    elif text:
        fault = _fault(lambda: connection_strings.read_storage(text))
        if not fault and not getattr(connection_strings.read_storage(text), wanted):
            fault = f"names no {wanted.removesuffix('_url')} endpoint"
        if fault:
            yield fatal(f"{name} {fault}", "copy it from the storage account's access keys")


def _variants(settings: "Settings", variants: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    if not (
        settings.recserve_ladder
        or settings.recserve_shadow
        or settings.recserve_split
        or settings.recserve_challenger_dir
    ):
        return
    from recserve.experiments import CHALLENGER, CURRENT, read_split

    named = [("LADDER", CURRENT, name) for name in settings.ladder]
    if settings.recserve_shadow:
        named.append(("SHADOW", CURRENT, settings.recserve_shadow))
    try:
        split = read_split(settings.recserve_split)
    except InvalidSettings as err:
        problem, _, remedy = str(err).partition("; ")
        yield fatal(problem, remedy)
    else:
        named += [("SPLIT", arm.line, arm.variant) for arm in (split.arms if split else ())]
        challenged = any(line == CHALLENGER for _, line, _ in named)
        if challenged and not settings.recserve_challenger_dir:
            yield fatal(
                f"{PREFIX}SPLIT={settings.recserve_split!r} names a challenger, and {PREFIX}CHALLENGER_DIR is "
                "not set",
                f"set {PREFIX}CHALLENGER_DIR or leave the challenger out",
            )
        elif settings.recserve_challenger_dir and not challenged:
            yield Finding(
                "warn",
                f"{PREFIX}CHALLENGER_DIR is set, and {PREFIX}SPLIT={settings.recserve_split!r} gives it nobody: "
                "its models take memory and answer no request",
                f"add challenger/<variant>=<weight> to {PREFIX}SPLIT or leave {PREFIX}CHALLENGER_DIR empty",
            )
    for setting, line, name in dict.fromkeys(named):
        known = variants.get(line)
        if known is not None and name not in known:
            nearest = _nearest(name, known)
            yield fatal(
                f"{PREFIX}{setting} names {name!r}, which the {line} models do not have",
                f"did you mean {nearest!r}?" if nearest else f"they have {', '.join(known)}",
            )


def _limits(settings: "Settings") -> Iterator[Finding]:
    if settings.recserve_admission == "off":
        idle = ("BROWNOUT_AT", "DEADLINE_MS", "MAX_IN_FLIGHT")
        changed = [f"{PREFIX}{name}" for name in idle if not _is_default(settings, f"{PREFIX}{name}")]
        yield Finding(
            "warn",
            f"{PREFIX}ADMISSION='off' takes every limit away"
            + (f", so that {', '.join(changed)} have no effect" if changed else ""),
            f"set {PREFIX}ADMISSION to adaptive, save for measurements",
        )
        return
    if settings.recserve_deadline_ms < settings.recserve_slo_ms:
        yield Finding(
            "warn",
            f"{PREFIX}DEADLINE_MS={settings.recserve_deadline_ms:g} is shorter than "
            f"{PREFIX}SLO_MS={settings.recserve_slo_ms:g}: requests are refused as late that would keep the "
            "promise",
            f"raise {PREFIX}DEADLINE_MS above {PREFIX}SLO_MS",
        )
    if settings.recserve_brownout_at == 1 and len(settings.ladder) > 1:
        yield Finding(
            "warn",
            f"{PREFIX}BROWNOUT_AT=1 never turns to the cheaper variants of "
            f"{PREFIX}LADDER={settings.recserve_ladder!r}: under pressure requests are refused instead",
            f"lower {PREFIX}BROWNOUT_AT (default 0.75) or shorten {PREFIX}LADDER",
        )


def _callers(settings: "Settings") -> Iterator[Finding]:
    if not settings.recserve_caller_per_s and not _is_default(settings, f"{PREFIX}CALLER_BURST"):
        yield Finding(
            "warn",
            f"{PREFIX}CALLER_BURST={settings.recserve_caller_burst} has no effect while "
            f"{PREFIX}CALLER_PER_S=0 holds no caller to a rate",
            f"set {PREFIX}CALLER_PER_S",
        )


def _is_default(settings: "Settings", name: str) -> bool:
    return bool(getattr(settings, name.lower()) == getattr(type(settings)(), name.lower()))


def _telemetry(settings: "Settings") -> Iterator[Finding]:
    connection = settings.applicationinsights_connection_string
    authentication = settings.applicationinsights_authentication_string
    if connection and (fault := _fault(lambda: connection_strings.read_insights(connection))):
        yield Finding(
            "fail",
            f"APPLICATIONINSIGHTS_CONNECTION_STRING {fault}",
            "copy it from the overview of the Application Insights resource",
        )
    if authentication and not connection:
        yield Finding(
            "warn",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING is set, and APPLICATIONINSIGHTS_CONNECTION_STRING is not: "
            "telemetry goes nowhere",
            "set APPLICATIONINSIGHTS_CONNECTION_STRING",
        )
    if authentication and "authorization=aad" not in authentication.replace(" ", "").lower():
        yield Finding(
            "fail",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING lacks Authorization=AAD",
            "write Authorization=AAD, or Authorization=AAD;ClientId=<id of the user-assigned identity>",
        )
    if settings.python_applicationinsights_enable_telemetry and not connection:
        yield Finding(
            "fail",
            "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY is true, and APPLICATIONINSIGHTS_CONNECTION_STRING is "
            "not set: the worker cannot set telemetry up",
            "set the connection string, or the flag to false",
        )
    endpoint = settings.otel_exporter_otlp_endpoint
    if without_user(endpoint) != endpoint:
        yield Finding(
            "fail",
            f"OTEL_EXPORTER_OTLP_ENDPOINT={_shown(endpoint)!r} holds a user, who is left out: the exporter writes "
            "its address into the log",
            "name the user in OTEL_EXPORTER_OTLP_HEADERS, as authorization=Basic ...",
        )
    if endpoint and (fault := _url_fault(endpoint, allows_plain=True)):
        yield Finding(
            "fail", f"OTEL_EXPORTER_OTLP_ENDPOINT={_shown(endpoint)!r} {fault}", "write http://<host>:4318"
        )


def _host(environ: Mapping[str, str], *, is_deployed: bool) -> Iterator[Finding]:
    """What the Functions host and the platform read; the app itself starts whatever they say."""
    for name, wanted in (("FUNCTIONS_WORKER_RUNTIME", "python"), ("FUNCTIONS_EXTENSION_VERSION", "~4")):
        if (value := environ.get(name) or wanted) != wanted:
            yield Finding("fail", f"{name}={value!r}", f"set it to {wanted}")
    storage = environ.get(STORAGE, "")
    identity = [name for name in environ if name.startswith(f"{STORAGE}__") and environ[name]]
    if storage and identity:
        yield Finding("warn", f"{STORAGE} and {identity[0]} are both set", f"remove {STORAGE} and its key")
    if storage and (fault := _fault(lambda: connection_strings.read_storage(storage))):
        yield Finding(
            "fail",
            f"{STORAGE} {fault}: the host cannot keep keys and timers",
            f"set {STORAGE}__accountName and give the app's identity its roles, or copy the connection string",
        )
    is_hosted = is_deployed or "FUNCTIONS_WORKER_RUNTIME" in environ
    if is_hosted and not storage and not identity and not _is_disabled(environ, TIMER):
        yield Finding(
            "warn",
            f"{STORAGE} is not set, and the timer {TIMER} needs it",
            f"set {STORAGE}__accountName, or AzureWebJobs.{TIMER}.Disabled=true",
        )
    built = environ.get("SCM_DO_BUILD_DURING_DEPLOYMENT", "").lower()
    if environ.get("WEBSITE_RUN_FROM_PACKAGE") and built in TRUE:
        yield Finding(
            "fail",
            "WEBSITE_RUN_FROM_PACKAGE and SCM_DO_BUILD_DURING_DEPLOYMENT are both set: a package that is run as "
            "it is is not built",
            "set SCM_DO_BUILD_DURING_DEPLOYMENT to false for the package of `make package`",
        )


def _is_disabled(environ: Mapping[str, str], function: str) -> bool:
    """Whether a function is switched off; Linux writes the dots of that setting in several ways."""
    names = (f"AzureWebJobs{dot}{function}{dot}Disabled" for dot in (".", "_", "__"))
    return any(environ.get(name, "").lower() in TRUE for name in names)


def _fault(read: Callable[[], Any]) -> str:
    try:
        read()
    except InvalidSettings as err:
        return str(err)
    return ""


def _url_fault(url: str, *, allows_plain: bool = False) -> str:
    """What keeps a URL from being asked with the app's identity; empty: nothing."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not host:
        return "is no address"
    if parts.scheme == "http" and not allows_plain:
        return "is not encrypted, and the app's identity is not sent in clear"
    return ""


def _shown(url: str) -> str:
    """A URL without what may be a secret: user, query and fragment."""
    return without_user(url.partition("?")[0].partition("#")[0])


def without_user(url: str) -> str:
    """A URL without the user and the password before its host."""
    scheme, found, rest = url.partition("://") if "://" in url else ("", "", url)
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"
