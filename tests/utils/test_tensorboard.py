"""SummaryWriter: event files that TensorBoard reads, from tensors."""

import struct
import zlib

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.utils.tensorboard import FileWriter, SummaryWriter, summary
from rushlight.utils.tensorboard.hparams import hparams
from rushlight.utils.tensorboard.records import _by_bytes, _masked, crc32c


def fields(data):
    """A message of protocol buffers: number of a field → its values, as ints or bytes."""
    found: dict = {}
    at = 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def events(folder):
    """The events of the files in a folder: records of a length, its check, data, their check."""
    for file in sorted(folder.rglob("events.out.tfevents*")):
        data = file.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = data[12 : 12 + size]
            assert data[8:12] == _masked(data[:8]) and data[12 + size : 16 + size] == _masked(event)
            yield fields(event)
            data = data[16 + size :]


def values(folder):
    """Tag → the fields of a summary's value, and the step."""
    found = {}
    for event in events(folder):
        for made in event.get(5, []):
            for value in map(fields, fields(made)[1]):
                found[value[1][0].decode()] = {**value, "step": event.get(2, [0])[0]}
    return found


def test_checksum():
    assert crc32c(b"123456789") == 0xE3069283
    data = bytes(range(256)) * 33 + b"rest"
    assert crc32c(data) == _by_bytes(0xFFFFFFFF, data) ^ 0xFFFFFFFF  # computed in parts at once


def test_everything_takes_tensors(tmp_path):
    torch.manual_seed(0)
    image = torch.rand(3, 8, 9)
    with SummaryWriter(log_dir=tmp_path / "log", flush_secs=1) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path / "log")
        writer.add_scalar("loss", torch.tensor(0.5, requires_grad=True), 7)
        writer.add_scalar("new", torch.tensor(0.25), 1, new_style=True, double_precision=True)
        writer.add_scalars("both", {"a": torch.tensor(1), "b": 2.0}, 1)
        writer.add_histogram("weights", torch.arange(4, dtype=torch.bfloat16), 1, bins=[0, 1, 2, 9])
        writer.add_images("images", torch.stack([image, image]), 1)
        writer.add_text("text", "hello", 1)
        writer.add_pr_curve("curve", torch.tensor([0, 1, 1]), torch.tensor([0.1, 0.8, 0.6]), 1, 3)
        writer.add_embedding(torch.randn(4, 3), list("abcd"), torch.rand(4, 3, 2, 2), 1)
        writer.add_mesh("mesh", torch.rand(1, 5, 3), global_step=1)
        writer.add_tensor("tensor", torch.arange(6).reshape(2, 3), 1)
        writer.add_audio("sound", torch.zeros(1, 100), 1)
        writer.add_custom_scalars_multilinechart(["loss", "new"])
        writer.add_hparams({"lr": 0.1, "n": torch.tensor(2)}, {"accuracy": 0.9}, run_name="r")
    found = values(tmp_path)
    assert found["loss"][2] == [struct.pack("<f", 0.5)] and found["loss"]["step"] == 7
    assert fields(found["new"][8][0])[6] == [struct.pack("<d", 0.25)]
    histogram = fields(found["weights"][5][0])
    assert np.frombuffer(histogram[6][0]).tolist() == [0, 1, 2, 9]
    assert np.frombuffer(histogram[7][0]).tolist() == [0, 1, 1, 2]
    assert {"curve", "mesh_VERTEX", "sound", "text/text_summary", "accuracy"} <= set(found)
    curve = np.frombuffer(fields(found["curve"][8][0])[5][0], np.float32).reshape(6, 3)
    assert curve[:2].tolist() == [[2, 2, 0], [1, 0, 0]]
    tensor = fields(found["tensor"][8][0])
    assert [fields(d)[1] for d in fields(tensor[2][0])[2]] == [[2], [3]]
    assert np.frombuffer(tensor[4][0], np.int64).tolist() == list(range(6))
    assert list((tmp_path / "log").rglob("*.tsv")) and list(tmp_path.rglob("both_a"))


def test_image(tmp_path):
    pixels = torch.arange(12, dtype=torch.uint8).reshape(2, 2, 3)
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("image", pixels, dataformats="HWC")
        writer.add_image("grey", torch.tensor([[0.0, 1.0]]), dataformats="HW")
    found = values(tmp_path)
    image = fields(found["image"][4][0])
    assert (image[1], image[2], image[3]) == ([2], [2], [3])
    start = image[4][0].index(b"IDAT") + 4
    rows = zlib.decompress(image[4][0][start:])
    assert rows == bytes([0, 0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 11])
    assert fields(found["grey"][4][0])[3] == [3]
    with pytest.raises(AssertionError, match="each of the 3 dims"):
        summary.image("x", pixels, dataformats="HW")


def test_figure(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(1, 1), dpi=10)
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("figure", figure, 1, close=False)
    assert fields(values(tmp_path)["figure"][4][0])[1] == [10]


def test_hyper_parameters():
    _, start, _ = hparams({"a": 1, "b": "x", "c": True, "d": None}, {"m": 1}, {"b": ["x"]})
    plugin = fields(fields(fields(start)[1][0])[9][0])[1][0]
    assert fields(plugin)[1] == [b"hparams"]
    started = fields(fields(fields(plugin)[2][0])[3][0])[1]
    assert [fields(entry)[1][0] for entry in started] == [b"a", b"b", b"c"]
    with pytest.raises(ValueError, match="'a' should be one of"):
        hparams({"a": object()}, {})
    with pytest.raises(TypeError, match="metric_dict should be a dictionary"):
        hparams({}, None)


def test_events_wait_and_are_written(tmp_path):
    writer = FileWriter(tmp_path, max_queue=2, flush_secs=1000)
    for step in range(3):
        writer.add_summary(summary.scalar("x", step), step)
        assert len(list(events(tmp_path))) == (4 if step == 2 else 1)
    writer.close()
    with SummaryWriter(tmp_path / "again", purge_step=5) as purged:
        purged.flush()
    assert [e.get(2) for e in events(tmp_path / "again")] == [None, [5], [5]]


def test_graph(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, torch.ones(2, 3))
        with pytest.raises(ValueError, match="give an example"):
            writer.add_graph(model)
    (graph,) = [e[4][0] for e in events(tmp_path) if 4 in e]
    nodes = {n[1][0].decode(): n for n in map(fields, fields(graph)[1])}
    assert nodes["linear"][2] == [b"linear"] and b"p_0_weight" in nodes["linear"][3]
    entry = fields(nodes["relu"][5][0])
    shape = fields(fields(fields(entry[2][0])[1][0])[7][0])
    assert entry[1] == [b"_output_shapes"] and [fields(d)[1] for d in shape[2]] == [[2], [4]]


@pytest.mark.parametrize("value", [[1.0], (1, 2), {"a": 1}, None])
def test_values_that_are_no_numbers(tmp_path, value):
    with SummaryWriter(tmp_path) as writer:
        for add in (writer.add_scalar, writer.add_histogram):
            with pytest.raises(NotImplementedError, match="numpy array or torch tensor"):
                add("a", value)
