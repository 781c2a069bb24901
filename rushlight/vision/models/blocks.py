"""Code that several families of models share."""

from collections import OrderedDict

from rushlight import nn

__all__ = ["FeatureClassifier", "IntermediateLayerGetter", "init_weights", "make_divisible"]


class FeatureClassifier(nn.Module):
    """A model in three parts: ``features``, their average (``avgpool``), and ``classifier``.

    A subclass makes the three parts.
    """

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


class IntermediateLayerGetter(nn.ModuleDict):
    """Applies the children of a model one after another and returns the results of some.

    ``return_layers`` maps the names of these children to the names of their results.

    Raises:
        ValueError: the model has no such child.

    >>> import rushlight as torch
    >>> from rushlight.vision.models import resnet18
    >>> from rushlight.vision.models.blocks import IntermediateLayerGetter
    >>> layers = IntermediateLayerGetter(resnet18(), {"layer1": "low", "layer3": "high"})
    >>> {name: tuple(x.shape) for name, x in layers(torch.zeros(1, 3, 64, 64)).items()}
    {'low': (1, 64, 16, 16), 'high': (1, 256, 4, 4)}
    """

    def __init__(self, model, return_layers):
        children = dict(model.named_children())
        absent = [name for name in return_layers if name not in children]
        if absent:
            raise ValueError(f"return_layers: the model has {list(children)}, but not {absent}")
        last = max(list(children).index(name) for name in return_layers)
        super().__init__(dict(list(children.items())[: last + 1]))
        self.return_layers = return_layers

    def forward(self, x):
        found = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                found[self.return_layers[name]] = x
        return found


def init_weights(model, mode="fan_out", linear=None):
    """Draw the weights of convolutions by He's method, and of linear layers by ``linear``.

    The biases of these layers become 0. Normalisation layers are left alone, because their weights
    are 1 and their biases 0 from the beginning.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight, mode=mode)
        elif isinstance(module, nn.Linear) and linear is not None:
            linear(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def make_divisible(channels, divisor=8, min_value=None):
    """The multiple of ``divisor`` nearest to ``channels``, but not more than 10 % below it.

    >>> make_divisible(20.5), make_divisible(11)
    (24, 16)
    """
    nearest = int(channels + divisor / 2) // divisor * divisor
    found = max(divisor if min_value is None else min_value, nearest)
    return found + divisor if found < 0.9 * channels else found
