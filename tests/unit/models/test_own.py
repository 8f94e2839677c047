"""A model of one's own: how it is found and called, and what is said when it cannot be."""

import sys

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.build import architecture, build
from dojang.models.own import is_own, load_class

FILE = """
import torch
from torch import nn
from neighbour_of_mynet import WIDTH

class CNN(nn.Module):
    def __init__(self, in_channels, num_classes, width=WIDTH):
        super().__init__()
        self.width = width
        self.conv = nn.Conv2d(in_channels, width, 3)
        self.fc = nn.Linear(width, num_classes)
    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))

class Sized(nn.Module):
    def __init__(self, image_size, classes, **rest):
        super().__init__()
        assert not rest
        self.fc = nn.Linear(image_size[0] * image_size[1], classes)
    def forward(self, x):
        return self.fc(x.flatten(1))

class Bare(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)

class Needy(nn.Module):
    def __init__(self, classes, depth, colour):
        super().__init__()

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = {}["missing"]

class NoNet:
    pass

number = 3
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "neighbour_of_mynet.py").write_text("WIDTH = 6\n")
    path = tmp_path / "mynet.py"
    path.write_text(FILE)
    modules = set(sys.modules)
    yield path
    for name in set(sys.modules) - modules:
        if name.startswith("dojang_own_") or name == "neighbour_of_mynet":
            del sys.modules[name]


def make(spec, **options):
    return build(str(spec), in_channels=1, classes=2, image_size=(5, 7), seed=0, options=options)


def refused(call):
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.code == "C208"
    return str(caught.value)


def test_is_own():
    assert is_own("a/mynet.py:CNN") and is_own("mynet.py")
    assert not is_own("cnn") and not is_own("mnist-cnn")


def test_constructors_get_what_they_take(file):
    path, entries = list(sys.path), {p.name for p in file.parent.iterdir()}
    cnn = make(f"{file}:CNN")
    assert cnn(torch.zeros(3, 1, 5, 7)).shape == (3, 2) and cnn.width == 6
    assert make(f"{file}:Sized").fc.in_features == 35
    assert isinstance(make(f"{file}:Bare"), nn.Linear)
    assert architecture(cnn) is None
    # nothing of the caller's world has changed
    assert sys.path == path and {p.name for p in file.parent.iterdir()} == entries


def test_seed_and_init_apply(file):
    one, two, three = make(f"{file}:CNN"), make(f"{file}:CNN"), make(f"{file}:CNN", init="normal")
    assert torch.equal(one.conv.weight, two.conv.weight) and not torch.equal(one.conv.weight, three.conv.weight)
    assert not three.fc.bias.any()


def test_the_file_is_read_anew(file):
    load_class(f"{file}:Bare")
    file.write_text("from torch import nn\nclass Bare(nn.ReLU): pass\n")
    assert load_class(f"{file}:Bare").__base__ is nn.ReLU


def test_two_files_of_one_name(file, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mynet.py").write_text("from torch import nn\nclass CNN(nn.ReLU): pass\n")
    assert load_class(f"{file}:CNN") is not load_class(f"{tmp_path}/other/mynet.py:CNN")
    assert load_class(f"{file}:CNN").__module__ != load_class(f"{tmp_path}/other/mynet.py:CNN").__module__


def test_no_such_file(file):
    text = refused(lambda: load_class(f"{file.parent}/mynett.py:CNN"))
    assert "there is no file" in text and "Did you mean 'mynet.py'?" in text and "Fix: --model FILE.py:CLASS" in text
    assert "there is no file '/no/such/place/net.py'" in refused(lambda: load_class("/no/such/place/net.py:CNN"))


def test_no_such_class(file):
    text = refused(lambda: load_class(f"{file}:CNNN"))
    assert "has no class 'CNNN'. Did you mean 'CNN'?" in text
    assert "Networks in it: CNN, Sized, Bare, Needy, Broken." in text and f"Fix: --model {file}:CNN" in text
    assert "names no class." in refused(lambda: load_class(str(file)))
    assert "names no class." in refused(lambda: load_class(f"{file}:"))


def test_no_network_at_all(file):
    file.write_text("x = 1\n")
    assert "It defines no subclass of torch.nn.Module." in refused(lambda: load_class(f"{file}:CNN"))


def test_not_a_module(file):
    text = refused(lambda: load_class(f"{file}:NoNet"))
    assert f"'NoNet' in {file} is a class, and not a subclass of torch.nn.Module." in text
    assert "is of type int, and not" in refused(lambda: load_class(f"{file}:number"))


def test_arguments_nobody_gives(file):
    text = refused(lambda: make(f"{file}:Needy"))
    assert f"{file}:Needy needs depth, colour, which dojang does not know." in text
    text = refused(lambda: make(f"{file}:CNN", hidden_dims=(3,)))
    assert "takes no argument 'hidden_dims', so --hidden-dims does not apply to it." in text


def test_constructor_that_fails(file):
    text = refused(lambda: make(f"{file}:Broken"))
    line = FILE.splitlines().index('        self.table = {}["missing"]') + 1
    assert f"Broken() of {file}:Broken failed: KeyError: 'missing'" in text and f"At mynet.py line {line}." in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = = 1\n", "mynet.py cannot be run: SyntaxError:"),
        ("x = = 1\n", "Line 1: x = = 1"),
        (
            "\nraise RuntimeError('no GPU here')\n",
            "mynet.py cannot be run: RuntimeError: no GPU here\n  At mynet.py line 2.",
        ),
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_file_that_cannot_be_run(file, text, said):
    file.write_text(text)
    before, modules = list(sys.path), set(sys.modules)
    assert said in refused(lambda: load_class(f"{file}:CNN"))
    assert sys.path == before and not {name for name in set(sys.modules) - modules if name.startswith("dojang_own")}
