"""Transforms that are made of other transforms."""

from collections.abc import Sequence

import rushlight as torch
from rushlight import nn
from rushlight.vision.transforms import compose as _first
from rushlight.vision.transforms.draws import happens
from rushlight.vision.transforms.v2.transform import Transform

__all__ = ["Compose", "RandomApply", "RandomChoice", "RandomOrder"]


class _Container(Transform):
    """Holds transforms, and applies some of them in some order."""

    def __init__(self, transforms):
        super().__init__()
        if not isinstance(transforms, (Sequence, nn.ModuleList)):
            raise TypeError("Argument transforms should be a sequence of callables")
        if not transforms:
            raise ValueError("Pass at least one transform")
        self.transforms = transforms

    def _applied(self, transforms, inputs):
        several = len(inputs) > 1
        for transform in transforms:
            outputs = transform(*inputs)
            inputs = outputs if several else (outputs,)
        return inputs if several else inputs[0]

    def extra_repr(self):
        return "\n".join(f"    {transform}" for transform in self.transforms)


class Compose(_Container):
    """Applies one transform after another.

    Raises:
        TypeError: ``transforms`` is not a sequence.
        ValueError: ``transforms`` is empty.

    >>> from rushlight.vision.transforms import v2
    >>> v2.Compose([v2.CenterCrop(8), v2.ToPureTensor()])
    Compose(
          CenterCrop(size=(8, 8))
          ToPureTensor()
    )
    """

    def forward(self, *inputs):
        return self._applied(self.transforms, inputs)


class RandomApply(_Container):
    """Applies all transforms with probability ``p``, else none.

    Raises:
        TypeError: ``transforms`` is not a sequence.
        ValueError: ``transforms`` is empty, or ``p`` is not from 0 to 1.

    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomApply([lambda image: image + 1], p=1.0)(2)
    3
    """

    _v1_transform_cls = _first.RandomApply

    def __init__(self, transforms, p=0.5):
        super().__init__(transforms)
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.p = p

    def forward(self, *inputs):
        return self._applied(self.transforms if happens(self.p) else (), inputs)


class RandomChoice(_Container):
    """Applies one of the transforms.

    Args:
        p: Sequence of the transforms' weights. Default: None, all are drawn equally often.

    Raises:
        TypeError: ``transforms`` is not a sequence.
        ValueError: ``transforms`` is empty, or ``p`` has another length.

    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomChoice([lambda image: image + 1, lambda image: -image], p=[0, 1])(2)
    -2
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        p = [1] * len(transforms) if p is None else p
        if len(p) != len(transforms):
            raise ValueError(
                f"Length of p doesn't match the number of transforms: {len(p)} != {len(transforms)}"
            )
        self.p = [weight / sum(p) for weight in p]

    def forward(self, *inputs):
        return self.transforms[int(torch.multinomial(torch.tensor(self.p), 1))](*inputs)

    def extra_repr(self):
        return Transform.extra_repr(self)


class RandomOrder(_Container):
    """Applies all transforms in a random order.

    Raises:
        TypeError: ``transforms`` is not a sequence.
        ValueError: ``transforms`` is empty.

    >>> from rushlight.vision.transforms import v2
    >>> v2.RandomOrder([lambda image: image + 1, lambda image: image + 10])(2)
    13
    """

    def forward(self, *inputs):
        order = torch.randperm(len(self.transforms)).tolist()
        return self._applied([self.transforms[i] for i in order], inputs)

    def extra_repr(self):
        return Transform.extra_repr(self)
