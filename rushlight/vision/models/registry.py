"""The functions that build models: their common argument ``weights=``, and look-up by name."""

import fnmatch
import functools
import importlib
import inspect
import warnings
from typing import Any

from rushlight.docstrings import complete
from rushlight.vision.models.weights import WeightsEnum

__all__ = [
    "builder", "get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models",
    "register_model",
]  # fmt: skip

BUILDERS: dict = {}
#: The packages of the builders, as they are before programs see PyTorch's names.
_HOMES: dict = {}
KEYWORD = inspect.Parameter.KEYWORD_ONLY
SIGNATURE = inspect.Signature([
    inspect.Parameter("weights", KEYWORD, default=None),
    inspect.Parameter("progress", KEYWORD, default=True),
    inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD),
])  # fmt: skip


def builder(weights, trained=None, pretrained="IMAGENET1K_V1"):
    """Turn ``build(**options) → model`` into a public function that also takes ``weights=``.

    ``weights`` is the ``WeightsEnum`` of the model. If the caller asks for trained weights,
    ``trained(member, options)`` is called first and may change the options. It may return a
    function, which is called with the model after the weights are loaded. ``pretrained`` names the
    weights that the old argument ``pretrained=True`` stands for.
    """

    def decorate(build):
        def built(*args, progress=True, **options):
            member = _chosen(build.__name__, weights, pretrained, args, options)
            if member is None:
                return build(**options)
            state = member.get_state_dict(progress=progress, check_hash=True, weights_only=True)
            finish = None if trained is None else trained(member, options)
            if member.meta.get("categories") is not None:
                require(options, "num_classes", len(member.meta["categories"]))
            model = build(**options)
            model.load_state_dict(state)
            if finish is not None:
                finish(model)
            return model

        public: Any = functools.update_wrapper(built, build)
        public.__doc__ = complete(build.__doc__ or "", SIGNATURE.parameters, "image model builder")
        public.weights = weights
        public.__signature__ = SIGNATURE
        return register_model()(public)

    return decorate


def require(options, name, value):
    """Set the option ``name`` to ``value``, because the trained weights need it.

    Raises:
        ValueError: the caller has asked for another value.
    """
    if options.setdefault(name, value) != value:
        raise ValueError(f"the trained weights need {name}={value!r}, got {options[name]!r}")


def _chosen(name, enum, pretrained, args, options):
    """The member of ``enum`` that a caller asks for, by ``weights=`` or by the old arguments."""
    if len(args) > 1:
        raise TypeError(f"{name}: takes keyword arguments, got {len(args)} positional ones")
    if args:
        warnings.warn(f"{name}: pass weights by keyword", UserWarning, stacklevel=3)
        options["weights"] = args[0]
    asked = options.pop("weights", None)
    legacy = "pretrained" in options or asked == "legacy"
    if "pretrained" in options:
        asked = options.pop("pretrained")
    if legacy or not (asked is None or isinstance(asked, (str, WeightsEnum))):
        if asked and pretrained is None:
            raise ValueError(f"{name}: no weights are published for pretrained=True")
        asked = enum[pretrained] if asked else None
        warnings.warn(f"{name}: pretrained= is old; use weights={asked}", UserWarning, stacklevel=3)
    return enum.verify(asked)


def register_model(name=None):
    """Register the decorated builder under ``name``; by default, under the builder's own name.

    Raises:
        ValueError: another builder has this name.
    """

    def decorate(build):
        key = name or build.__name__
        if key in BUILDERS:
            raise ValueError(f"register_model: {key!r} is registered already")
        BUILDERS[key] = build
        _HOMES[key] = build.__module__.rpartition(".")[0]
        return build

    return decorate


def list_models(module=None, include=None, exclude=None):
    """Return the names of the models.

    Args:
        module: The module of the models. Default: all.
        include, exclude: Shell patterns, or lists of them, of names to take and to leave out.
            Default: all are taken, none left out.

    Returns:
        Sorted list of names.

    >>> from rushlight.vision.models import list_models
    >>> list_models(include="resnet*", exclude=["*1*"])
    ['resnet34', 'resnet50']
    """
    names = [
        name for name in BUILDERS if module is None or _HOMES[name] == module.__name__
    ]  # fmt: skip
    if include:
        names = [name for name in names if _matches(name, include)]
    return sorted(name for name in names if not (exclude and _matches(name, exclude)))


def _matches(name, patterns):
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def get_model_builder(name):
    """Return the function that builds the model of a name.

    Args:
        name: Name of the model, such as ``"resnet18"``.

    Returns:
        Function with the options of the model.

    Raises:
        ValueError: no model has this name.

    >>> from rushlight.vision.models import get_model_builder
    >>> get_model_builder("resnet18").__name__
    'resnet18'
    """
    try:
        return BUILDERS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name!r}: list_models() has the names") from None


def get_model(name, **config):
    """Build the model of a name.

    Args:
        name: Name of the model, such as ``"resnet18"``.
        **config: Options of the model's builder, such as ``weights`` and ``num_classes``.

    Returns:
        The model, in training mode.

    Raises:
        ValueError: no model has this name.

    >>> from rushlight.vision.models import get_model
    >>> get_model("squeezenet1_1", num_classes=10).num_classes
    10
    """
    return get_model_builder(name)(**config)


def get_model_weights(name):
    """Return the trained weights of a model.

    Args:
        name: Name of the model, or its builder.

    Returns:
        A ``WeightsEnum``.

    Raises:
        ValueError: There is no such model.

    >>> from rushlight.vision.models import get_model_weights
    >>> list(get_model_weights("resnet50"))
    [ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2]
    """
    build = get_model_builder(name) if isinstance(name, str) else name
    if not hasattr(build, "weights"):
        raise ValueError(f"get_model_weights: {build!r} has no weights")
    return build.weights


def get_weight(name):
    """Return the trained weights of a full name.

    Args:
        name: The name, such as ``"ResNet50_Weights.IMAGENET1K_V2"``.

    Returns:
        A member of a ``WeightsEnum``.

    Raises:
        ValueError: no model has weights of this name.

    >>> from rushlight.vision.models import get_weight
    >>> get_weight("ResNet50_Weights.IMAGENET1K_V2")
    ResNet50_Weights.IMAGENET1K_V2
    """
    enum, dot, member = name.partition(".")
    found = getattr(importlib.import_module("rushlight.vision.models"), enum, None)
    if not dot or not (isinstance(found, type) and issubclass(found, WeightsEnum)):
        raise ValueError(f"get_weight: no weights are called {name!r}")
    return found[member]
