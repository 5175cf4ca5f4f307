"""What the host prints when it is ready: the function list of Core Tools."""

from collections.abc import Iterable

from emulator.functions_host.functions import HostedFunction


def function_list(functions: Iterable[HostedFunction], *, base_url: str, route_prefix: str) -> str:
    """List the functions as `func start` does: those with an address first.

    The layout is that of `DisplayFunctionsInfoUtilities` in Core Tools; a line follows for each trigger
    that does not fire by itself here.
    """
    with_http = [function for function in functions if function.http]
    others = [function for function in functions if not function.http]
    root = "/".join(part for part in (base_url, route_prefix.strip("/")) if part)
    lines = ["", "Functions:", ""]
    for function in with_http:
        assert function.http is not None
        methods = ",".join(function.http.declared_methods)
        address = f"{root}/{function.http.template.text}"
        lines += [f"        {function.name}: {f'[{methods}] ' if methods else ''}{address}", ""]
    for function in others:
        lines += [f"        {function.name}: {function.trigger_type}", ""]
    lines += [
        f"{function.trigger_type} of {function.name!r} does not fire by itself here; "
        f"run it with POST {base_url}/admin/functions/{function.name}"
        for function in others
        if not (function.is_warmup or function.is_timer)
    ]
    return "\n".join(lines)
