"""A network as a program of torch.export (.pt2), which ``torch.export.load`` opens without dojang."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from torch.export import ExportedProgram

from dojang.export.onnx import Ask


def made(program: ExportedProgram, about: Mapping[str, str]) -> bytes:
    """The file of a traced graph.

    Args:
        about: Its metadata: extra files of the program.
    """
    out = io.BytesIO()
    torch.export.save(program, out, extra_files=dict(about))
    return out.getvalue()


def asking(data: bytes) -> Ask:
    """What the program answers, loaded again; only for bytes that :func:`made` gave."""
    module = torch.export.load(io.BytesIO(data)).module()

    def ask(pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            answer: np.ndarray = module(torch.from_numpy(pictures.copy())).numpy()
        return answer

    return ask
