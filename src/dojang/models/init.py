"""How weights start. The difference shows at once: with U(0,1) a sigmoid network stays near chance for epochs.

Xavier keeps the spread of numbers and gradients through sigmoid and tanh, near 0 where they are straight; He through
ReLU, which lets half of it pass: hence its 2.
Sources: Xavier: Glorot and Bengio, AISTATS 2010, eq. 16. He: He et al., ICCV 2015, eq. 10.
"""

from __future__ import annotations

from torch import nn

from dojang.errors import ConfigError, did_you_mean
from dojang.models.options import INIT_NAMES

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def initialise(model: nn.Module, scheme: str) -> None:
    """Draw the weights of all dense and convolutional layers again, in place, from torch's current generator.

    Args:
        model: Any network; its other layers (batch normalisation: weight 1, bias 0) stay as they are.
        scheme: "default" leaves torch's own draws; "uniform" is U(0, 1) on the weights alone; "normal" is N(0, 0.02),
            "xavier" U(+-sqrt(6 / (fan_in + fan_out))), "he" N(0, sqrt(2 / fan_in)), these three with zero biases.
            "autoencoder" draws what :mod:`dojang.train.autoencoder` begins with: Xavier's weights where there is a
            sigmoid or tanh, else He's.

    Raises:
        ConfigError: C204 for another name.

    Example:
        >>> layer = nn.Linear(50, 10)
        >>> initialise(layer, "xavier")
        >>> float(layer.weight.detach().abs().max()) <= (6 / 60) ** 0.5, float(layer.bias.detach().abs().max())
        (True, 0.0)
    """
    if scheme not in INIT_NAMES:
        raise ConfigError(
            "C204",
            f"init cannot be {scheme!r}; expected one of {', '.join(INIT_NAMES)}.{did_you_mean(scheme, INIT_NAMES)}",
        )
    if scheme == "default":
        return
    if scheme == "autoencoder":
        scheme = "xavier" if any(isinstance(layer, (nn.Sigmoid, nn.Tanh)) for layer in model.modules()) else "he"
    for layer in model.modules():
        if not isinstance(layer, _WEIGHTED):
            continue
        if scheme == "uniform":
            nn.init.uniform_(layer.weight)
            continue
        if scheme == "normal":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif scheme == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
