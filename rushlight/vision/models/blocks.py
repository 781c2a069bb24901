"""What families of models share."""

from rushlight import nn

__all__ = ["FeatureClassifier", "init_weights", "make_divisible"]


class FeatureClassifier(nn.Module):
    """A model in three parts, which its subclass makes: features, their average, a classifier."""

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def init_weights(model, mode="fan_out", linear=None):
    """Draw the weights of convolutions for rectifiers, those of linear layers by ``linear``.

    Their biases become 0. Layers of normalisation are 1 and 0 from the beginning.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode)
        elif isinstance(module, nn.Linear) and linear is not None:
            linear(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def make_divisible(channels, divisor=8, min_value=None):
    """The multiple of ``divisor`` nearest to ``channels``, at most a tenth below it.

    >>> make_divisible(20.5), make_divisible(11)
    (24, 16)
    """
    nearest = int(channels + divisor / 2) // divisor * divisor
    found = max(divisor if min_value is None else min_value, nearest)
    return found + divisor if found < 0.9 * channels else found
