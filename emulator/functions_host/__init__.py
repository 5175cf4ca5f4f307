"""One instance of a Python function app, hosted as Azure hosts it.

A request's way through this package:

    serving    a socket and uvicorn                 host       CORS, keys, limits, the order of it all
    routes     which function, which route values   http_io    ASGI to HttpRequest, HttpResponse to ASGI
    invocation the user's code, timed and logged    admin      the host's own endpoints under /admin
    timers     functions that fire by themselves    schedules  when they do

What is known of the app before the first request: `settings` reads host.json and local.settings.json,
`discovery` imports function_app.py, `functions` says what one function is, `templates` and
`constraints` read its route, `banner` prints the list.

Behaviour follows github.com/Azure/azure-functions-host and azure-functions-core-tools (the host and
its command line) and `azure_functions_runtime` (the worker); comments name the file where it matters.
"""
