"""dojang: from a folder of images to a convolutional network that its owner can trust, understand and ship.

import dojang
model = dojang.Model("mnist-cnn")
run = model.train(data="mnist", epochs=3)
print(run.metrics["test"]["top1"])
print(model.predict("seven.png")[0])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dojang.data.manifest import Manifest
    from dojang.data.pairs import from_pairs
    from dojang.data.preprocess import Preprocess
    from dojang.errors import ConfigError, DataError, DojangError, ResourceError, SecurityError, TrainError
    from dojang.predict.answer import Answer
    from dojang.report.report import Report
    from dojang.report.studied import Study
    from dojang.runs.api import Model, Run
    from dojang.runs.comparison import compare

# public names and where they live; imported when first used, so that `import dojang` costs nothing
_WHERE = {
    "Answer": "dojang.predict.answer",
    "ConfigError": "dojang.errors",
    "DataError": "dojang.errors",
    "DojangError": "dojang.errors",
    "Manifest": "dojang.data.manifest",
    "Model": "dojang.runs.api",
    "Preprocess": "dojang.data.preprocess",
    "Report": "dojang.report.report",
    "ResourceError": "dojang.errors",
    "Run": "dojang.runs.api",
    "SecurityError": "dojang.errors",
    "Study": "dojang.report.studied",
    "TrainError": "dojang.errors",
    "compare": "dojang.runs.comparison",
    "from_pairs": "dojang.data.pairs",
}

__all__ = ["Answer", "ConfigError", "DataError", "DojangError", "Manifest", "Model", "Preprocess"]
__all__ += ["Report", "ResourceError", "Run", "SecurityError", "Study", "TrainError", "__version__", "compare"]
__all__ += ["from_pairs"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dojang' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
