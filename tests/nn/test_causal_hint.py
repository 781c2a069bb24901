"""What stacks of transformer layers tell their layers of the mask, as in PyTorch."""

import itertools

import pytest

import rushlight


def told(torch, mask, hint, decoder):
    """The hints that a layer of the user's own class gets, in eager mode."""
    seen = []

    class Own(torch.nn.TransformerDecoderLayer if decoder else torch.nn.TransformerEncoderLayer):
        def forward(self, *args, **options):
            seen.append(options["tgt_is_causal" if decoder else "is_causal"])
            return super().forward(*args, **options)

    x = torch.zeros(3, 1, 4)
    layer = Own(4, 1, 4, dropout=0.0)
    if decoder:
        stack = torch.nn.TransformerDecoder(layer, 2)
        stack(x, x, tgt_mask=mask, tgt_is_causal=hint)
    else:
        stack = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        stack(x, mask=mask, is_causal=hint)
    return seen


def masks(torch):
    causal = torch.nn.Transformer.generate_square_subsequent_mask(3)
    return None, causal, causal < 0, causal.t(), torch.zeros(3, 3), causal.repeat(1, 1, 1)


@pytest.mark.parity
@pytest.mark.parametrize("decoder", [False, True])
def test_layers_of_other_classes_are_told_whether_the_mask_is_causal(decoder):
    torch = pytest.importorskip("torch")
    for i, hint in itertools.product(range(6), (None, True, False)):
        if hint and not i:
            continue  # refused without a mask
        ours = told(rushlight, masks(rushlight)[i], hint, decoder)
        assert ours == told(torch, masks(torch)[i], hint, decoder), (i, hint)
