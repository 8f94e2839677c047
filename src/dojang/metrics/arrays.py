"""What scores are made of, checked: class ids, tables of probabilities, confusion matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from dojang.errors import ConfigError


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ConfigError("C220", f"{name} is no array: {error}.") from None


def numbers(values: Any, name: str) -> np.ndarray:
    """float32 stays as it is: a table of 50,000 rows and 1,000 classes is 200 MB already."""
    array = _array(values, name)
    if array.dtype.kind not in "fiub":
        raise ConfigError("C220", f"{name} has type {array.dtype} and shape {array.shape}; expected numbers.")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _integers(values: Any, name: str) -> np.ndarray:
    array = _array(values, name)
    # an empty list is float64 to NumPy
    if array.size and array.dtype.kind not in "iu":
        raise ConfigError("C220", f"{name} has type {array.dtype} and shape {array.shape}; expected whole numbers.")
    return array.astype(np.int64, copy=False)


def ids(values: Any, name: str, n_classes: int) -> np.ndarray:
    """Class ids from 0 to n_classes - 1, int64 (n,). Raises C220 for anything else."""
    found = _integers(values, name)
    if found.ndim != 1:
        raise ConfigError("C220", f"{name} has shape {found.shape}; expected (n,), one class id a row.")
    wrong = np.flatnonzero((found < 0) | (found >= n_classes))
    if len(wrong):
        row = int(wrong[0])
        raise ConfigError("C220", f"{name} has the class id {found[row]} in row {row}; expected 0 to {n_classes - 1}.")
    return found


def rows(true: Any, probabilities: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Class ids (n,) and the table (n, c) they belong to, checked. Raises C220 where they do not fit."""
    true, table = _integers(true, "true"), numbers(probabilities, "probabilities")
    if table.ndim != 2 or table.shape[1] == 0 or true.shape != table.shape[:1]:
        raise ConfigError(
            "C220",
            f"{where}: true has shape {true.shape} and probabilities has shape {table.shape}; "
            "expected (n,) and (n, c).",
        )
    undefined = np.flatnonzero(np.isnan(table).any(axis=1))
    if len(undefined):
        raise ConfigError("C220", f"{where}: row {undefined[0]} of probabilities, shape {table.shape}, holds nan.")
    return ids(true, "true", table.shape[1]), table


def distributions(table: np.ndarray, where: str) -> None:
    """Raises C220 unless each row of the table is a distribution."""
    if not len(table):
        return
    sums, least = table.sum(axis=1, dtype=np.float64), table.min(axis=1)
    # rounding to bf16 moves a sum by 0.4 % at most; logits are far from 1
    bad = np.flatnonzero((np.abs(sums - 1) > 0.01) | (least < 0))
    if len(bad):
        row = int(bad[0])
        raise ConfigError(
            "C220",
            f"{where}: row {row} of probabilities, shape {table.shape}, sums to {sums[row]:.6g} and its least "
            f"value is {least[row]:.6g}; expected values from 0 that sum to 1.",
            fix=f"{where}(true, softmax(logits))",
        )


def counts(matrix: Any) -> np.ndarray:
    """A confusion matrix, int64 (c, c), checked. Raises C220 for what is none."""
    found = _integers(matrix, "matrix")
    if found.ndim != 2 or found.shape[0] != found.shape[1] or found.size == 0 or found.min() < 0:
        raise ConfigError(
            "C220",
            f"matrix has shape {found.shape}" + (f" and least value {found.min()}" if found.size else "") + "; "
            "expected a confusion matrix: counts of shape (c, c), rows the true class.",
        )
    return found
