"""ONNX Runtime, without what it would tell its maker.

From 1.29 on its published packages report to their maker what is run (names, hashes and sizes of models, the machine),
and keep an identifier in the cache folder, from the moment they are imported; the variable below, set before, is their
switch.  dojang sends nothing anywhere, and so do the libraries that it loads (RELIABILITY X7).
Source: https://github.com/microsoft/onnxruntime/pull/27379
"""

from __future__ import annotations

import os
import sys
from typing import Any

#: set to 1 before ONNX Runtime is imported, it is silent
SILENT = "ORT_DISABLE_TELEMETRY"


def runtime() -> Any:
    """The library ``onnxruntime``; whoever needs it takes it from here.

    >>> runtime().__name__
    'onnxruntime'
    """
    if "onnxruntime" in sys.modules:
        import onnxruntime
    else:
        before = os.environ.get(SILENT)
        os.environ[SILENT] = "1"
        try:
            # here it looks, once for the life of the process
            import onnxruntime
        finally:
            if before is None:
                del os.environ[SILENT]
            else:
                os.environ[SILENT] = before
    # for Windows, where the variable is not read; and where somebody else imported it
    onnxruntime.disable_telemetry_events()
    return onnxruntime
