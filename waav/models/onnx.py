"""Opens ONNX models whose inputs and outputs are declared, and refuses others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waav.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TensorShape:
    """Names of a model's tensors with their sizes, in order; None where any size goes."""

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]


def opened(path: Path, declared: TensorShape) -> Any:
    """A session with one thread: the pool of workers is where models run side by side.

    Raises:
        ConfigError: it is no model, or its tensors are not the declared ones.
    """
    # 20 MB, and only the process that the models run in needs it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as problem:  # onnxruntime's exceptions have no common class of their own
        raise ConfigError(f"{path} cannot be loaded: {problem}") from None
    _compare(path, "input", session.get_inputs(), declared.inputs)
    _compare(path, "output", session.get_outputs(), declared.outputs)
    return session


def _compare(
    path: Path, kind: str, found: list[Any], declared: Mapping[str, tuple[int | None, ...]]
) -> None:
    # A free dimension has a name, or nothing, instead of a size.
    sizes = {
        tensor.name: tuple(size if isinstance(size, int) else None for size in tensor.shape)
        for tensor in found
        if tensor.type == "tensor(float)"
    }
    if len(sizes) != len(found) or sizes != dict(declared):
        raise ConfigError(f"{path}: its {kind}s are {sizes}, declared are {dict(declared)}")
