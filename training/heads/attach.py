"""An encoder and a head in one graph: history in, items out."""

import shutil
from pathlib import Path

import onnx
from onnx import TensorProto, compose, helper

from training.heads.contract import HeadError, HeadInfo
from training.heads.graph import data_path, read_graph, write_graph
from training.writing import beside

PREFIX = "encoder/"


def attach_head(encoder: Path, head: Path, out: Path) -> None:
    """Write a graph with inputs `history`, `seen` and `k` and the head's outputs.

    Args:
        encoder: maps history, int64 (batch, length), to one query, float32 (batch, dim); weights that it
            keeps in other files move into the graph.
        head: a head; its weights are copied beside `out` where they are not there already.
        out: the graph to write.

    Raises:
        HeadError: the two do not fit together, or the disk refuses.
    """
    head_model = read_graph(head)
    info = HeadInfo.from_metadata({entry.key: entry.value for entry in head_model.metadata_props})
    try:
        encoder_model = onnx.load(encoder)
    except Exception as err:  # protobuf's exceptions are not public
        raise HeadError(f"cannot read {encoder}: {err}") from err
    history, query = _check_encoder(encoder, encoder_model, info)
    opsets = {entry.domain: entry.version for entry in encoder_model.opset_import}
    for entry in head_model.opset_import:
        if opsets.setdefault(entry.domain, entry.version) != entry.version:
            raise HeadError(
                f"{encoder} has opset {opsets[entry.domain]}, the head {entry.version}; export it with that"
            )

    encoder_graph = compose.add_prefix_graph(encoder_model.graph, PREFIX)
    _rename(encoder_graph, PREFIX + history, "history")
    _rename(encoder_graph, PREFIX + query, "query")
    graph = helper.make_graph(
        [*encoder_graph.node, *head_model.graph.node],
        f"{info.kind} with encoder",
        [*encoder_graph.input, *(value for value in head_model.graph.input if value.name != "query")],
        head_model.graph.output,
        [*encoder_graph.initializer, *head_model.graph.initializer],
    )
    merged = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        ir_version=max(encoder_model.ir_version, head_model.ir_version),
        producer_name="recserve",
        functions=list(encoder_model.functions),
    )
    helper.set_model_props(merged, info.to_metadata())
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _copy_beside(data_path(head), out)
        write_graph(out, merged)
    except OSError as err:
        raise HeadError(f"cannot write {out}: {err.strerror or err}; what was there is as it was") from err


def _check_encoder(path: Path, model: onnx.ModelProto, info: HeadInfo) -> tuple[str, str]:
    """Names of the encoder's one input and one output."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    outputs = list(model.graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        raise HeadError(
            f"{path} has inputs {[value.name for value in inputs]} and outputs {[value.name for value in outputs]}; "
            "one history and one query are needed"
        )
    tensor = outputs[0].type.tensor_type
    dims = [dim.dim_value or dim.dim_param for dim in tensor.shape.dim]
    if (
        tensor.elem_type != TensorProto.FLOAT
        or len(dims) != 2
        or (isinstance(dims[1], int) and dims[1] != info.dim)
    ):
        raise HeadError(f"{path} answers with {dims}; the head takes float32 queries (batch, {info.dim})")
    return inputs[0].name, outputs[0].name


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    for value in graph.input:
        if value.name == old:
            value.name = new


def _copy_beside(data: Path | None, out: Path) -> None:
    if data is None or data.resolve() == out.with_name(data.name).resolve():
        return
    with beside(out) as staging:
        shutil.copyfile(data, staging)
        staging.replace(out.with_name(data.name))
