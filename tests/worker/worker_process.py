"""Microsoft's Python worker without its gRPC channel: JSON lines in, JSON lines out.

    python worker_process.py APP_DIRECTORY

Runs on Python 3.13 with `requirements.txt` and `azure-functions-runtime`. The first line out describes the
indexed app, or says why it could not be indexed. Then each line in is a list of invocations that begin
together, and each line out the answer to one invocation, told apart by `id`. All between the lines is the
worker library's own code, called in the order and with the messages of the worker's dispatcher. SIGUSR1
makes the process give back what memory it can, for who measures it.
"""

import asyncio
import base64
import ctypes
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from importlib import metadata
from typing import Any, NamedTuple, TextIO

import azure_functions_runtime as library
from function_rpc import protos

HOST_CAPABILITIES = {"WorkerStatus": "true", "EnableUserCodeException": "true"}


class WorkerRequest(NamedTuple):
    """What the worker's dispatcher hands to the library."""

    name: str
    request: Any
    properties: dict[str, Any]


class WorkerError(Exception):
    """The library answered with a failure; the text is its exception's."""


async def ask(kind: str, answer: str, message: Any) -> Any:
    """Send one message through the library, over the wire format both ways.

    Raises:
        WorkerError: the result in the answer is not `Success`.
    """
    streamed = protos.StreamingMessage(request_id="test", **{kind: message})
    request = protos.StreamingMessage.FromString(streamed.SerializeToString())
    properties = {"protos": protos, "host": "127.0.0.1"}
    response = await getattr(library, kind)(WorkerRequest(kind, request, properties))
    streamed = protos.StreamingMessage(request_id="test", **{answer: response})
    response = getattr(protos.StreamingMessage.FromString(streamed.SerializeToString()), answer)
    if response.result.status != protos.StatusResult.Success:
        raise WorkerError(response.result.exception.message)
    return response


async def start(directory: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Index and load the app.

    Returns:
        Function ids by name, and what the first line out says.
    """
    sys.path.insert(0, directory)
    library.start_threadpool_executor()
    started_s = time.perf_counter()
    initialised = await ask(
        "worker_init_request",
        "worker_init_response",
        protos.WorkerInitRequest(capabilities=HOST_CAPABILITIES, function_app_directory=directory),
    )
    index_s = time.perf_counter() - started_s
    indexed = await ask(
        "functions_metadata_request",
        "function_metadata_response",
        protos.FunctionsMetadataRequest(function_app_directory=directory),
    )
    for function in indexed.function_metadata_results:
        await ask(
            "function_load_request",
            "function_load_response",
            protos.FunctionLoadRequest(function_id=function.function_id, metadata=function),
        )
    ids = {function.name: function.function_id for function in indexed.function_metadata_results}
    return ids, {
        "python": initialised.worker_metadata.runtime_version,
        "worker": initialised.worker_metadata.worker_version,
        "onnxruntime": metadata.version("onnxruntime"),
        "index_s": index_s,
        "functions": [
            {
                "name": function.name,
                "script_file": function.script_file,
                "bindings": [json.loads(binding) for binding in function.raw_bindings],
            }
            for function in indexed.function_metadata_results
        ],
    }


async def invoke(function_id: str, invocation: dict[str, Any]) -> dict[str, Any]:
    """Run a function; an invocation with a `method` is an HTTP request, any other a trigger's own."""
    trigger = http_data(invocation) if "method" in invocation else protos.TypedData(json="{}")
    request = protos.InvocationRequest(
        invocation_id=str(invocation["id"]),
        function_id=function_id,
        input_data=[protos.ParameterBinding(name=invocation["argument"], data=trigger)],
        trace_context=protos.RpcTraceContext(
            trace_parent=invocation.get("headers", {}).get("traceparent", "")
        ),
    )
    try:
        response = await ask("invocation_request", "invocation_response", request)
    except WorkerError as err:
        return {"exception": str(err)}
    if response.return_value.WhichOneof("data") is None:
        return {}
    http = response.return_value.http
    return {
        "status": int(http.status_code),
        "headers": dict(http.headers),
        "body": base64.b64encode(http.body.bytes).decode(),
    }


def http_data(invocation: dict[str, Any]) -> Any:
    """The request as the host sends it to a worker that asked for raw bytes: an empty body is left out."""
    body = base64.b64decode(invocation["body"])
    return protos.TypedData(
        http=protos.RpcHttp(
            method=invocation["method"],
            url=invocation["url"],
            headers=invocation["headers"],
            query=invocation["query"],
            params=invocation["route_params"],
            body=protos.TypedData(bytes=body) if body else None,
        )
    )


async def serve(directory: str, lines: TextIO, answers: TextIO) -> None:
    """Start the app and answer until the input ends."""

    def write(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        ids, description = await start(directory)
    except WorkerError as err:
        write({"exception": str(err)})
        return
    write(description)

    async def answer(invocation: dict[str, Any]) -> None:
        write({"id": invocation["id"], **await invoke(ids[invocation["name"]], invocation)})

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def begin(line: str) -> None:
        for invocation in json.loads(line):
            task = loop.create_task(answer(invocation))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def read() -> None:
        for line in lines:
            loop.call_soon_threadsafe(begin, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, name="input", daemon=True).start()
    await ended.wait()
    if tasks:
        await asyncio.gather(*tasks)


def give_memory_back(*_: object) -> None:
    """Collect garbage and hand free pages to the system, so that what is resident is alive."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, give_memory_back)
    # What the app prints must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.basicConfig(level=logging.INFO)
    asyncio.run(serve(sys.argv[1], sys.stdin, answers))
