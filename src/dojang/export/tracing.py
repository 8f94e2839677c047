"""From the module that does it all to its graph, in which batch, height and width stay open."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from dojang.errors import ExportError
from dojang.export.graph import Graph

SIDES = ({0: Dim("batch"), 1: Dim("height"), 2: Dim("width")},)


def traced(graph: Graph) -> ExportedProgram:
    """The graph of a module, by torch.export.

    Raises:
        ExportError: E702 for a network that torch cannot follow, or that takes one size of batch only.
    """
    p = graph.preparation.preprocess
    # two of them, and no side that the network has: a size that is an accident must not look like a rule
    pictures = torch.zeros((2, 2 * p.height + 5, 2 * p.width + 9, 3), dtype=torch.uint8)
    # libraries warn of their own affairs
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(graph.eval(), (pictures,), dynamic_shapes=SIDES, strict=False)
        except Exception as error:
            raise impossible(graph.network, error) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                # they name the folders of this machine
                node.meta.pop("stack_trace", None)
    return program


def impossible(network: nn.Module, error: Exception) -> ExportError:
    """E702, with the first line of what the library said."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return ExportError(
        "E702",
        f"{type(network).__name__} cannot be exported: {type(error).__name__}: {said[:300]}",
        context="Its forward must not depend on the values of tensors, nor on the size of the batch.",
        fix="write x.flatten(1) for x.view(8, -1), and torch.where for an if on a tensor's value.",
    )
