"""Which computation ("kernel") a function of ``transforms.v2.functional`` runs for which class.

A function is written once, as its signature with a docstring. Its kernels are named after it and
the kind of their input: ``resize_image``, ``resize_mask``, ``resize_bounding_boxes``.
"""

import functools
import inspect
import sys

from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.tv_tensors import BoundingBoxes, Image, KeyPoints, Mask, TVTensor, Video

__all__ = [
    "as_mask", "dispatched", "get_kernel", "is_pure_tensor", "public_kernels", "register_kernel",
]  # fmt: skip

#: function → class of the input → its kernel
_KERNELS: dict = {}
_BUILT_IN = (BoundingBoxes, Image, KeyPoints, Mask, TVTensor, Video)
_PIXELS = (Tensor, Image, Video)


class _Pillow:
    """Stands for Pillow's class in the tables, because Pillow may not be installed."""


def is_pure_tensor(inpt):
    """Tell whether an input is a tensor of none of the classes in ``tv_tensors``.

    Args:
        inpt: Anything.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> from rushlight.vision.transforms.v2.functional import is_pure_tensor
    >>> is_pure_tensor(torch.zeros(2))
    True
    """
    return isinstance(inpt, Tensor) and not isinstance(inpt, TVTensor)


def dispatched(image=None, pil=None, mask=None, boxes=None, keypoints=None, video=True, plain=True):
    """Make a function of its signature: calls go to the kernel for the first argument's class.

    ``image`` is for plain tensors and videos, too, unless ``plain`` and ``video`` are kernels or
    None. The
    kernels take the parameters of the function that concern them. Those for boxes and points are
    told the canvas's size, and give its new size where it changes.
    """

    def decorator(signature):
        names = list(inspect.signature(signature).parameters)

        @functools.wraps(signature)
        def function(inpt, *args, **kwargs):
            return get_kernel(function, type(inpt))(inpt, *args, **kwargs)

        kinds = {
            Tensor: image if plain is True else plain, Image: image,
            Video: image if video is True else video, _Pillow: pil, Mask: mask,
            BoundingBoxes: boxes, KeyPoints: keypoints,
        }  # fmt: skip
        _KERNELS[function] = {
            kind: _adapted(kernel, kind, names[1:])
            for kind, kernel in kinds.items()
            if kernel is not None
        }
        vars(function)["kernels"] = {
            "image": image, "video": kinds[Video], "mask": mask, "bounding_boxes": boxes,
            "keypoints": keypoints,
        }  # fmt: skip
        return function

    return decorator


def _adapted(kernel, kind, names):
    """``kernel`` with the function's parameters, for inputs of the class ``kind``."""
    accepted = inspect.signature(kernel).parameters
    context = [
        name
        for name in ("format", "canvas_size", "clamping_mode")
        if name in accepted and name in getattr(kind, "OWN", ())
    ]

    def run(inpt, *args, **kwargs):
        kwargs.update(zip(names, args, strict=False))
        unknown = kwargs.keys() - set(names)
        if unknown:
            raise TypeError(f"{kernel.__name__}: unexpected arguments {sorted(unknown)}")
        kwargs = {name: value for name, value in kwargs.items() if name in accepted}
        if not issubclass(kind, TVTensor):
            return kernel(inpt, **kwargs)
        kwargs.update({name: getattr(inpt, name) for name in context})
        found = kernel(inpt.as_subclass(Tensor), **kwargs)
        if not isinstance(found, tuple):
            return tv_tensors.wrap(found, like=inpt) if isinstance(found, Tensor) else found
        if kind in _PIXELS:
            return tuple(tv_tensors.wrap(part, like=inpt) for part in found)
        return tv_tensors.wrap(found[0], like=inpt, canvas_size=found[1])

    return run


def as_mask(kernel, **fixed):
    """The kernel for masks (..., H, W) that ``kernel``, for images, gives with these arguments."""
    parameters = inspect.signature(kernel).parameters.values()

    def of_mask(mask, *args, **kwargs):
        flat = mask.ndim < 3
        found = kernel(mask.unsqueeze(0) if flat else mask, *args, **fixed, **kwargs)
        return found.squeeze(0) if flat else found

    first, *others = (p for p in parameters if p.name not in fixed)
    vars(of_mask)["__signature__"] = inspect.Signature([first.replace(name="mask"), *others])
    return of_mask


def get_kernel(functional, input_type, *, allow_passthrough=False):
    """Return the kernel of a function for a class.

    With ``allow_passthrough`` a class without a kernel gets one that returns its input.

    Raises:
        TypeError: There is no kernel.
        ValueError: ``functional`` is not one of ``transforms.v2.functional``.
    """
    kernels = _KERNELS.get(functional)
    if not kernels:
        raise ValueError(f"No kernel registered for functional {functional.__name__}.")
    for kind in input_type.__mro__:
        if kind in kernels:
            return kernels[kind]
        if kind is TVTensor:
            break
    if _Pillow in kernels and _is_pillow(input_type):
        return kernels[_Pillow]
    if allow_passthrough:
        return lambda inpt, *args, **kwargs: inpt
    known = ", ".join("PIL.Image.Image" if k is _Pillow else k.__name__ for k in kernels)
    raise TypeError(
        f"{functional.__name__}: supports inputs of the types {known}, got {input_type}"
    )


def _is_pillow(kind):
    module = sys.modules.get("PIL.Image")
    return module is not None and issubclass(kind, module.Image)


def register_kernel(functional, tv_tensor_cls):
    """Register a function as the kernel for a class of your own.

    Args:
        functional: A function of ``transforms.v2.functional``, or its name.
        tv_tensor_cls: A subclass of ``TVTensor``.

    Returns:
        A decorator, which returns its function.

    Raises:
        ValueError: The function or the class is not such a one, or has a kernel already.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> class Depth(tv_tensors.TVTensor):
    ...     pass
    >>> @F.register_kernel("hflip", Depth)
    ... def hflip_depth(depth):
    ...     return tv_tensors.wrap(depth.flip(-1), like=depth)
    """
    if isinstance(functional, str):
        from rushlight.vision.transforms.v2 import functional as F

        name, functional = functional, getattr(F, functional, None)
        if functional is None:
            raise ValueError(f"Could not find functional with name {name!r} in {F.__name__}.")
    if functional not in _KERNELS:
        raise ValueError(
            "Kernels can only be registered on functionals of transforms.v2.functional, "
            f"but got {functional}."
        )
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, TVTensor)):
        raise ValueError(
            f"Kernels can only be registered for subclasses of TVTensor, but got {tv_tensor_cls}."
        )
    if tv_tensor_cls in _BUILT_IN:
        raise ValueError(
            f"Kernels cannot be registered for the builtin tv_tensor classes: {tv_tensor_cls}"
        )
    if tv_tensor_cls in _KERNELS[functional]:
        raise ValueError(f"{functional.__name__} already has a kernel for {tv_tensor_cls}.")

    def decorator(kernel):
        _KERNELS[functional][tv_tensor_cls] = kernel
        return kernel

    return decorator


def public_kernels(functions):
    """The public kernels of ``functions`` by their names, such as ``"resize_mask"``."""
    found = {}
    for function in functions:
        for kind, kernel in getattr(function, "kernels", {}).items():
            name = f"{function.__name__}_{kind}"
            if kernel is not None:
                found[name] = _named(kernel, name, function.__name__, kind)
    return found


def _named(kernel, name, function, kind):
    @functools.wraps(kernel)
    def public(*args, **kwargs):
        return kernel(*args, **kwargs)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"The kernel of ``{function}`` for {kind.replace('_', ' ')}: plain tensors."
    return public
