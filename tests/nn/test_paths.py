"""PyTorch's import paths of what is in torch.nn, and of the tools around it."""

import importlib
import pkgutil
import sys

import pytest

import rushlight
from tests import processes

LINES = """
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd, Conv2d, LazyConv2d
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase, BatchNorm1d, SyncBatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm, LazyInstanceNorm1d
from torch.nn.modules.loss import _Loss, _WeightedLoss, CTCLoss, TripletMarginLoss
from torch.nn.modules.pooling import _MaxPoolNd, _AvgPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd
from torch.nn.modules.pooling import _LPPoolNd, _MaxUnpoolNd, MaxUnpool2d
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.rnn import RNNBase, RNNCellBase, LSTMCell
from torch.nn.modules.utils import _single, _pair, _triple, _quadruple, _ntuple
from torch.nn.modules.utils import _reverse_repeat_tuple, _list_with_default
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present
from torch.nn.modules.module import Module, _IncompatibleKeys, register_module_forward_hook
from torch.nn.modules.container import ModuleList, ParameterList, ParameterDict, Sequential
from torch.nn.modules.activation import MultiheadAttention, Hardsigmoid, PReLU
from torch.nn.modules.linear import Identity, NonDynamicallyQuantizableLinear
from torch.nn.modules.transformer import TransformerEncoderLayer, _get_clones, _get_activation_fn
from torch.nn.modules.pixelshuffle import PixelShuffle
from torch.nn.modules.channelshuffle import ChannelShuffle
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.normalization import LayerNorm, CrossMapLRN2d
from torch.nn.common_types import _size_1_t, _size_2_t, _size_3_t, _size_any_t, _ratio_any_t
from torch.nn.parameter import Parameter, Buffer, is_lazy
from torch.nn.parameter import UninitializedParameter, UninitializedBuffer, UninitializedTensorMixin
from torch.nn.utils import parametrize, parametrizations, prune, rnn, stateless, skip_init
from torch.nn.utils.parametrizations import weight_norm, spectral_norm, orthogonal
from torch.nn.utils.parametrize import register_parametrization, ParametrizationList
from torch.nn.utils.weight_norm import WeightNorm, weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm, spectral_norm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights
from torch.nn.utils.init import skip_init
from torch.nn.utils.memory_format import convert_conv2d_weight_memory_format
from torch.nn.utils.prune import BasePruningMethod, L1Unstructured
from torch.nn.utils.stateless import functional_call
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.dlpack import from_dlpack, to_dlpack
from torch.utils.model_zoo import load_url
from torch.utils.hooks import RemovableHandle
from torch.hub import load_state_dict_from_url, download_url_to_file
import torch.nn.modules.conv as conv; assert issubclass(conv.Conv2d, conv._ConvNd)
import torch; assert torch.nn.modules.batchnorm._BatchNorm is _BatchNorm
import torch; assert callable(torch.nn.utils.weight_norm) and callable(torch.nn.utils.spectral_norm)
import torch; assert torch.nn.utils.skip_init and torch.utils.model_zoo and torch.hub.get_dir()
"""


def test_under_the_name_of_torch():
    program = f"import rushlight.as_torch\n{LINES}"
    done = processes.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parity
def test_these_are_pytorchs_paths():
    pytest.importorskip("torch")
    done = processes.run([sys.executable, "-c", LINES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parity
def test_every_public_name_is_where_pytorch_has_it():
    """Without an import under another name, too: ``torch.nn.modules.loss.CTCLoss``."""
    torch = pytest.importorskip("torch")
    missing, old = [], {"Container"}  # which has been deprecated since 2017
    for space in ("nn.modules", "nn.utils"):
        place = getattr(torch.nn, space.partition(".")[2])
        for found in pkgutil.iter_modules(place.__path__):
            theirs = importlib.import_module(f"torch.{space}.{found.name}")
            names = [
                n for n in getattr(theirs, "__all__", ()) if hasattr(place, n) and n not in old
            ]
            home = f"rushlight.{space}.{found.name}"
            ours = importlib.util.find_spec(home) and importlib.import_module(home)
            missing += [f"{home}.{n}" for n in names if ours and not hasattr(ours, n)]
    assert not missing


def test_prefixes_of_state_dicts():
    net = rushlight.nn.Sequential(rushlight.nn.BatchNorm1d(2))
    wrapped = rushlight.nn.ModuleDict({"module": net}).state_dict()
    rushlight.nn.modules.utils.consume_prefix_in_state_dict_if_present(wrapped, "module.")
    assert [*wrapped] == [*net.state_dict()]
    assert wrapped._metadata["0"] == {"version": 2}
    net.load_state_dict(wrapped)


@pytest.mark.parity
def test_tuples_as_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = (m.nn.modules.utils for m in (rushlight, torch))
    calls = [
        lambda u: [u._single(3), u._pair([1, 2, 3]), u._triple("ab"), u._quadruple(0.5)],
        lambda u: u._reverse_repeat_tuple((1, 2), 2),
        lambda u: [u._list_with_default(3, [1]), u._list_with_default([None, 2], [7, 8, 9])],
    ]
    for call in calls:
        assert call(ours) == call(theirs)
