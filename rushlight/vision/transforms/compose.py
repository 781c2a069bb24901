"""Transforms that are made of other transforms."""

import random
from collections.abc import Sequence

import numpy as np

from rushlight import nn
from rushlight.vision.transforms.arguments import lines
from rushlight.vision.transforms.draws import between

__all__ = ["Compose", "Lambda", "RandomApply", "RandomChoice", "RandomOrder", "RandomTransforms"]


class Compose:
    """Applies one transform after another.

    >>> from rushlight.vision import transforms
    >>> transforms.Compose([transforms.CenterCrop(8), transforms.ToTensor()])
    Compose(
        CenterCrop(size=(8, 8))
        ToTensor()
    )
    """

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self):
        return lines(type(self).__name__, self.transforms)


class Lambda:
    """Makes a transform of a function.

    Args:
        lambd: Function of an image.

    Raises:
        TypeError: ``lambd`` cannot be called.

    >>> from rushlight.vision.transforms import Lambda
    >>> Lambda(lambda image: image + 1)(2)
    3
    """

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)

    def __repr__(self):
        return f"{type(self).__name__}()"


class RandomTransforms:
    """The base class of transforms that choose among other transforms.

    Raises:
        TypeError: ``transforms`` is no sequence.

    >>> from rushlight.vision.transforms import RandomOrder, RandomTransforms
    >>> issubclass(RandomOrder, RandomTransforms)
    True
    """

    def __init__(self, transforms):
        if not isinstance(transforms, Sequence):
            raise TypeError(f"{type(self).__name__}: transforms must be a sequence")
        self.transforms = transforms

    def __call__(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def __repr__(self):
        return lines(type(self).__name__, self.transforms)


class RandomApply(nn.Module):
    """Applies all transforms with probability ``p``, else none.

    >>> from rushlight.vision.transforms import RandomApply
    >>> RandomApply([lambda image: image + 1], p=1.0)(2)
    3
    """

    def __init__(self, transforms, p=0.5):
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img):
        if between(0.0, 1.0) > np.float32(self.p):
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self):
        return lines(type(self).__name__, [f"p={self.p}", *self.transforms])


class RandomOrder(RandomTransforms):
    """Applies all transforms, in an order that Python's ``random`` draws.

    >>> from rushlight.vision.transforms import RandomOrder
    >>> RandomOrder([lambda image: image + 1, lambda image: image + 10])(2)
    13
    """

    def __call__(self, img):
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


class RandomChoice(RandomTransforms):
    """Applies one of the transforms, which Python's ``random`` draws.

    Args:
        p: Sequence of the transforms' weights. Default: None, all are drawn equally often.

    Raises:
        TypeError: ``transforms`` or ``p`` is no sequence.

    >>> from rushlight.vision.transforms import RandomChoice
    >>> RandomChoice([lambda image: image + 1, lambda image: -image], p=[0, 1])(2)
    -2
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError(f"RandomChoice: p must be a sequence, got {type(p)}")
        self.p = p

    def __call__(self, *args):
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self):
        return f"{super().__repr__()}(p={self.p})"
