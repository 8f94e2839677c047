"""The small service of serving.py, as fixtures."""

from __future__ import annotations

import pytest


@pytest.fixture
def predictor():
    import serving

    return serving.predictor()


@pytest.fixture
def service():
    """Makes a service; ``wrap`` changes what answers."""
    import serving

    return serving.service
