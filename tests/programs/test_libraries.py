"""Libraries that look for torch work on rushlight: each in a process in which it finds it."""

import importlib.util

import pytest

from tests.programs.test_run import python, write

#: Of each: the packages that it needs, and a program.
PROGRAMS = {
    "einops": (["einops"], """
import torch
from einops import rearrange, reduce, repeat, einsum, pack, unpack
from einops.layers.torch import Rearrange, Reduce, EinMix

x = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
assert rearrange(x, "b (h c) w -> b h w c", c=1).shape == (2, 3, 4, 1)
assert torch.equal(reduce(x, "b h w -> b", "max"), x.amax((1, 2)))
reduce(x, "b h w -> h", "mean").sum().backward()
assert torch.allclose(x.grad, torch.full_like(x, 1 / 8))
assert torch.equal(repeat(x, "b h w -> b (h 2) w"), x.repeat_interleave(2, 1))
assert torch.allclose(einsum(x, x, "b h w, b k w -> b h k"), x @ x.mT)
packed, shapes = pack([x, x[:, 0]], "b * w")
assert torch.equal(unpack(packed, shapes, "b * w")[1], x[:, 0])
torch.manual_seed(0)
model = torch.nn.Sequential(Rearrange("b h w -> b (h w)"), torch.nn.Linear(12, 3))
assert torch.allclose(torch.compile(model)(x), model(x))
turn = torch.compile(lambda y: rearrange(y, "b h w -> w (h b)"), fullgraph=True)
assert torch.equal(turn(x), turn(x)) and turn(x[:1]).shape == (4, 3)
assert "Rearrange('b h w -> b (h w)')" in repr(model)
assert Reduce("b h w -> b w", "sum")(x).shape == (2, 4)
assert EinMix("b h w -> b h v", weight_shape="w v", bias_shape="v", w=4, v=2)(x).shape == (2, 3, 2)
"""),
    "array-api-compat": (["array_api_compat"], """
import torch
import array_api_compat
import array_api_compat.torch as xp

x = xp.asarray([[3.0, 1.0], [2.0, 4.0]], dtype=xp.float64)
assert array_api_compat.is_torch_array(x) and array_api_compat.array_namespace(x) is xp
assert xp.max(x, axis=0, keepdims=True).shape == (1, 2) and int(xp.argmax(x, axis=1)[1]) == 1
assert xp.allclose(xp.fft.ifft(xp.fft.fft(x, axis=0), axis=0).real, x)
assert xp.allclose(xp.linalg.vector_norm(x, axis=1), xp.sqrt(xp.vecdot(x, x)))
assert xp.matmul(x, xp.linalg.inv(x)).shape == xp.permute_dims(x, (1, 0)).shape
assert xp.roll(x, 1).tolist() == [[4, 3], [1, 2]] and xp.unique_values(x).shape == (4,)
assert xp.astype(x, xp.int32).dtype == xp.result_type(xp.int8, xp.int32) == torch.int32
values, counts = xp.unique_counts(xp.asarray([1, 1, 2]))
assert values.tolist() == [1, 2] and counts.tolist() == [2, 1]
"""),
    "safetensors": (["safetensors"], """
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model

model, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
save_file(model.state_dict(), "a.safetensors", {"format": "pt"})
assert torch.equal(load_file("a.safetensors")["weight"], model.weight)
save_model(model, "b.safetensors")
load_model(other, "b.safetensors")
assert torch.equal(other.bias, model.bias)
assert torch.equal(load(save(model.state_dict()))["bias"], model.bias)
with safe_open("a.safetensors", "pt") as file:
    assert torch.equal(file.get_slice("weight")[:1], model.weight[:1])
"""),
    "tqdm": (["tqdm"], """
import sys, torch
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

data = TensorDataset(torch.randn(8, 2), torch.arange(8))
bar = tqdm(DataLoader(data, batch_size=4), file=sys.stdout, desc="epoch")
for x, y in bar:
    bar.set_postfix(loss=torch.tensor(1.5), mean=x.mean().item())
assert bar.n == len(bar) == 2
for value in tqdm(torch.arange(3), file=sys.stdout):
    assert value.ndim == 0
"""),
    "matplotlib": (["matplotlib"], """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

x = torch.linspace(0, 1, 5)
(line,) = plt.plot(x, x**2, label=f"{x[1]:.2f}")
assert line.get_ydata().tolist() == (x**2).tolist()
plt.scatter(x, x, c=x, s=x * 3)
plt.hist(torch.randn(10), bins=3)
plt.bar(range(5), x)
plt.fill_between(x, x - 1, x + 1)
plt.errorbar(x, x, yerr=x)
assert plt.imshow(torch.rand(3, 4)).get_array().shape == (3, 4)
plt.imshow(torch.rand(3, 4, 4).permute(1, 2, 0))
plt.xlim(x.min(), x.max())
plt.savefig("a.png")
"""),
    "scikit-learn": (["sklearn"], """
import torch
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

y, p = torch.tensor([0, 1, 1, 0]), torch.tensor([0.1, 0.9, 0.4, 0.2])
assert metrics.accuracy_score(y, p > 0.5) == 0.75 and metrics.roc_auc_score(y, p) == 1
assert metrics.confusion_matrix(y, (p > 0.5).long()).tolist() == [[2, 0], [1, 1]]
assert abs(metrics.mean_squared_error(y.float(), p) - ((y - p) ** 2).mean().item()) < 1e-6
assert LogisticRegression().fit(p[:, None], y).predict(p[:, None]).shape == (4,)
train, test = train_test_split(torch.arange(8.0), random_state=0)
assert len(train) == 6 and torch.is_tensor(train)
"""),
    "pandas": (["pandas"], """
import pandas as pd
import torch

frame = pd.DataFrame({"a": torch.arange(3), "b": torch.tensor([1.5, 2.5, 3.5])})
frame["c"] = torch.ones(3)
assert [str(t) for t in frame.dtypes] == ["int64", "float32", "float32"]
assert torch.tensor(frame["b"].values).tolist() == torch.tensor(frame["b"]).tolist() == [1.5, 2.5, 3.5]
assert torch.tensor(frame.values).shape == (3, 3)
assert torch.from_numpy(frame["a"].to_numpy(copy=True)).dtype == torch.int64
assert pd.Series(torch.arange(3.0)).sum() == 3
"""),
    "skorch": (["skorch", "sklearn"], """
import pickle
import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EarlyStopping, LRScheduler

class Net(torch.nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(10, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2), torch.nn.Softmax(-1))

    def forward(self, x):
        return self.layers(x)

torch.manual_seed(0)
X, y = make_classification(200, 10, random_state=0)
X, y = X.astype("float32"), y.astype("int64")
net = NeuralNetClassifier(
    Net, max_epochs=20, lr=0.3, iterator_train__shuffle=True, verbose=0, optimizer__momentum=0.9,
    callbacks=[LRScheduler(policy="StepLR", step_size=10), EarlyStopping(patience=20)])
net.fit(X, y)
assert net.score(X, y) > 0.85 and net.history[-1, "train_loss"] < net.history[0, "train_loss"]
again = pickle.loads(pickle.dumps(net))
assert (again.predict_proba(X) == net.predict_proba(X)).all()
net.save_params(f_params="p.pt", f_optimizer="o.pt")
net.initialize().load_params(f_params="p.pt", f_optimizer="o.pt")
assert (again.predict_proba(X) == net.predict_proba(X)).all()
search = GridSearchCV(net, {"lr": [0.01, 0.3], "module__hidden": [4, 8]}, refit=False, cv=2)
assert search.fit(X, y).best_params_["lr"] == 0.3
NeuralNetRegressor(torch.nn.Linear(10, 1), max_epochs=2, verbose=0).fit(X, y[:, None].astype("float32"))
"""),
    "torchinfo": (["torchinfo"], """
import torch
from torch import nn
from torchinfo import summary

found = summary(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2)), (2, 1, 8, 8), verbose=0)
assert found.total_params == 40 + 290 and "Conv2d: 1-1" in str(found) and "[2, 4, 6, 6]" in str(found)
"""),
    # The numbers are PyTorch's.
    "timm": (["timm"], """
import timm, torch

for name, size, want in (
    ("resnet10t", 64, -0.15163754), ("vit_tiny_patch16_224", 224, 0.34250045),
    ("mobilenetv3_small_050", 64, -0.03771193), ("convnext_atto", 64, -0.67776304),
):
    if name == "resnet10t":
        torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=3).eval()
    found = model(torch.randn(1, 3, size, size)).sum().item()
    assert abs(found - want) < 1e-5, (name, found, want)
"""),
    "tensorboard": ([], """
import torch
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.writer import SummaryWriter as Same

assert Same is SummaryWriter
with SummaryWriter("runs", comment="mine") as writer:
    writer.add_scalar("loss", torch.tensor(1.0), 0)
    writer.add_graph(torch.nn.Linear(2, 2), torch.ones(1, 2))
"""),
    "onnx": (["onnx", "onnxruntime"], """
import numpy as np, onnxruntime, torch

model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU()).eval()
x = torch.randn(2, 3)
torch.onnx.export(model, x, "m.onnx", input_names=["x"], output_names=["y"],
                  dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, opset_version=18, dynamo=False)
session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
x = torch.randn(5, 3)
np.testing.assert_allclose(session.run(["y"], {"x": x.numpy()})[0], model(x).detach().numpy(), atol=1e-6)
"""),
}  # fmt: skip
_LONG = {
    "skorch",
    "scikit-learn",
    "pandas",
    "torchinfo",
    "onnx",
    "timm",
}  # they take seconds to import


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in _LONG else []) for n in PROGRAMS]
)
def test_library(name, tmp_path):
    packages, program = PROGRAMS[name]
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    python("-m", "rushlight", "run", write(tmp_path, program), cwd=tmp_path)


ASKED = """
from collections import OrderedDict, namedtuple
import torch, torch._dynamo
import torch.utils._pytree as pytree
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.hooks import RemovableHandle

torch._dynamo.reset()
torch._dynamo.config.suppress_errors = True
assert not torch._dynamo.is_compiling()
handle = torch.nn.ReLU().register_forward_hook(lambda *args: None)
assert isinstance(handle, RemovableHandle)
with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
    pass

Pair = namedtuple("Pair", "a b")
tree = {"x": [torch.ones(1), (2, None)], "y": Pair(3, OrderedDict(z="s"))}
leaves, structure = pytree.tree_flatten(tree)
assert len(leaves) == structure.num_leaves == 5 and leaves[1:] == [2, None, 3, "s"]
again = pytree.tree_unflatten(leaves, structure)
assert type(again["y"]) is Pair and type(again["y"].b) is OrderedDict and again["x"][1] == (2, None)
assert pytree.tree_structure(again) == structure
assert pytree.tree_map_only(int, lambda n: n + 1, tree)["y"].a == 4
assert pytree.tree_any(torch.is_tensor, tree) and not pytree.tree_all(torch.is_tensor, tree)
try:
    pytree.tree_unflatten([1], structure)
except ValueError as error:
    assert "5" in str(error)
else:
    raise AssertionError
"""


def test_what_libraries_ask_of_torchs_inside(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, ASKED), cwd=tmp_path)


@pytest.mark.parity
@pytest.mark.slow
def test_what_they_ask_is_answered_by_pytorch_too(tmp_path):
    pytest.importorskip("torch")
    python(write(tmp_path, ASKED), cwd=tmp_path)
