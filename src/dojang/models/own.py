"""A model of one's own: a class in a Python file, named as ``mynet.py:CNN``."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from dojang.errors import ConfigError, did_you_mean, listing

_CODE = "C208"


def is_own(name: str) -> bool:
    """Whether a model's name means a file, not a preset.

    >>> is_own("mynet.py:CNN"), is_own("mnist-cnn")
    (True, False)
    """
    path = name.rpartition(":")[0] or name
    return path.endswith(".py")


def load_class(spec: str) -> type[nn.Module]:
    """The class that ``FILE.py:CLASS`` names. The file is run, as Python's import would; nothing is written beside it.

    Raises:
        ConfigError: C208 when there is no such file or class, when the file fails, and when the class is no nn.Module.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file.endswith(".py"):
        file, name = spec, ""
    path = Path(file)
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else ""
        raise ConfigError(_CODE, f"there is no file {file!r} for --model {spec}.{near}", fix="--model FILE.py:CLASS")
    module = _run(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    found = getattr(module, name, None) if name else None
    if found is None:
        said = (
            f"{file} has no class {name!r}.{did_you_mean(name, classes)}" if name else f"--model {spec} names no class."
        )
        context = f"Networks in it: {listing(classes)}." if classes else "It defines no subclass of torch.nn.Module."
        raise ConfigError(_CODE, said, context=context, fix=f"--model {file}:{next(iter(classes), 'CLASS')}")
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        kind = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
        raise ConfigError(
            _CODE,
            f"{name!r} in {file} is {kind}, and not a subclass of torch.nn.Module.",
            context=f"Networks in it: {listing(classes) or 'none'}.",
            fix=f"class {name}(torch.nn.Module): ...",
        )
    return found


def construct(spec: str, facts: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> nn.Module:
    """An object of the class that ``spec`` names.

    Args:
        spec: ``FILE.py:CLASS``.
        facts: in_channels, classes, image_size; each is passed if the constructor has an argument of that name
            (``num_classes`` will do for ``classes``), otherwise it is left out.
        options: What the user asked for beside them; each must be an argument of the constructor.

    Raises:
        ConfigError: C208 as :func:`load_class`, and when the constructor takes other arguments or fails.
    """
    kind = load_class(spec)
    try:
        parameters = inspect.signature(kind).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    offered = dict(facts)
    if "classes" not in named:
        offered["num_classes"] = offered.pop("classes")
    arguments = {name: value for name, value in offered.items() if name in named}
    for name, value in (options or {}).items():
        if name not in named:
            flag = "--" + name.replace("_", "-")
            said = f"{spec} takes no argument {name!r}, so {flag} does not apply to it."
            raise ConfigError(_CODE, said, fix=f"leave out {flag}, or give the constructor an argument {name}.")
        arguments[name] = value
    missing = [
        name for name, parameter in named.items() if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        raise ConfigError(
            _CODE,
            f"{spec} needs {listing(missing)}, which dojang does not know.",
            context="It gives in_channels, classes (or num_classes) and image_size to a constructor that takes them.",
            fix=f"give {missing[0]} a default value.",
        )
    try:
        model = kind(**arguments)
    except Exception as error:
        call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        said = f"{kind.__name__}({call}) of {spec} failed: {type(error).__name__}: {error}"
        raise ConfigError(_CODE, said, context=_place(error, Path(spec.rpartition(":")[0]))) from error
    return model


def _run(path: Path) -> ModuleType:
    path = path.resolve()
    # named after the whole path: two files called net.py must not be one module
    name = f"dojang_own_{path.stem}_{hashlib.sha256(str(path).encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(_CODE, f"{str(path)!r} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    folder, writes = str(path.parent), sys.dont_write_bytecode
    # the file may import its neighbours, as a script may; last, so that none of them hides a library.
    # No __pycache__ is written: the folder is the user's
    sys.path.append(folder)
    sys.dont_write_bytecode = True
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        said = f"{path.name} cannot be run: {type(error).__name__}: {error}"
        raise ConfigError(_CODE, said, context=_place(error, path)) from error
    finally:
        sys.dont_write_bytecode = writes
        if folder in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]
    return module


def _place(error: BaseException, path: Path) -> str:
    """The last line of the user's file that was running, for the message."""
    if isinstance(error, SyntaxError):
        return f"Line {error.lineno}: {(error.text or '').strip()}"
    lines, trace, wanted = [], error.__traceback__, path.resolve()
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == wanted:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f"At {path.name} line {lines[-1]}." if lines else ""
