"""The messages that the Functions host and its Python worker exchange.

The part of Azure's `FunctionRpc.proto` that HTTP and warmup triggers need: names and numbers are the
protocol's, messages and fields that neither side touches here are left out. The classes are protobuf's
own, so a field that the worker misnames or fills with the wrong type is an error, and what it answers
passes through the wire format as it would on its way to the host.
"""

from types import SimpleNamespace

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
)

PACKAGE = "AzureFunctionsRpcMessages"

MESSAGES = {
    "StreamingMessage": {
        "request_id": "string 1",
        "invocation_request": "content: InvocationRequest 4",
        "invocation_response": "content: InvocationResponse 5",
        "function_load_request": "content: FunctionLoadRequest 8",
        "function_load_response": "content: FunctionLoadResponse 9",
        "worker_init_response": "content: WorkerInitResponse 16",
        "worker_init_request": "content: WorkerInitRequest 17",
        "functions_metadata_request": "content: FunctionsMetadataRequest 29",
        "function_metadata_response": "content: FunctionMetadataResponse 30",
    },
    "WorkerInitRequest": {
        "host_version": "string 1",
        "capabilities": "map string 2",
        "worker_directory": "string 4",
        "function_app_directory": "string 5",
    },
    "WorkerInitResponse": {
        "worker_version": "string 1",
        "capabilities": "map string 2",
        "result": "StatusResult 3",
        "worker_metadata": "WorkerMetadata 4",
    },
    "WorkerMetadata": {
        "runtime_name": "string 1",
        "runtime_version": "string 2",
        "worker_version": "string 3",
        "worker_bitness": "string 4",
        "custom_properties": "map string 5",
    },
    "StatusResult": {
        "result": "string 1",
        "exception": "RpcException 2",
        "status": "StatusResult.Status 4",
    },
    "RpcException": {
        "stack_trace": "string 1",
        "message": "string 2",
        "source": "string 3",
        "is_user_exception": "bool 4",
        "type": "string 5",
    },
    "FunctionsMetadataRequest": {"function_app_directory": "string 1"},
    "FunctionMetadataResponse": {
        "function_metadata_results": "repeated RpcFunctionMetadata 1",
        "result": "StatusResult 2",
        "use_default_metadata_indexing": "bool 3",
    },
    "RpcFunctionMetadata": {
        "directory": "string 1",
        "script_file": "string 2",
        "entry_point": "string 3",
        "name": "string 4",
        "bindings": "map BindingInfo 6",
        "is_proxy": "bool 7",
        "status": "StatusResult 8",
        "language": "string 9",
        "raw_bindings": "repeated string 10",
        "function_id": "string 13",
        "managed_dependency_enabled": "bool 14",
        "retry_options": "RpcRetryOptions 15",
        "properties": "map string 16",
    },
    "BindingInfo": {
        "type": "string 2",
        "direction": "BindingInfo.Direction 3",
        "data_type": "BindingInfo.DataType 4",
        "properties": "map string 5",
    },
    "RpcRetryOptions": {
        "max_retry_count": "int32 2",
        "delay_interval": "google.protobuf.Duration 3",
        "minimum_interval": "google.protobuf.Duration 4",
        "maximum_interval": "google.protobuf.Duration 5",
        "retry_strategy": "RpcRetryOptions.RetryStrategy 6",
    },
    "FunctionLoadRequest": {
        "function_id": "string 1",
        "metadata": "RpcFunctionMetadata 2",
        "managed_dependency_enabled": "bool 3",
    },
    "FunctionLoadResponse": {
        "function_id": "string 1",
        "result": "StatusResult 2",
        "is_dependency_downloaded": "bool 3",
    },
    "InvocationRequest": {
        "invocation_id": "string 1",
        "function_id": "string 2",
        "input_data": "repeated ParameterBinding 3",
        "trigger_metadata": "map TypedData 4",
        "trace_context": "RpcTraceContext 5",
        "retry_context": "RetryContext 6",
    },
    "InvocationResponse": {
        "invocation_id": "string 1",
        "output_data": "repeated ParameterBinding 2",
        "result": "StatusResult 3",
        "return_value": "TypedData 4",
    },
    "RpcTraceContext": {"trace_parent": "string 1", "trace_state": "string 2", "attributes": "map string 3"},
    "RetryContext": {"retry_count": "int32 1", "max_retry_count": "int32 2", "exception": "RpcException 3"},
    "ParameterBinding": {"name": "string 1", "data": "rpc_data: TypedData 2"},
    "TypedData": {
        "string": "data: string 1",
        "json": "data: string 2",
        "bytes": "data: bytes 3",
        "stream": "data: bytes 4",
        "http": "data: RpcHttp 5",
        "int": "data: sint64 6",
        "double": "data: double 7",
    },
    "RpcHttp": {
        "method": "string 1",
        "url": "string 2",
        "headers": "map string 3",
        "body": "TypedData 4",
        "params": "map string 10",
        "status_code": "string 12",
        "query": "map string 15",
        "enable_content_negotiation": "bool 16",
        "rawBody": "TypedData 17",
        "cookies": "repeated RpcHttpCookie 19",
    },
    "RpcHttpCookie": {
        "name": "string 1",
        "value": "string 2",
        "domain": "NullableString 3",
        "path": "NullableString 4",
        "expires": "NullableTimestamp 5",
        "secure": "NullableBool 6",
        "http_only": "NullableBool 7",
        "same_site": "RpcHttpCookie.SameSite 8",
        "max_age": "NullableDouble 9",
    },
    "NullableString": {"value": "string: string 1"},
    "NullableDouble": {"value": "double: double 1"},
    "NullableBool": {"value": "bool: bool 1"},
    "NullableTimestamp": {"value": "timestamp: google.protobuf.Timestamp 1"},
}
"Message -> field -> `[oneof:] [repeated | map] type number`; maps have string keys."

ENUMS = {
    "StatusResult.Status": ("Failure", "Success", "Cancelled"),
    "BindingInfo.Direction": ("in", "out", "inout"),
    "BindingInfo.DataType": ("undefined", "string", "binary", "stream"),
    "RpcRetryOptions.RetryStrategy": ("exponential_backoff", "fixed_delay"),
    "RpcHttpCookie.SameSite": ("None", "Lax", "Strict", "ExplicitNone"),
}
"Enum -> its values, numbered from 0."

Field = descriptor_pb2.FieldDescriptorProto


def _build() -> dict[str, type]:
    """The message classes by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name="FunctionRpc.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[duration_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for enum, values in ENUMS.items():
            owner, _, enum_name = enum.partition(".")
            if owner == name:
                numbered = message.enum_type.add(name=enum_name).value
                for number, value in enumerate(values):
                    numbered.add(name=value, number=number)
        for field_name, spec in fields.items():
            _add_field(message, field_name, spec)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, spec: str) -> None:
    oneof, _, declaration = spec.rpartition(": ")
    *label, kind, number = declaration.split()
    field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
    if label == ["map"]:
        entry = message.nested_type.add(name="".join(map(str.capitalize, name.split("_"))) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", "string 1")
        _add_field(entry, "value", f"{kind} 2")
        kind = f"{message.name}.{entry.name}"
    if label:
        field.label = Field.LABEL_REPEATED
    if oneof:
        names = [declared.name for declared in message.oneof_decl]
        if oneof not in names:
            message.oneof_decl.add(name=oneof)
            names.append(oneof)
        field.oneof_index = names.index(oneof)
    if scalar := Field.Type.DESCRIPTOR.values_by_name.get(f"TYPE_{kind.upper()}"):
        field.type = scalar.number
    else:
        field.type = Field.TYPE_ENUM if kind in ENUMS else Field.TYPE_MESSAGE
        field.type_name = f".{kind}" if kind.startswith("google.") else f".{PACKAGE}.{kind}"


protos = SimpleNamespace(**_build())
