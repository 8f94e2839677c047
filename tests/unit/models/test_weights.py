"""Weights files: exact round trips, and everything hostile refused by what the header says."""

import dataclasses
import io
import json
import math
import pickle
import random
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from dojang.errors import ConfigError, DojangError, SecurityError, TrainError
from dojang.models.weights import MAX_HEADER, Card, dump, load, restore

CARD = Card(
    version="9.9",
    task="classify",
    architecture={"name": "cnn", "arguments": {"conv_dims": [4]}},
    labels=("고양이", "dog\udcff", 'a"b\n'),
    preprocess={"mean": [0.1307], "size": 28},
    temperature=1.25,
    metrics={"top1": 0.97},
    extra={"x": None},
)


def tensors():
    return {
        "w": torch.arange(6.0).reshape(2, 3),
        "half": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
        "n": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "mask": torch.tensor([True, False]),
    }


def put(tmp_path, data, name="w.safetensors"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def raw(header, data=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def refused(code, path):
    with pytest.raises(DojangError) as caught:
        load(path)
    assert caught.value.code == code, caught.value
    return str(caught.value)


def test_round_trip(tmp_path):
    found, card = load(put(tmp_path, dump(tensors(), CARD)))
    assert card == CARD
    assert set(found) == set(tensors())
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        assert torch.equal(found[name].view(torch.uint8) if tensor.ndim else found[name],
                           tensor.view(torch.uint8) if tensor.ndim else tensor)  # fmt: skip


def test_same_bytes_for_the_same_content():
    state = tensors()
    shuffled = {name: state[name] for name in reversed(state)}
    other = dataclasses.replace(CARD, metrics={"b": 1, "a": 2})
    same = dataclasses.replace(CARD, metrics={"a": 2, "b": 1})
    assert dump(state, other) == dump(shuffled, same)
    assert dump(state, other) != dump(state, CARD)
    strided = {"w": torch.rand(3, 4, 5, 6)}
    last = {"w": strided["w"].to(memory_format=torch.channels_last)}
    assert dump(strided, CARD) == dump(last, CARD)


def test_one_key_of_sorted_json():
    data = dump(tensors(), CARD)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["dojang"]
    card = header["__metadata__"]["dojang"]
    assert list(json.loads(card)) == sorted(json.loads(card)) and card.isascii()
    assert json.loads(card)["format"] == 1


def test_tied_and_sliced_tensors():
    base = torch.arange(8.0)
    data = dump({"a": base, "b": base, "c": base[2:4], "d": base.reshape(2, 4).T}, CARD)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    sizes = {
        name: value["data_offsets"][1] - value["data_offsets"][0] for name, value in header.items() if name in "abcd"
    }
    assert sizes == {"a": 32, "b": 32, "c": 8, "d": 32}


def test_card_that_json_cannot_hold():
    for card in (dataclasses.replace(CARD, metrics={"loss": math.nan}), dataclasses.replace(CARD, extra={"x": {1, 2}})):
        with pytest.raises(TrainError) as caught:
            dump({}, card)
        assert caught.value.code == "T311" and "the card of the weights cannot be written as JSON" in str(caught.value)
    for extra in ({"x": "y" * MAX_HEADER}, {"x": [[]] * 70_000}):
        with pytest.raises(TrainError) as caught:
            dump({}, dataclasses.replace(CARD, extra=extra))
        assert caught.value.code == "T311" and "put less into the card's extra" in caught.value.fix
    with pytest.raises(TrainError) as caught:
        dump({}, dataclasses.replace(CARD, temperature=0.0))
    assert "the card of the weights could not be read back: 'this card' cannot be used as weights" in str(caught.value)


def torch_saved(**kwargs):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer, **kwargs)
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", "{}")
    return buffer.getvalue()


def numpy_objects():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{}], dtype=object))
    return buffer.getvalue()


class Hostile:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle ran')",))


@pytest.mark.parametrize(
    "make",
    [
        torch_saved,
        lambda: torch_saved(_use_new_zipfile_serialization=False),
        zipped,
        numpy_objects,
        *(lambda protocol=protocol: pickle.dumps(Hostile(), protocol=protocol) for protocol in (2, 3, 4, 5)),
    ],
)
def test_pickles_are_refused_by_content(tmp_path, make):
    assert "is a pickle file" in refused("X501", put(tmp_path, make(), "w.safetensors"))


def test_text_of_a_refused_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, torch_saved(), "model.pt")
    assert refused("X501", "model.pt") == (
        "SecurityError[X501]: 'model.pt' is a pickle file. Loading one can run any code, "
        "also with weights_only=True on older torch.\n"
        "  dojang does not load pickles.\n"
        "  Fix: give a weights file that dojang wrote (weights/best.safetensors of a run), or make this one such a "
        "file: dojang convert FILE --model NAME."
    )


@pytest.mark.parametrize(("first", "second"), [(0x80, 0x02), (0x50, 0x4B)])
def test_header_whose_length_looks_like_a_pickle(tmp_path, first, second):
    data = dump({"w": torch.ones(1)}, dataclasses.replace(CARD, extra={}))
    now = int.from_bytes(data[:8], "little")
    length = first + 256 * second
    padded = length.to_bytes(8, "little") + data[8 : 8 + now] + b" " * (length - now) + data[8 + now :]
    found, _ = load(put(tmp_path, padded))
    assert found["w"].tolist() == [1.0]


BROKEN = {
    "empty": (b"", "it is empty"),
    "short": (b"12345", "it is not a safetensors file"),
    "page": (b"<!DOCTYPE html><html>not found</html>", "it is not a safetensors file"),
    "protocol 0 pickle": (pickle.dumps(Hostile(), protocol=0), "it is not a safetensors file"),
    "length 2^63": (raw({}, length=2**63), "its header should have 9,223,372,036,854,775,808 bytes"),
    "length 2^64-1": (raw({}, length=2**64 - 1), "it may be cut short"),
    "no length": (raw({}, length=0), "no valid JSON"),
    "half a header": (raw({"a": entry([1], 0, 4)}, b"1234", length=9), "no valid JSON"),
    "no JSON": (raw(b"{nothing}"), "no valid JSON"),
    "no UTF-8": (raw(b'{"\xff": 1}'), "no valid JSON"),
    "NaN": (raw(b'{"a": NaN}'), "NaN is no number"),
    "deep": (raw(b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}"), "no valid JSON"),
    "many": (raw(b'{"a":' + b"[" * 400_000), "its header has more than 20,000 entries"),
    "endless number": (raw(b'{"a":' + b"9" * 10_000 + b"}"), "no valid JSON"),
    "repeated": (raw(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                     b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "a key stands twice"),
    "repeated inside": (raw(b'{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}', b"1"), "twice"),
    "metadata": (raw({"__metadata__": {"dojang": 1}}), "its metadata is not a table of texts"),
    "metadata list": (raw({"__metadata__": []}), "its metadata is not a table of texts"),
    "entry": (raw({"a": 1}), "its entry 'a' is not a tensor"),
    "entry key": (raw({"a": entry([1], 0, 4) | {"z": 1}}, b"1234"), "its entry 'a' is not a tensor"),
    "type": (raw({"a": entry([1], 0, 4, "O8")}, b"1234"), "tensor 'a' has the unknown type 'O8'"),
    "shape": (raw({"a": entry([-1], 0, 4)}, b"1234"), "tensor 'a' has no valid shape and place"),
    "true shape": (raw({"a": entry([True], 0, 4)}, b"1234"), "no valid shape"),
    "float shape": (raw({"a": entry([1.0], 0, 4)}, b"1234"), "no valid shape"),
    "three offsets": (raw({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, b"1234"), "no valid shape"),
    "outside": (raw({"a": entry([2], 0, 8)}, b"1234"), "tensor 'a' lies outside the file's 4 bytes of data"),
    "backwards": (raw({"a": entry([1], 4, 0)}, b"1234"), "lies outside"),
    "huge shape": (raw({"a": entry([2**40, 2**40], 0, 4)}, b"1234"), "has a shape that its 4 bytes do not fill"),
    "wrapping shape": (raw({"a": entry([2**62, 4], 0, 0)}), "has a shape that its 0 bytes do not fill"),
    "huge numbers": (raw({"a": entry([10**4000] * 16, 0, 4)}, b"1234"), "do not fill"),
    "many axes": (raw({"a": entry([1] * 1000, 0, 4)}, b"1234"), "no valid shape"),
    "overlap": (raw({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, b"1" * 12), "tensor 'b' overlaps another"),
    "same place": (raw({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"1234"), "overlaps another"),
    "hole": (raw({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, b"1" * 12), "'b' leaves a hole in front of it"),
    "tail": (raw({"a": entry([1], 0, 4)}, b"1" * 12), "8 bytes at its end belong to no tensor"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_and_hostile_files(tmp_path, case):
    data, said = BROKEN[case]
    path = put(tmp_path, data)
    tracemalloc.start()
    start = time.process_time()
    try:
        text = refused("X506", path)
        seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said in text and text.startswith(f"SecurityError[X506]: {str(path)!r} cannot be used as weights: ")
    assert "\n  Nothing was loaded from it.\n  Fix: copy or download it again" in text and len(text) < 700
    # the bar is 50 ms and 50 MB; tracing makes Python several times slower
    assert seconds < 0.5 and peak < 50e6


def test_header_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "w.safetensors"
    for length in (MAX_HEADER + 1, 100_000_001, 2**40):
        with open(path, "wb") as file:
            file.write(length.to_bytes(8, "little") + b"{")
            file.truncate(length + 8)
        tracemalloc.start()
        text = refused("X506", path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert f"its header has {length:,} bytes; at most {MAX_HEADER:,} are read" in text and peak < 1e6


@pytest.mark.parametrize("filler", [b'"%d":{},', b'"%d":"ab",'])
def test_a_full_header_stays_within_bounds(tmp_path, filler):
    parts, size, number = [b"{"], 1, 0
    while size < MAX_HEADER - 100:
        parts.append(filler % number)
        size += len(parts[-1])
        number += 1
    path = put(tmp_path, raw(b"".join(parts)[:-1] + b"}"))
    tracemalloc.start()
    refused("X506", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_cut_files(tmp_path):
    data = dump(tensors(), CARD)
    for end in range(0, len(data), 7):
        refused("X506", put(tmp_path, data[:end]))


def test_changed_bytes_give_coded_errors_only(tmp_path):
    data, source = dump(tensors(), CARD), random.Random(7)
    codes = set()
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(source.choice([1, 1, 2, 8])):
            changed[source.randrange(len(data))] = source.randrange(256)
        try:
            load(put(tmp_path, bytes(changed)))
        except DojangError as error:
            codes.add(error.code)
    assert "X506" in codes and codes <= {"X501", "X506", "X507", "X508"}


def test_weights_of_another_tool(tmp_path):
    path = put(tmp_path, raw({"__metadata__": {"format": "pt"}, "a": entry([1], 0, 4)}, b"1234"))
    text = refused("X507", path)
    assert "holds weights without dojang's card" in text and "Fix: give a weights file that dojang wrote" in text
    refused("X507", put(tmp_path, raw({})))


def with_card(changes, drop=()):
    values = dataclasses.asdict(CARD) | changes
    text = json.dumps({name: value for name, value in values.items() if name not in drop})
    return raw({"__metadata__": {"dojang": text}})


def test_newer_format(tmp_path):
    text = refused("X508", put(tmp_path, with_card({"format": 2, "version": "3.0"}, drop=["labels"])))
    assert "was written by a newer dojang (3.0): its format is 2, and this dojang" in text
    assert text.endswith("reads up to 1.\n  Fix: pip install --upgrade dojang")


def test_unknown_words_on_a_card_are_passed_over(tmp_path):
    assert load(put(tmp_path, with_card({"later": 1})))[1] == CARD


@pytest.mark.parametrize(
    ("changes", "drop", "said"),
    [
        ({"format": True}, [], "no format number"),
        ({"format": 0}, [], "no format number"),
        ({}, ["format"], "no format number"),
        ({"labels": "cat"}, [], "no valid labels"),
        ({"labels": ["cat", 1]}, [], "no valid labels"),
        ({"temperature": 0}, [], "no valid labels and temperature"),
        ({"temperature": 10**400}, [], "no valid labels and temperature"),
        ({"temperature": True}, [], "no valid temperature"),
        ({"architecture": "cnn"}, [], "no valid architecture"),
        ({}, ["architecture"], "no valid architecture"),
        ({"preprocess": None}, [], "no valid preprocess"),
    ],
)
def test_cards_that_make_no_sense(tmp_path, changes, drop, said):
    assert said in refused("X506", put(tmp_path, with_card(changes, drop)))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format":1,"format":1}', "[" * 30_000])
def test_cards_that_are_no_json(tmp_path, text):
    assert "its card" in refused("X506", put(tmp_path, raw({"__metadata__": {"dojang": text}})))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no.safetensors")
    assert caught.value.code == "C209" and "no.safetensors' cannot be opened: No such file" in str(caught.value)
    with pytest.raises(ConfigError):
        load(tmp_path)


def test_names_that_are_no_unicode(tmp_path):
    path = put(tmp_path, dump(tensors(), CARD), "w\udcff.safetensors")
    assert load(path)[1] == CARD


def test_loaded_tensors_are_free_of_the_file(tmp_path):
    path = put(tmp_path, dump(tensors(), CARD))
    found, _ = load(path)
    path.write_bytes(b"\0" * 10_000)
    assert torch.equal(found["w"], tensors()["w"])
    found["w"].add_(1)


def test_restore_names_what_differs():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 2), nn.Linear(2, 2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {name: tensor + 1 for name, tensor in before.items()}
    state["0.weight"] = torch.zeros(4, 3, 3, 3)
    del state["1.bias"]
    state["head"] = torch.tensor(1.0)
    state["tail"] = torch.tensor(1.0)
    with pytest.raises(TrainError) as caught:
        restore(net, state)
    assert str(caught.value) == (
        "TrainError[T310]: the weights are of another network: 4 of 8 tensors differ.\n"
        "  0.weight: 4x1x3x3 in the network, 4x3x3x3 in the file; 1.bias: 2 in the network, missing in the file; "
        "head: missing in the network, one number in the file.\n"
        "  Fix: build the network with the arguments that these weights were trained with."
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_restore_keeps_the_memory_format():
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    state = {name: torch.rand(tensor.shape) for name, tensor in net.state_dict().items()}
    restore(net, state)
    assert net.weight.is_contiguous(memory_format=torch.channels_last) and torch.equal(net.weight, state["weight"])


def test_security_error_stops_as_bad_data():
    assert SecurityError("X506", "x").exit_code == 3
