"""The rules of the house that can be read off the source: who imports whom, what is not used, who writes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "dojang"
FILES = sorted(SOURCE.rglob("*.py"))

# from the ground up; rooms on one line do not import each other
ROOMS = (
    ("errors", "files", "folders", "seeds", "registry", "recipe", "garbage"),
    ("convolution", "metrics"),
    ("native",),
    ("data",),
    ("models",),
    ("train",),
    ("tasks",),
    ("predict",),
    ("evaluate",),
    ("runs",),
    ("explain", "export", "study", "doctor"),
    ("report",),
    ("serve", "bench"),
    ("cli",),
    ("__main__",),
    ("",),
)
GROUND = ROOMS[0]
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}

LATE = {"torchvision", "sklearn", "matplotlib"}
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# the two places that read what others pickled: by opcode after the digest matches, and with weights_only
READS_OPCODES, CONVERTS = "data/cifar.py", "models/convert.py"
FORBIDDEN = {
    "torch.load": "use safetensors",
    "torch.jit.load": "use safetensors",
    "torch.hub.load": "it runs downloaded code",
    "yaml.load": "use yaml.safe_load",
    "yaml.load_all": "use yaml.safe_load_all",
    "yaml.full_load": "use yaml.safe_load",
    "yaml.unsafe_load": "use yaml.safe_load",
    "os.system": "it is a shell",
    "os.popen": "it is a shell",
    "builtins.eval": "it runs text",
    "builtins.exec": "it runs text",
}
WRITING = {
    "os": {"replace", "rename", "renames", "remove", "unlink", "truncate", "link", "symlink", "write", "pwrite"},
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rmtree"},
    "numpy": {"save", "savez", "savez_compressed", "savetxt"},
    "numpy.lib.format": {"open_memmap"},
    "torch": {"save"},
    "safetensors.torch": {"save_file"},
    "safetensors.numpy": {"save_file"},
    "tempfile": {"mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory"},
}
WRITES = {f"{module}.{name}" for module, names in WRITING.items() for name in names}
METHODS = {
    "write_text",
    "write_bytes",
    "rename",
    "unlink",
    "touch",
    "tofile",
    "symlink_to",
    "hardlink_to",
    "extractall",
}
WRITING_MODE = re.compile(r"[wax][bt]*\+?[bt]*([:|]\w*)?|r[bt]*\+[bt]*")


def names_of(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: {"np": "numpy", "save_file": "safetensors.torch.save_file"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of ``a.b.c`` with imports looked up; "" for what is no such chain."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "builtins." + node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def imported(tree: ast.AST, where: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything imported; relative names are made absolute. ``where``: as "data/store.py"."""
    package = ["dojang", *where.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def room_of(name: str) -> str:
    """The room of ``dojang.ROOM.something``; "" for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else ""


def direction(text: str, where: str) -> Iterator[str]:
    """Imports that go up or across."""
    tree = ast.parse(text, where)
    own = "" if where == "__init__.py" else where.split("/")[0].removesuffix(".py")
    if own not in RANK:
        yield f"{where}: the room {own!r} is not in ROOMS"
        return
    names = names_of(tree)
    # "import dojang" alone says nothing: what counts is which attribute of it is used
    used = [(line, name) for line, name in imported(tree, where) if name != "dojang"]
    chains = ((node.lineno, dotted(node, names)) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    used += [(line, name) for line, name in chains if re.match(r"dojang\.\w+$", name)]
    for line, name in used:
        if not re.match(r"dojang(\.|$)", name) or name == "dojang.__version__":
            continue
        room = room_of(name)
        # the ground is one room of five files
        if RANK[room] > RANK[own] or (RANK[room] == RANK[own] and room != own and room not in GROUND):
            yield f"{where}:{line}: {own or 'dojang'} must not import {name}"


def at_import(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run when the file is imported: not those in functions or under TYPE_CHECKING."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)


def heavy(text: str, where: str) -> Iterator[str]:
    """Slow libraries imported before they are needed, and what the room of metrics does without."""
    tree = ast.parse(text, where)
    for node in at_import(tree):
        roots = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        for root in {name.split(".")[0] for name in roots} & LATE:
            yield f"{where}:{node.lineno}: import {root} inside the function that needs it"
    for line, name in imported(tree, where):
        if where.startswith("metrics/") and name.split(".")[0] in LATE | {"scipy", "torch"}:
            yield f"{where}:{line}: metrics uses NumPy only"


def unsafe(text: str, where: str) -> Iterator[str]:
    """Calls that can run what somebody else wrote."""
    tree = ast.parse(text, where)
    names = names_of(tree)
    for line, name in imported(tree, where):
        root = name.split(".")[0]
        if root in PICKLES or (root == "pickletools" and where != READS_OPCODES):
            yield f"{where}:{line}: {root}"
        if name in FORBIDDEN:
            yield f"{where}:{line}: {name}: {FORBIDDEN[name]}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node, names)
            if name in FORBIDDEN and not (where == CONVERTS and name == "torch.load"):
                yield f"{where}:{node.lineno}: {name}: {FORBIDDEN[name]}"
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            for word in ("shell", "allow_pickle"):
                if given.get(word, "False") != "False":
                    yield f"{where}:{node.lineno}: {word}={given[word]}"
            loads = dotted(node.func, names) == "torch.load"
            if loads and where == CONVERTS and given.get("weights_only") != "True":
                yield f"{where}:{node.lineno}: torch.load without weights_only=True"


def writes(text: str, where: str) -> Iterator[str]:
    """Calls that change a disk; they belong to files.py, and to folders.py what is done to whole folders."""
    if where in ("files.py", "folders.py"):
        return
    tree = ast.parse(text, where)
    names = names_of(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func, names)
        if name.startswith("dojang.") or (node.args and dotted(node.args[0], names) == "os.devnull"):
            continue
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        modes = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
        words = [arg.value for arg in [*node.args, *modes] if isinstance(arg, ast.Constant)]
        in_mode = any(isinstance(word, str) and WRITING_MODE.fullmatch(word) for word in words)
        opens = name in ("builtins.open", "io.open", "os.fdopen")
        hidden = opens and not all(isinstance(mode, ast.Constant) for mode in [*node.args[1:2], *modes])
        takes_mode = opens or method == "open" or name.endswith((".memmap", ".ZipFile", ".TarFile", ".GzipFile"))
        flags = name == "os.open" and re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", ast.unparse(node))
        if hidden or flags or (takes_mode and in_mode) or name in WRITES or method in METHODS:
            yield f"{where}:{node.lineno}: {ast.unparse(node)}"


RULES = (direction, heavy, unsafe, writes)


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule):
    assert len(FILES) > 5
    found = [fault for path in FILES for fault in rule(path.read_text("utf-8"), path.relative_to(SOURCE).as_posix())]
    assert found == []


BAD = [
    (direction, "metrics/a.py", "from dojang.data import store"),
    (direction, "metrics/a.py", "from dojang import data"),
    (direction, "metrics/a.py", "def f():\n    import dojang.data.store"),
    (direction, "metrics/a.py", "from .. import data"),
    (direction, "metrics/a.py", "from ..data import store"),
    (direction, "metrics/a.py", "import dojang\nmodel = dojang.Model"),
    (direction, "metrics/a.py", "from dojang import Model"),
    (direction, "metrics/a.py", "from dojang.convolution import im2col"),
    (direction, "tasks/classify/a.py", "from ...runs import folder"),
    (direction, "train/loop.py", "from dojang.tasks.classify import losses"),
    (direction, "serve/a.py", "import dojang.bench"),
    (direction, "errors.py", "from dojang import Model"),
    (direction, "recipe.py", "from dojang.metrics import scores"),
    (direction, "utils.py", "import os"),
    (heavy, "cli/a.py", "import matplotlib.pyplot as plt"),
    (heavy, "cli/a.py", "try:\n    from torchvision import ops\nexcept ImportError:\n    pass"),
    (heavy, "cli/a.py", "class A:\n    import sklearn"),
    (heavy, "metrics/a.py", "def f():\n    import scipy.stats"),
    (unsafe, "a.py", "import pickle"),
    (unsafe, "a.py", "def f():\n    from joblib import load"),
    (unsafe, "data/named.py", "import pickletools"),
    (unsafe, "a.py", "import torch as t\nt.load('a.pt')"),
    (unsafe, "a.py", "from torch import load"),
    (unsafe, "a.py", "import torch\nread = torch.load"),
    (unsafe, "models/convert.py", "import torch\ntorch.load(path)"),
    (unsafe, "models/convert.py", "import torch\ntorch.load(path, weights_only=False)"),
    (unsafe, "a.py", "eval('1')"),
    (unsafe, "a.py", "run = exec"),
    (unsafe, "a.py", "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)"),
    (unsafe, "a.py", "from subprocess import run\nrun('ls', shell=True)"),
    (unsafe, "a.py", "from subprocess import run\nrun('ls', shell=asked)"),
    (unsafe, "a.py", "import numpy as np\nnp.load(path, allow_pickle=True)"),
    (writes, "a.py", "open(path, 'w')"),
    (writes, "a.py", "open(path, mode='ab')"),
    (writes, "a.py", "open(path, 'r+b')"),
    (writes, "a.py", "open(path, mode)"),
    (writes, "a.py", "import os\nos.open(path, os.O_RDWR)"),
    (writes, "a.py", "path.open('x')"),
    (writes, "a.py", "import tarfile\ntarfile.open(path, 'w:gz')"),
    (writes, "a.py", "import zipfile\nzipfile.ZipFile(path, 'a')"),
    (writes, "a.py", "(folder / 'a').write_text('x')"),
    (writes, "a.py", "path.write_bytes(b'x')"),
    (writes, "a.py", "import numpy as np\nnp.save(path, x)"),
    (writes, "a.py", "import numpy as np\nnp.memmap(path, mode='w+')"),
    (writes, "a.py", "x.tofile(path)"),
    (writes, "a.py", "import torch\ntorch.save(x, path)"),
    (writes, "a.py", "from safetensors.torch import save_file\nsave_file(x, path)"),
    (writes, "a.py", "from os import replace\nreplace(a, b)"),
    (writes, "a.py", "path.rename(other)"),
    (writes, "a.py", "import shutil as s\ns.rmtree(folder)"),
    (writes, "a.py", "import tempfile\ntempfile.mkdtemp()"),
]
GOOD = [
    (direction, "metrics/a.py", "import numpy as np\nfrom dojang.errors import ConfigError\nfrom dojang import seeds"),
    (direction, "metrics/a.py", "from . import b\nfrom .b import c\nimport dojang.metrics.b"),
    (direction, "files.py", "from dojang.errors import ConfigError"),
    (direction, "runs/a.py", "import dojang\nversion = dojang.__version__\nfrom dojang import __version__"),
    (direction, "__init__.py", "def f():\n    from dojang.runs import train"),
    (direction, "cli/a.py", "import dojangle"),
    (heavy, "cli/a.py", "def f():\n    import matplotlib\nfrom typing import TYPE_CHECKING"),
    (heavy, "cli/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torchvision"),
    (unsafe, "a.py", "model.eval()\nimport re\nre.compile('a')\nimport yaml\nyaml.safe_load(text)"),
    (unsafe, "a.py", "import numpy as np\nnp.load(path, allow_pickle=False)"),
    (unsafe, "data/cifar.py", "import pickletools\npickletools.genops(data)"),
    (unsafe, "models/convert.py", "import torch\ntorch.load(path, weights_only=True)"),
    (writes, "a.py", "open(path)\nopen(path, 'rb')\npath.open('rb')\nimport tarfile\ntarfile.open(path, 'r:*')"),
    (writes, "a.py", "from dojang import files\nfiles.write_text(path, 'x')\nfiles.remove(path)"),
    (writes, "a.py", "from dojang.files import write_bytes\nwrite_bytes(path, b'')\nname.replace('a', 'b')"),
    (writes, "a.py", "import os\nos.open(path, os.O_RDONLY)\nimport numpy as np\nnp.memmap(path, mode='r')"),
    (writes, "a.py", "import os\nos.open(os.devnull, os.O_WRONLY)"),
    (writes, "files.py", "import os\nos.replace(a, b)\nopen(path, 'w')"),
]


@pytest.mark.parametrize(("rule", "where", "text"), BAD)
def test_the_rule_sees_a_breach(rule, where, text):
    assert list(rule(text, where))


@pytest.mark.parametrize(("rule", "where", "text"), GOOD)
def test_the_rule_lets_good_code_pass(rule, where, text):
    assert list(rule(text, where)) == []


def fresh(code: str) -> str:
    """What a new Python prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_dojang_is_light():
    code = """
import sys, time
start = time.perf_counter()
import dojang
print(time.perf_counter() - start)
print([name for name in ("torch", "numpy", "PIL", "yaml", "click") if name in sys.modules])
"""
    # the best of three: the machine may be busy
    runs = [fresh(code).splitlines() for _ in range(3)]
    assert {loaded for _, loaded in runs} == {"[]"}
    assert min(float(seconds) for seconds, _ in runs) < 0.2


def test_options_are_read_without_torch():
    # so that --help is instant
    modules = [".".join(["dojang", *path.relative_to(SOURCE).with_suffix("").parts]) for path in FILES]
    options = [name for name in modules if name.endswith(".options")]
    assert options
    code = f"import importlib, sys\nfor name in {options}: importlib.import_module(name)\nprint('torch' in sys.modules)"
    assert fresh(code) == "False"
