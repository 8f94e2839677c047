"""The state of training: all that an exact resume needs, in one file with its own digest.

Nothing random is in it: order, augmentation and dropout are functions of (seed, step).  The file is a safetensors file,
``state/step-N.safetensors``; the last two are kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dojang import files
from dojang.errors import TrainError
from dojang.train.ema import Average

FORMAT = 1
KEPT = 2


@dataclass(frozen=True)
class Best:
    """The best validation so far: the score that chooses, its loss, and when."""

    value: float
    loss: float
    step: int
    epoch: int


@dataclass
class Counters:
    """The numbers in a state.

    Args:
        step: Steps made.
        phase: Of the recipe; recipes of one phase stay at 0.
        elapsed: Seconds of training, those before a resume included.
        validated: The step of the last validation, or -1.
        segment: How many times the recipe was changed by a resume.
        last_loss: Of the last step; None before the first.
        best: The best validation.
        ended: Why training ended ("epochs", "time", "patience"), or "" while it goes on.
    """

    step: int = 0
    phase: int = 0
    elapsed: float = 0.0
    validated: int = -1
    segment: int = 0
    last_loss: float | None = None
    best: Best | None = None
    ended: str = ""


@dataclass
class State:
    """Network, optimizer, averaged weights and counters, together."""

    model: nn.Module
    optimizer: Optimizer
    average: Average | None = None
    counters: Counters = field(default_factory=Counters)

    @property
    def scored(self) -> nn.Module:
        """The network that is validated and shipped: the averaged one, if there is one."""
        return self.average.model if self.average else self.model


def tensors_of(state: State) -> dict[str, Tensor]:
    """Every tensor of a state by name, contiguous, on the CPU."""
    named: dict[str, Tensor] = {f"model/{name}": value for name, value in state.model.state_dict().items()}
    if state.average:
        named |= {f"average/{name}": value for name, value in state.average.model.state_dict().items()}
    for index, entry in state.optimizer.state_dict()["state"].items():
        named |= {f"optimizer/{index}/{name}": value for name, value in entry.items() if torch.is_tensor(value)}
    # a copy: two names may share memory, and safetensors refuses that
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in named.items()}


def pack(state: State) -> bytes:
    """A state as the bytes of its file."""
    tensors = tensors_of(state)
    saved = state.optimizer.state_dict()
    numbers = {
        str(index): {name: value for name, value in entry.items() if not torch.is_tensor(value)}
        for index, entry in saved["state"].items()
    }
    facts: dict[str, Any] = {
        "format": FORMAT,
        "counters": asdict(state.counters),
        "groups": saved["param_groups"],
        "numbers": numbers,
    }
    facts["sha256"] = _digest(tensors, facts)
    return safetensors.torch.save(tensors, {"dojang": json.dumps(facts, sort_keys=True)})


def unpack(path: Path, state: State) -> None:
    """Put what a file holds into a state that was built for the same recipe.

    Raises:
        TrainError: T313 when the file is damaged, T314 when it belongs to another network or optimizer.
    """
    tensors, facts = _read(path)
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    for name, value in tensors.items():
        room, _, rest = name.partition("/")
        groups[room][rest] = value
    try:
        state.model.load_state_dict(groups["model"])
        if state.average:
            state.average.model.load_state_dict(groups["average"])
        _restore_optimizer(state.optimizer, groups["optimizer"], facts)
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainError(
            "T314",
            f"{path.name} belongs to another network or optimizer: {str(error).splitlines()[0]}",
            fix="resume with the model and the optimizer of args.yaml.",
        ) from None
    counters = dict(facts["counters"])
    best = counters.pop("best")
    state.counters = Counters(**counters, best=Best(**best) if best else None)


class Keeper:
    """Writes states into a folder and finds them again.

    Args:
        folder: The run's ``state`` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """The states there are, newest first."""
        found = [
            (int(m[1]), p) for p in self.folder.glob("*") if (m := re.fullmatch(r"step-(\d+)\.safetensors", p.name))
        ]
        return [path for _, path in sorted(found, reverse=True)]

    def save(self, state: State) -> None:
        """Write the state; older ones but the last two go only after it is on the disk."""
        older = self.files()
        path = self.folder / f"step-{state.counters.step}.safetensors"
        keeps = f"{older[0].parent.name}/{older[0].name} is intact." if older else ""
        files.write_bytes(path, pack(state), keeps=keeps)
        for old in self.files()[KEPT:]:
            files.remove(old)

    def load(self, state: State) -> list[str]:
        """Load the newest whole state; gives a sentence for each damaged one that was passed over.

        Raises:
            TrainError: T313 when there is none.
        """
        passed = []
        for path in self.files():
            try:
                unpack(path, state)
            except TrainError as error:
                if error.code != "T313":
                    raise
                passed.append(error.what)
                continue
            return passed
        raise TrainError(
            "T313",
            f"{str(self.folder)!r} holds no whole state." + "".join(f" {what}" for what in passed),
            fix="train again; a run folder needs its state/ to be resumed.",
        )


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps({k: v for k, v in facts.items() if k != "sha256"}, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(str(path), "pt") as opened:
            facts = json.loads(opened.metadata()["dojang"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        whole = facts["sha256"] == _digest(tensors, facts)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("T313", f"{path.name} is damaged ({str(error).splitlines()[0]}).") from None
    if not whole:
        raise TrainError("T313", f"{path.name} is damaged (its digest differs).")
    return tensors, facts


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    entries: dict[int, dict[str, Any]] = {int(index): dict(numbers) for index, numbers in facts["numbers"].items()}
    for name, value in tensors.items():
        index, _, rest = name.partition("/")
        entries[int(index)][rest] = value
    optimizer.load_state_dict({"state": entries, "param_groups": facts["groups"]})
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            if torch.is_tensor(value) and value.shape == parameter.shape and value.ndim:
                # fused kernels walk both in memory order: a contiguous state under a channels_last
                # parameter would be silently mixed up
                entry[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
