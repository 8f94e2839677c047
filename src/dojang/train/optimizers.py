"""Optimizers by name, and the groups of parameters that they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from dojang.errors import ConfigError
from dojang.registry import Registry
from dojang.train.options import TrainOptions

Make = Callable[[list[dict[str, Any]], TrainOptions], Optimizer]
OPTIMIZERS: Registry[Make] = Registry("optimizer", "C203")


@OPTIMIZERS.register("sgd")
def _sgd(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    momentum = o.momentum or 0.0
    nesterov = o.nesterov and momentum > 0
    return torch.optim.SGD(groups, lr=o.lr or 0.0, momentum=momentum, nesterov=nesterov, fused=o.fused)


@OPTIMIZERS.register("adam")
def _adam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.Adam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999), fused=o.fused)


@OPTIMIZERS.register("adamw")
def _adamw(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.AdamW(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999), fused=o.fused)


@OPTIMIZERS.register("nadam")
def _nadam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.NAdam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999))


@OPTIMIZERS.register("radam")
def _radam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.RAdam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999))


@OPTIMIZERS.register("rmsprop")
def _rmsprop(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.RMSprop(groups, lr=o.lr or 0.0, momentum=o.momentum or 0.0)


@OPTIMIZERS.register("adagrad")
def _adagrad(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.Adagrad(groups, lr=o.lr or 0.0, fused=o.fused)


@OPTIMIZERS.register("muon")
def _muon(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    work = torch.bfloat16 if o.precision == "bf16" else torch.float32
    return Muon(groups, lr=o.lr or 0.0, momentum=o.momentum or 0.0, work=work)


def _bare(method: Any) -> Any:
    """What a decorator was put around."""
    return getattr(method, "__wrapped__", method)


class Muon(Optimizer):
    """Steps of one length in every direction of a filter bank: momentum, then the nearest orthogonal matrix.

    Filters are matrices (out_channels, rest) here; those of one shape are done together. A group's ``kind`` says how
    its parameters are changed: "muon", "sgd" (Nesterov's momentum) or "adam".

    Args:
        groups: With ``kind`` and, for "muon", ``iterations`` and ``unit`` (keep every filter bank at the norm
            sqrt(out_channels); for filters that a normalisation follows, whose length means nothing).
        lr: Of groups that name none.
        momentum: Of "muon" groups that name none.
        work: The type in which matrices are made orthogonal.

    Source: Keller Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024; the coefficients and the
    unit norm are those of github.com/KellerJordan/cifar10-airbench.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float, momentum: float, work: torch.dtype) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "kind": "muon", "iterations": 5, "unit": False}
        super().__init__(groups, defaults)
        self.work = work

    # torch guards these against its compiler, which is imported for that alone: a second of every start
    add_param_group = _bare(Optimizer.add_param_group)
    zero_grad = _bare(Optimizer.zero_grad)
    state_dict = _bare(Optimizer.state_dict)
    load_state_dict = _bare(Optimizer.load_state_dict)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["kind"] == "adam":
                for parameter in parameters:
                    self._adam(parameter, group)
            elif group["kind"] == "sgd":
                for parameter in parameters:
                    update = self._nesterov(parameter, group, parameter.grad + group["weight_decay"] * parameter)
                    parameter.sub_(update, alpha=group["lr"])
            else:
                self._orthogonal(parameters, group)

    def _nesterov(self, parameter: Tensor, group: dict[str, Any], grad: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(group["momentum"]).add_(grad)
        return grad.add(state["momentum"], alpha=group["momentum"])

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        state["step"] += 1
        first, second = 0.9, 0.999
        grad: Any = parameter.grad
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        state["mean"].lerp_(grad, 1 - first)
        state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
        root = state["square"].sqrt().div_((1 - second ** state["step"]) ** 0.5).add_(1e-8)
        parameter.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - first ** state["step"]))

    def _orthogonal(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for parameter in parameters:
            grad: Any = parameter.grad
            matrix = _matrix(self._nesterov(parameter, group, grad), _last(parameter))
            alike.setdefault((matrix.shape[0], matrix.shape[1]), []).append((parameter, matrix))
        for (rows, columns), pairs in alike.items():
            stack = torch.stack([matrix for _, matrix in pairs]).to(self.work)
            updates = orthogonal(stack, group["iterations"]) * max(1.0, rows / columns) ** 0.5
            for (parameter, _), update in zip(pairs, updates, strict=True):
                if group["unit"]:
                    parameter.mul_(rows**0.5 / parameter.norm())
                elif group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.sub_(_filters(update, parameter), alpha=group["lr"])


def _last(parameter: Tensor) -> bool:
    """Whether the columns of its matrix run in the order of channels_last memory, which then costs no copies."""
    return parameter.ndim == 4 and not parameter.is_contiguous()


def _matrix(values: Tensor, last: bool) -> Tensor:
    """Filters (out, in, height, width) as a matrix (out, rest)."""
    return (values.permute(0, 2, 3, 1) if last else values).reshape(len(values), -1)


def _filters(matrix: Tensor, parameter: Tensor) -> Tensor:
    """The way back from :func:`_matrix` to a parameter's shape and type."""
    if _last(parameter):
        out, channels, height, width = parameter.shape
        return matrix.view(out, height, width, channels).permute(0, 3, 1, 2).to(parameter.dtype)
    return matrix.view(parameter.shape).to(parameter.dtype)


def orthogonal(stack: Float[Tensor, "n rows columns"], iterations: int) -> Float[Tensor, "n rows columns"]:
    """Matrices with the same singular vectors and all singular values near 1, by Newton-Schulz iterations.

    Five steps bring singular values to 0.7..1.2; three leave small ones smaller, which costs nothing in training.

    Example:
        >>> found = torch.linalg.svdvals(orthogonal(torch.diag(torch.tensor([1.0, 0.5]))[None], 5))
        >>> bool(((found > 0.6) & (found < 1.3)).all())
        True
    """
    tall = stack.shape[1] > stack.shape[2]
    x: Tensor = stack.mT if tall else stack
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(iterations):
        gram = x @ x.mT  # (n, rows, rows)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def penalised(model: nn.Module) -> list[nn.Parameter]:
    """The weights that penalties act on: matrices and filters, not biases and norms."""
    return [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]


def make(model: nn.Module, options: TrainOptions) -> Optimizer:
    """The optimizer that the options name, over a model's trainable parameters.

    Weight decay acts on matrices and filters only.  A group's rate is ``options.lr`` times its ``share``, and follows
    the schedule over its own part of training, from 0 to ``until``; the loop sets it.  With ``early_lr`` below 1 the
    shares rise from there at the first layer with weights to 1 at the last, in equal ratios.
    """
    if options.optimizer == "muon":
        if options.early_lr != 1:
            raise ConfigError(
                "C204", "--early-lr is not for muon, whose filters all have one rate.", fix="--optimizer adamw"
            )
        groups = _for_muon(model, options)
    else:
        groups = [
            {"params": part, "share": share, "weight_decay": (options.weight_decay or 0.0) if decays else 0.0}
            for share, layers in _by_depth(model, options.early_lr)
            for decays in (True, False)
            if (part := [p for p in layers if (p.ndim >= 2) == decays])
        ]
    groups = [{"share": 1.0, "until": 1.0} | group for group in groups if group["params"]]
    return OPTIMIZERS[options.optimizer](groups, options)


def _by_depth(model: nn.Module, first: float) -> list[tuple[float, list[nn.Parameter]]]:
    """The trainable parameters with their share of the rate; those of a norm go with the filters before it."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if first == 1:
        return [(1.0, parameters)]
    layers: list[list[nn.Parameter]] = []
    for parameter in parameters:
        if parameter.ndim >= 2 or not layers:
            layers.append([])
        layers[-1].append(parameter)
    last = max(1, len(layers) - 1)
    return [(first ** (1 - number / last), layer) for number, layer in enumerate(layers)]


def _for_muon(model: nn.Module, options: TrainOptions) -> list[dict[str, Any]]:
    """Groups for Muon: a model may say what its parameters are (``roles``); else all weights but the last are filters.

    The shares of a model with roles are those of the record recipe, for its 256 features before the head. Its loss is a
    sum: for the mean that dojang takes, the rates of plain gradient steps grow with the batch.
    """
    decay = options.weight_decay or 0.0
    roles: Callable[[], dict[str, list[nn.Parameter]]] | None = getattr(model, "roles", None)
    if roles is None:
        weights = penalised(model)
        others = [p for p in model.parameters() if p.requires_grad and all(p is not w for w in weights[:-1])]
        filters = {"kind": "muon", "params": weights[:-1], "weight_decay": decay}
        return [filters, {"kind": "adam", "params": others, "share": 0.05}]
    found, n = roles(), options.batch_size
    head = found["head"][0]
    features = head.shape[1]
    # a step's effect on the answer: of a bias it falls with the features, of the head it grows with them
    biases = 0.053 * n * features / 256
    last = 0.67 * n / (features * 256)
    per_step = 2e-6 * n
    plain = {"kind": "sgd", "momentum": 0.85}
    return [
        {"kind": "muon", "params": found["filters"], "iterations": 3, "unit": True},
        plain | {"params": found["norms"], "share": biases / 0.24, "weight_decay": per_step / biases},
        # the stem's filters are computed; its biases settle early, and then the first gradient need not be known
        plain | {"params": found["stem"], "share": biases / 0.24, "weight_decay": per_step / biases, "until": 0.375},
        plain | {"params": found["head"], "share": last / 0.24, "weight_decay": per_step / last},
    ]
