"""SummaryWriter: event files that TensorBoard reads, from tensors."""

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn

pytest.importorskip("tensorboardX")
pytestmark = pytest.mark.filterwarnings("ignore")  # tensorboardX's own, of NumPy and Matplotlib

from tensorboardX.proto.event_pb2 import Event  # noqa: E402
from tensorboardX.proto.graph_pb2 import GraphDef  # noqa: E402

from rushlight.utils.tensorboard import SummaryWriter  # noqa: E402


def events(folder):
    """The events of the files in a folder: records of a length, its check, data, their check."""
    for file in sorted(folder.rglob("events.out.tfevents*")):
        data = file.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            yield Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]


def values(folder):
    return {v.tag: v for e in events(folder) for v in e.summary.value}


def test_everything_takes_tensors(tmp_path):
    torch.manual_seed(0)
    image = torch.rand(3, 8, 8)
    with SummaryWriter(log_dir=tmp_path / "log", flush_secs=1) as writer:
        assert writer.log_dir == str(tmp_path / "log")
        writer.add_scalar("loss", torch.tensor(0.5, requires_grad=True), 1, new_style=True)
        writer.add_scalars("both", {"a": torch.tensor(1), "b": 2.0}, 1)
        writer.add_histogram("weights", torch.randn(100, dtype=torch.bfloat16), 1)
        writer.add_image("image", image, 1)
        writer.add_images("images", torch.stack([image, image]), 1)
        writer.add_image_with_boxes("boxes", image, torch.tensor([[1.0, 1, 5, 5]]), 1)
        writer.add_text("text", "hello", 1)
        writer.add_pr_curve("curve", torch.tensor([0, 1, 1]), torch.tensor([0.1, 0.8, 0.6]), 1)
        writer.add_embedding(torch.randn(4, 3), metadata=list("abcd"), global_step=1)
        writer.add_mesh("mesh", torch.rand(1, 5, 3), global_step=1)
        writer.add_tensor("tensor", torch.arange(6).reshape(2, 3), 1)
        writer.add_hparams(
            {"lr": 0.1, "n": torch.tensor(2)}, {"accuracy": torch.tensor(0.9)}, run_name="r"
        )
        figure = pytest.importorskip("matplotlib.figure").Figure()
        figure.subplots().plot(torch.arange(3.0))
        writer.add_figure("figure", figure, 1)
    found = values(tmp_path)
    assert found["loss"].simple_value == 0.5
    assert found["weights"].histo.num == 100
    assert found["image"].image.width == 8 and found["images"].image.height == 8
    assert {"boxes", "curve", "figure", "text/text_summary", "accuracy"} <= set(found)
    tensor = found["tensor"].tensor
    assert [d.size for d in tensor.tensor_shape.dim] == [2, 3]
    assert np.frombuffer(tensor.tensor_content, np.int64).tolist() == list(range(6))
    assert list((tmp_path / "log").rglob("*.tsv"))


def test_graph(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, torch.ones(2, 3))
        with pytest.raises(ValueError, match="give an example"):
            writer.add_graph(model)
    (graph,) = [GraphDef.FromString(e.graph_def) for e in events(tmp_path) if e.graph_def]
    nodes = {n.name: n for n in graph.node}
    assert nodes["linear"].op == "linear" and "p_0_weight" in nodes["linear"].input
    shape = nodes["relu"].attr["_output_shapes"].list.shape[0]
    assert [d.size for d in shape.dim] == [2, 4]
