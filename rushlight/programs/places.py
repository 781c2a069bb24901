"""Map the names of PyTorch's modules to the names of rushlight's modules."""

import importlib
import importlib.util

__all__ = ["GAP", "INTERNAL", "family", "locate", "members", "names_from"]

GAP = (
    "rushlight, which runs this program in PyTorch's place, does not have it: see docs/coverage.md"
)

#: Public names of the package rushlight that PyTorch does not have.
INTERNAL = frozenset({
    "as_torch", "backend", "cli", "datasets", "defaults", "demo", "determinism", "draw", "errors",
    "printing", "programs", "selection", "shapes", "strides", "threads", "vision",
})  # fmt: skip

#: From PyTorch's module to rushlight's module, where the names differ.
_MOVED = {
    "functorch": "rushlight.func.functorch",
    "functorch.einops": "rushlight.func",
    "functorch.experimental": "rushlight.func.experimental",
    "functorch.experimental.control_flow": "rushlight._higher_order_ops",
    "torch._C._functorch": "rushlight.func.interior",
    "torch._C._nn": "rushlight.nn.interior",
    "torch._functorch.make_functional": "rushlight.func.functorch",
    "torch._functorch.vmap": "rushlight.func.interior",
    "torch._tensor": "rushlight.tensor",
    "torch.classes": "rushlight._classes",
    "torch.cuda.amp.common": "rushlight.amp.cuda",
    "torch.cuda.profiler": "rushlight.cuda_profiler",
    "torch.autograd.profiler_util": "rushlight.profiler.events",
    "torch.cpu.amp": "rushlight.amp.cpu",
    "torch.cpu.amp.autocast_mode": "rushlight.amp.cpu",
    "torch.cpu.amp.grad_scaler": "rushlight.amp.cpu",
    "torch.cuda.amp": "rushlight.amp.cuda",
    "torch.cuda.nvtx": "rushlight.nvtx",
    "torch.cuda.comm": "rushlight.nn.parallel.comm",
    "torch.accelerator.graphs": "rushlight.accelerator",
    "torch.cuda.amp.autocast_mode": "rushlight.amp.cuda",
    "torch.cuda.amp.grad_scaler": "rushlight.amp.cuda",
    "torch.distributed._tensor.api": "rushlight.distributed.tensor",
    "torch.distributed._tensor.device_mesh": "rushlight.distributed.device_mesh",
    "torch.distributed._tensor.experimental": "rushlight.distributed.tensor.experimental",
    "torch.distributed._tensor.placement_types": "rushlight.distributed.tensor.placement_types",
    "torch.distributed.tensor._api": "rushlight.distributed.tensor",
    "torch.export.dynamic_shapes": "rushlight.export",
    "torch.profiler.profiler": "rushlight.profiler.session",
    "torch.cuda.memory": "rushlight.cuda",
    "torch.cuda.random": "rushlight.cuda",
    "torch.cuda.streams": "rushlight.cuda",
    "torch.cuda.graphs": "rushlight.cuda",
    "torch.xpu.memory": "rushlight.xpu",
    "torch.xpu.random": "rushlight.xpu",
    "torch.xpu.streams": "rushlight.xpu",
    "torch.accelerator.memory": "rushlight.accelerator",
    "torch._functorch.apis": "rushlight.func",
    "torch._functorch.eager_transforms": "rushlight.func",
    "torch._functorch.functional_call": "rushlight.func.stateless",
    "torch.export.exported_program": "rushlight.export",
    "torch.export.graph_signature": "rushlight.export",
    "torch.masked.maskedtensor": "rushlight.masked",
    "torch.optim._muon": "rushlight.optim.muon",
    "torch.testing._creation": "rushlight.testing.creation",
    "torch.utils.data._utils": "rushlight.utils.data",
    "torch.utils.data.distributed": "rushlight.utils.data.sampler",
    "torchvision": "rushlight.vision",
    "torchvision.models._utils": "rushlight.vision.models.blocks",
    "torchvision.models._api": "rushlight.vision.models.registry",
    "torchvision.models.detection._utils": "rushlight.vision.models.detection.coding",
    "torchvision.models.detection.image_list": "rushlight.vision.models.detection.anchor_utils",
    "torchvision.models.segmentation._utils": "rushlight.vision.models.segmentation.model",
    "torchvision.transforms._presets": "rushlight.vision.transforms.presets",
    "torchvision.transforms.v2._utils": "rushlight.vision.transforms.v2.samples",
    "torchvision.transforms.v2.functional._utils": "rushlight.vision.transforms.v2.functional"
    ".registry",
}

#: From a package to those of PyTorch's modules in it that rushlight divides in another way. All
#: names of these modules are found in the package itself.
_FAMILIES = {
    "torch.nn.modules": """
        activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold
        instancenorm lazy linear loss module normalization padding pixelshuffle pooling rnn sparse
        transformer upsampling utils""",
    "torch.nn.utils": "clip_grad convert_parameters fusion init memory_format prune rnn stateless",
    "torch.optim": """
        adadelta adagrad adam adamax adamw asgd lbfgs lr_scheduler nadam optimizer radam rmsprop
        rprop sgd sparse_adam swa_utils""",
    "torch.autograd": "anomaly_mode forward_ad function functional grad_mode gradcheck variable",
    "torch.utils.data": "dataset dataloader sampler datapipes _utils.collate _utils.worker",
    "torchvision.transforms": "autoaugment transforms",
    "torchvision.transforms.v2": """
        _augment _auto_augment _color _container _geometry _meta _misc _temporal _transform
        _type_conversion""",
    "torchvision.transforms.v2.functional": """
        _augment _color _geometry _meta _misc _temporal _type_conversion""",
    "torch.distributions": "constraints kl transforms utils distribution",
    "torch": "random serialization storage _utils _tensor",
}


def family(path):
    """Return the package that also holds the names of PyTorch's module ``path``, or None.

    >>> family("torch.nn.modules.rnn"), family("torch.nn.functional")
    ('torch.nn.modules', None)
    """
    for package, modules in _FAMILIES.items():
        if path.startswith(package + ".") and path[len(package) + 1 :] in modules.split():
            return package
    return None


def names_from(path):
    """Return the package whose names PyTorch's module ``path`` has as well, or None.

    Modules of distributions import each other's classes, and libraries take them from there.

    >>> names_from("torch.distributions.normal")
    'torch.distributions'
    """
    package = path.rpartition(".")[0]
    return package if package == "torch.distributions" else family(path)


def members(package):
    """Return the names of PyTorch's modules whose names ``package`` also holds.

    >>> members("torch.autograd")[:3]
    ['anomaly_mode', 'forward_ad', 'function']
    """
    return _FAMILIES.get(package, "").split()


def locate(path):
    """Return the name of rushlight's module for PyTorch's module ``path``, or None.

    >>> locate("torch.utils.data.dataloader"), locate("torch.no_such_module")
    ('rushlight.utils.data.dataloader', None)
    """
    head, rest = path, ""
    while head and head not in _MOVED:
        head, _, last = head.rpartition(".")
        rest = f".{last}{rest}"
    place = _MOVED[head] + rest if head else "rushlight" + path.removeprefix("torch")
    if not head and path.split(".")[1:2] and path.split(".")[1] in INTERNAL:
        return None
    if _exists(place):
        return place
    package = family(path)
    return None if package is None else locate(package)


def _exists(place):
    try:
        return importlib.util.find_spec(place) is not None
    except ModuleNotFoundError:
        return False
