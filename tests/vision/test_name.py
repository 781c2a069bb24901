"""Programs find rushlight.vision under the name torchvision."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import rushlight
from rushlight.serialization.names import resolve, torch_name
from rushlight.vision import models, transforms
from tests import processes

pytest.importorskip("PIL")

PROGRAM = """
import io, pickle
import torch, torchvision
import torchvision.transforms as transforms
import torchvision.transforms.functional as TF
from torchvision import datasets, models
from torchvision.datasets.folder import default_loader
from torchvision.io.image import ImageReadMode
from torchvision.models import ResNet18_Weights, squeezenet1_1
from torchvision.models._api import WeightsEnum
from torchvision.models.resnet import BasicBlock
from torchvision.ops.misc import Conv2dNormActivation
from torchvision.transforms.autoaugment import AutoAugmentPolicy
from torchvision.transforms.transforms import Compose
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F2
from torchvision.utils import make_grid

assert "rushlight" in torchvision.__version__ and Compose is transforms.Compose
assert v2.Resize.__module__.startswith("torchvision.transforms.v2") and torchvision.tv_tensors.Mask
assert BasicBlock.__module__ == "torchvision.models.resnet"
assert pickle.loads(pickle.dumps(ResNet18_Weights.DEFAULT)) is ResNet18_Weights.IMAGENET1K_V1
assert repr(pickle.loads(pickle.dumps(Compose([TF.hflip])))).startswith("Compose(")
data = datasets.FakeData(8, (3, 32, 32), transform=transforms.ToTensor())
model = models.get_model("squeezenet1_1", num_classes=10)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for images, labels in torch.utils.data.DataLoader(data, 4):
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
stream = io.BytesIO()
torch.save(model, stream)
stream.seek(0)
assert type(torch.load(stream, weights_only=False)) is type(model)
try:
    from torchvision.models import swin_t
except ImportError as error:
    assert "coverage.md" in str(error)
"""


def test_a_program_that_uses_torchvision(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    done = processes.run(
        [sys.executable, "-m", "rushlight", "run", path.name], cwd=tmp_path, text=True,
        capture_output=True, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_saved_names_are_torchvisions():
    for value, place in (
        (models.ResNet, "torchvision.models.resnet"),
        (transforms.CenterCrop, "torchvision.transforms.transforms"),
        (transforms.AugMix, "torchvision.transforms.autoaugment"),
        (transforms.InterpolationMode, "torchvision.transforms.functional"),
        (transforms.functional.hflip, "torchvision.transforms.functional"),
    ):
        assert torch_name(value) == (place, value.__name__)
        assert resolve(place, value.__name__) is value


@pytest.mark.parity
def test_pickles_go_both_ways():
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    vision = rushlight.vision
    for source, library, target, other in (
        (rushlight, vision, torch, torchvision), (torch, torchvision, rushlight, vision),
    ):  # fmt: skip
        T = library.transforms
        made = [
            library.models.DenseNet(4, (2,), 8, num_classes=3).eval(),
            T.Compose([T.RandomCrop(3, padding=1), T.RandomRotation(4), T.AutoAugment()]),
        ]
        stream = io.BytesIO()
        source.save(made, stream)
        stream.seek(0)
        found = target.load(stream, weights_only=False)
        assert repr(found) == repr(made)
        assert (
            type(found[0]) is other.models.DenseNet and type(found[1]) is other.transforms.Compose
        )
        x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
        outputs = [
            m(lib.from_numpy(x)).detach().numpy()
            for m, lib in ((made[0], source), (found[0], target))
        ]
        np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
