"""Every layer, and what it is called on: arguments of the constructor, and inputs.

The inputs are expressions of ``torch``, ``nn`` and of what ``Inputs`` makes under either library.
"""

import numpy as np

#: class → [(its arguments, inputs)]
CASES = {
    # Linear, and only in shape
    "Identity": [("1, a=2", "x(4, 6)")],
    "Linear": [
        ("6, 3", "x(4, 6)"), ("6, 3", "x(6)"), ("6, 40", "x(2, 3, 6)"),
        ("6, 3, bias=False, dtype=torch.float64", "x(4, 6).double()"),
    ],
    "Bilinear": [
        ("6, 5, 3", "x(4, 6), x(4, 5)"), ("6, 5, 3, bias=False", "x(6), x(5)"),
        ("2, 3, 4, dtype=torch.float64", "x(2, 3, 2).double(), x(2, 3, 3).double()"),
    ],
    "Flatten": [("", "x(2, 6, 8, 7)"), ("2, 3", "x(2, 6, 8, 7)"), ("0, 1", "x(3, 4)")],
    "Unflatten": [("1, (2, 3)", "x(2, 6, 4)"), ("-1, [1, 7]", "x(2, 7)")],
    "PixelShuffle": [("2", "x(2, 8, 3, 2)"), ("3", "x(9, 2, 2)")],
    "PixelUnshuffle": [("2", "x(2, 2, 4, 6)"), ("1", "x(3, 2, 2)")],
    "ChannelShuffle": [("3", "x(2, 6, 3, 2)"), ("2", "x(2, 4, 3)")],
    "Fold": [("(4, 5), 2", "x(2, 8, 12)"), ("6, (3, 1), (2, 1), 1, 2", "x(6, 8)")],
    "Unfold": [("2", "x(2, 3, 4, 5)"), ("(3, 1), (2, 1), 1, 2", "x(3, 5, 4)")],
    # Convolutions
    "Conv1d": [
        ("6, 4, 3", "x(2, 6, 5)"), ("6, 4, 4, padding='same', dilation=2", "x(2, 6, 5)"),
        ("6, 4, 3, padding=2, padding_mode='circular'", "x(2, 6, 5)"),
        ("6, 4, 3, 2, 1, groups=2, bias=False", "x(6, 5)"),
    ],
    "Conv2d": [
        ("6, 4, 3", "x(2, 6, 8, 7)"), ("6, 4, (3, 2), (2, 1), (1, 2), (2, 1), 2", "x(2, 6, 8, 7)"),
        ("6, 4, [3, 2], padding='valid'", "x(2, 6, 8, 7)"),
        ("6, 4, (3, 5), padding='same'", "x(2, 6, 8, 7)"),
        ("6, 4, (4, 3), padding='same', padding_mode='reflect'", "x(2, 6, 8, 7)"),
        ("6, 4, 3, padding=(1, 2), padding_mode='replicate'", "x(6, 8, 7)"),
        ("6, 4, 3, dtype=torch.float64", "x(2, 6, 8, 7).double()"),
    ],
    "Conv3d": [
        ("4, 6, 3", "x(2, 4, 5, 4, 3)"),
        ("4, 6, (3, 2, 1), (2, 1, 1), (1, 0, 2), 1, 2, False", "x(2, 4, 5, 4, 3)"),
        ("4, 2, 3, padding='same', padding_mode='circular'", "x(1, 4, 5, 4, 3)"),
    ],
    "ConvTranspose1d": [("4, 6, 3", "x(2, 4, 5)"), ("4, 2, 2, 3, bias=False", "x(4, 5), [16]")],
    "ConvTranspose2d": [
        ("4, 6, 3, 2, 1, 1", "x(2, 4, 5, 4)"), ("2, 3, 3, 2, 1", "x(1, 2, 4, 5), [1, 3, 8, 9]"),
        ("4, 6, (3, 2), (2, 1), (1, 0), (1, 0), 2, False, (2, 1)", "x(2, 4, 5, 4)"),
    ],
    "ConvTranspose3d": [("4, 6, 2, 2, dtype=torch.float64", "x(4, 3, 2, 3).double()")],
    # Normalisation
    "BatchNorm1d": [
        ("6", "x(4, 6)"), ("6, eps=1e-3, momentum=0.5", "x(2, 6, 5)"),
        ("6, affine=False, track_running_stats=False, dtype=torch.float64", "x(4, 6).double()"),
    ],
    "BatchNorm2d": [
        ("6", "x(2, 6, 4, 3)"), ("6, affine=False", "x(2, 6, 4, 3)"),
        ("6, track_running_stats=False", "x(2, 6, 4, 3)"),
        ("6, momentum=None, bias=False", "x(2, 6, 4, 3)"),
    ],
    "BatchNorm3d": [("3", "x(2, 3, 2, 4, 3)"), ("3, 1e-3, None", "x(2, 3, 2, 4, 3)")],
    "SyncBatchNorm": [("6", "x(4, 6)"), ("6, 1e-3, 0.3, bias=False", "x(2, 6, 4, 3)")],
    "InstanceNorm1d": [
        ("3", "x(2, 3, 5)"), ("7", "x(3, 5)"), ("3, affine=True, track_running_stats=True", "x(2, 3, 5)"),
    ],
    "InstanceNorm2d": [
        ("3, 1e-3, affine=True, bias=False", "x(2, 3, 4, 5)"),
        ("3, momentum=0.3, track_running_stats=True", "x(2, 3, 4, 5)"),
    ],
    "InstanceNorm3d": [("3, affine=True, track_running_stats=True", "x(3, 2, 2, 2)")],
    "LayerNorm": [
        ("6", "x(4, 6)"), ("(8, 7), 1e-3, bias=False", "x(2, 6, 8, 7)"),
        ("[7], elementwise_affine=False", "x(2, 6, 8, 7)"),
    ],
    "GroupNorm": [
        ("3, 6", "x(2, 6, 8, 7)"), ("2, 6, 1e-3, affine=False", "x(2, 6, 5)"),
        ("2, 6, bias=False", "x(4, 6)"),
    ],
    "RMSNorm": [("6", "x(4, 6)"), ("(8, 7), eps=1e-2, elementwise_affine=False", "x(2, 6, 8, 7)")],
    "LocalResponseNorm": [("2", "x(2, 5, 4)"), ("3, 0.1, 0.5, 2", "x(2, 5, 4, 3)")],
    # Few channels and no gradient, which PyTorch has from other channels: docs/differences.md.
    "CrossMapLRN2d": [("3", "x(2, 2, 4, 3).detach()"), ("5, 0.1, 2", "x(2, 3, 4, 3).detach()")],
    # Activations
    "CELU": [("0.5", "x(4, 6)"), ("2, True", "x(4, 6)")],
    "ELU": [("0.5", "x(4, 6)"), ("inplace=True", "x(4, 6)")],
    "GELU": [("", "x(4, 6)"), ("approximate='tanh'", "x(4, 6)")],
    "GLU": [("", "x(4, 6)"), ("0", "x(4, 6, 3)")],
    "Hardshrink": [("0.3", "x(4, 6)")],
    "Hardsigmoid": [("", "x(4, 6)"), ("True", "x(4, 6)")],
    "Hardswish": [("", "x(4, 6)"), ("True", "x(4, 6)")],
    "Hardtanh": [("-0.5, 0.25", "x(4, 6)"), ("inplace=True", "x(4, 6)")],
    "LeakyReLU": [("0.2", "x(4, 6)"), ("inplace=True", "x(4, 6)")],
    "LogSigmoid": [("", "x(4, 6)")],
    "LogSoftmax": [("dim=-1", "x(2, 6, 5)"), ("0", "x(4, 6)"), ("", "x(4, 6)")],
    "Mish": [("", "x(4, 6)"), ("True", "x(4, 6)")],
    "PReLU": [
        ("", "x(4, 6)"), ("6, 0.1", "x(2, 6, 3)"), ("dtype=torch.float64", "x(3).double()"),
    ],
    "ReLU": [("", "x(4, 6)"), ("inplace=True", "x(4, 6)")],
    "ReLU6": [("", "x(4, 6) * 5"), ("True", "x(4, 6)")],
    "RReLU": [("", "x(4, 6)"), ("0.2, 0.2, True", "x(4, 6)")],
    "SELU": [("", "x(4, 6)"), ("True", "x(4, 6)")],
    "SiLU": [("", "x(4, 6)"), ("True", "x(4, 6)")],
    "Sigmoid": [("", "x(4, 6)")],
    "Softmax": [("1", "x(2, 6, 8)"), ("", "x(4, 6)")],
    "Softmax2d": [("", "x(2, 3, 4, 2)"), ("", "x(3, 4, 2)")],
    "Softmin": [("1", "x(4, 6)"), ("", "x(4)")],
    "Softplus": [("2, 1", "x(4, 6)"), ("", "x(4, 6) * 20")],
    "Softshrink": [("", "x(4, 6)"), ("0.1", "x(4, 6)")],
    "Softsign": [("", "x(4, 6)")],
    "Tanh": [("", "x(4, 6)")],
    "Tanhshrink": [("", "x(4, 6)")],
    "Threshold": [("0.1, 5", "x(4, 6)"), ("0.1, -5, inplace=True", "x(4, 6)")],
    # Dropout
    "Dropout": [("0.3", "x(2, 6, 5)"), ("inplace=True", "x(2, 6, 5)"), ("1.0", "x(3)")],
    "Dropout1d": [("0.4", "x(2, 6, 5)"), ("0.4, True", "x(6, 5)")],
    "Dropout2d": [("0.4", "x(2, 6, 4, 3)")],
    "Dropout3d": [("0.4", "x(2, 6, 4, 3, 2)"), ("0.4, True", "x(6, 4, 3, 2)")],
    "AlphaDropout": [("0.3", "x(2, 6, 5)"), ("0.3, True", "x(2, 6, 5)")],
    "FeatureAlphaDropout": [("0.3", "x(3, 6, 5)"), ("1.0", "x(3, 6)")],
    # Pooling
    "MaxPool1d": [("2", "x(2, 6, 5)"), ("3, 1, 1, return_indices=True", "x(6, 5)")],
    "MaxPool2d": [
        ("3, 2, 1, ceil_mode=True", "x(2, 6, 8, 7)"), ("2, return_indices=True", "x(2, 6, 8, 7)"),
        ("(2, 3), stride=(1, 2), dilation=(2, 1)", "x(6, 8, 7)"),
    ],
    "MaxPool3d": [
        ("2, 1, ceil_mode=True", "x(1, 2, 4, 5, 3)"),
        ("(1, 2, 2), return_indices=True", "x(1, 2, 4, 5, 3)"),
    ],
    "MaxUnpool1d": [("2", "*nn.MaxPool1d(2, return_indices=True)(x(2, 3, 6))")],
    "MaxUnpool2d": [
        ("2, 2", "*nn.MaxPool2d(2, return_indices=True)(x(2, 3, 4, 6))"),
        ("2", "*nn.MaxPool2d(2, return_indices=True)(x(3, 5, 5)), (5, 5)"),
    ],
    "MaxUnpool3d": [("(1, 2, 2)", "*nn.MaxPool3d((1, 2, 2), return_indices=True)(x(1, 2, 2, 4, 4))")],
    "AvgPool1d": [("2, stride=1", "x(2, 6, 5)")],
    "AvgPool2d": [
        ("3, padding=1, count_include_pad=False", "x(2, 6, 8, 7)"),
        ("(3, 2), divisor_override=4", "x(2, 6, 8, 7)"),
    ],
    "AvgPool3d": [("2, padding=1, count_include_pad=False", "x(1, 2, 4, 5, 3)")],
    "AdaptiveAvgPool1d": [("3", "x(2, 3, 7)")],
    "AdaptiveAvgPool2d": [("(3, None)", "x(2, 6, 8, 7)"), ("2", "x(6, 8, 7)")],
    "AdaptiveAvgPool3d": [("(2, None, 2)", "x(1, 2, 4, 5, 3)")],
    "AdaptiveMaxPool1d": [("3", "x(2, 3, 7)")],
    "AdaptiveMaxPool2d": [("(2, None), return_indices=True", "x(2, 3, 7, 4)")],
    "AdaptiveMaxPool3d": [("2", "x(1, 2, 4, 5, 3)")],
    "FractionalMaxPool2d": [
        ("2, output_ratio=(0.5, 0.6)", "x(2, 3, 9, 8)"),
        ("2, 4, _random_samples=torch.rand(2, 3, 2)", "x(2, 3, 9, 8)"),
    ],
    "FractionalMaxPool3d": [("(2, 1, 2), (3, 4, 5)", "x(2, 5, 6, 7)")],
    "LPPool1d": [("2, 3", "x(2, 3, 7)")],
    "LPPool2d": [("3, (2, 3), stride=(2, 1)", "x(2, 3, 6, 5)")],
    "LPPool3d": [("1, 2, ceil_mode=True", "x(2, 5, 4, 3)")],
    # Padding and resampling
    "ConstantPad1d": [("1, 3.5", "x(2, 3, 4)")],
    "ConstantPad2d": [("(1, -1, 0, 2), -1", "x(2, 3, 4, 5)")],
    "ConstantPad3d": [("[1, 0, 1, 2, 0, 3], 2.0", "x(2, 3, 4, 5)")],
    "ZeroPad1d": [("(1, 2)", "x(2, 3, 4)")],
    "ZeroPad2d": [("1", "x(2, 3, 4)")],
    "ZeroPad3d": [("2", "x(2, 3, 4, 5)")],
    **{
        f"{kind}Pad{n}d": [(f"{(2, 1, 1, 0, 1, 2)[: 2 * n]}", f"x{(2, 3, 3, 4, 4)[: n + 2]}"),
                           ("1", f"x{(3, 3, 4, 4)[: n + 1]}")]
        for kind in ("Circular", "Reflection", "Replication") for n in (1, 2, 3)
    },
    "Upsample": [
        ("scale_factor=2", "x(2, 3, 4)"), ("6, mode='linear'", "x(2, 3, 4)"),
        ("(3, 7), mode='bicubic', align_corners=True", "x(2, 3, 4, 5)"),
        ("scale_factor=(1.5, 2), mode='bilinear', recompute_scale_factor=True", "x(2, 3, 4, 5)"),
        ("scale_factor=2, mode='trilinear'", "x(1, 2, 3, 2, 3)"),
    ],
    "UpsamplingNearest2d": [("size=3", "x(2, 3, 4, 5)")],
    "UpsamplingBilinear2d": [("scale_factor=2", "x(2, 3, 4, 5)")],
    # Tables
    "Embedding": [
        ("9, 3", "i(9, 4, 3)"), ("10, 7, padding_idx=-1", "i(9, 4, 3)"),
        ("9, 3, padding_idx=2, norm_type=1.0, scale_grad_by_freq=True", "i(9, 4, 3)"),
        ("9, 3, max_norm=1.0", "i(9, 4, 3)"), ("9, 3, _weight=torch.ones(9, 3)", "i(9, 2).int()"),
    ],
    "EmbeddingBag": [
        ("9, 3", "i(9, 4, 3)"), ("9, 3, mode='sum'", "i(9, 6), torch.tensor([0, 2, 2]), x(6)"),
        ("9, 3, mode='max', padding_idx=2", "i(9, 6), torch.tensor([0, 2, 2])"),
        ("9, 3, max_norm=1.0, norm_type=1, include_last_offset=True", "i(9, 6), torch.tensor([0, 2, 6])"),
        ("9, 3, padding_idx=-1, dtype=torch.float64", "i(9, 4, 3)"),
        ("9, 3, mode='sum', _weight=torch.ones(9, 3)", "i(9, 4, 3), None, x(4, 3)"),
    ],
    # Recurrent
    "RNN": [
        ("4, 3", "x(5, 2, 4)"), ("4, 3, 2, 'relu', bidirectional=True", "x(5, 2, 4), x(4, 2, 3)"),
        ("4, 3, bias=False, batch_first=True", "x(2, 5, 4)"), ("4, 3, 2, dropout=0.4", "x(5, 2, 4)"),
    ],
    "LSTM": [
        ("4, 3", "x(5, 2, 4)"), ("4, 3, 2, bidirectional=True", "x(5, 2, 4), (x(4, 2, 3), x(4, 2, 3))"),
        ("4, 3, proj_size=2", "x(5, 2, 4)"), ("4, 3, 2, dropout=0.4, batch_first=True", "x(2, 5, 4)"),
        ("4, 3, bidirectional=True", "nn.utils.rnn.pack_padded_sequence(x(5, 3, 4), [5, 3, 2])"),
        ("4, 3, dtype=torch.float64", "x(5, 4).double()"),
    ],
    "GRU": [
        ("4, 3", "x(5, 2, 4)"), ("4, 3, 2, bidirectional=True", "x(5, 2, 4), x(4, 2, 3)"),
        ("4, 3, bias=False, batch_first=True", "x(2, 5, 4)"),
        ("4, 3", "nn.utils.rnn.pack_padded_sequence(x(5, 3, 4), [2, 5, 3], enforce_sorted=False)"),
    ],
    "RNNBase": [("'LSTM', 4, 3", None), ("'GRU', 4, 3, 2, False, True, 0.1, True", None)],
    "RNNCellBase": [("4, 3, True, 4", None), ("4, 3, False, 1", None)],
    "RNNCell": [("4, 3", "x(2, 4)"), ("4, 3, False, 'relu'", "x(2, 4), x(2, 3)")],
    "LSTMCell": [("4, 3", "x(2, 4)"), ("4, 3, bias=False", "x(4), (x(3), x(3))")],
    "GRUCell": [("4, 3", "x(2, 4)"), ("4, 3, bias=False", "x(4), x(3)")],
    # Attention
    "MultiheadAttention": [
        ("8, 2", "*[x(5, 3, 8)] * 3"), ("8, 2, batch_first=True", "*[x(3, 5, 8)] * 3"),
        ("8, 4, 0.3, False, True, True", "x(5, 3, 8), x(4, 3, 8), x(4, 3, 8)"),
        ("8, 2, kdim=6, vdim=7", "x(5, 3, 8), x(4, 3, 6), x(4, 3, 7)"),
        ("8, 2", "*[x(5, 8)] * 3, None, False, torch.ones(5, 5).triu(1).bool()"),
    ],
    "TransformerEncoderLayer": [
        ("8, 2, 16", "x(5, 3, 8)"),
        ("8, 2, 16, 0.0, 'gelu', norm_first=True, batch_first=True", "x(3, 5, 8)"),
        ("8, 2, 16, bias=False", "x(5, 8), torch.ones(5, 5).triu(1).bool()"),
    ],
    "TransformerDecoderLayer": [
        ("8, 2, 16", "x(5, 3, 8), x(4, 3, 8)"),
        ("8, 2, 16, 0.0, nn.functional.gelu, 1e-3, True, True", "x(3, 5, 8), x(3, 4, 8)"),
    ],
    "TransformerEncoder": [
        ("nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2", "x(3, 5, 8)"),
        ("nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8), False", "x(5, 3, 8)"),
    ],
    "TransformerDecoder": [
        ("nn.TransformerDecoderLayer(8, 2, 16), 2, nn.LayerNorm(8)", "x(5, 3, 8), x(4, 3, 8)"),
    ],
    "Transformer": [("8, 2, 1, 2, 16", "x(5, 3, 8), x(4, 3, 8)"),
                    ("8, 2, 1, 1, 16, 0.0, batch_first=True", "x(3, 5, 8), x(3, 4, 8)")],
    # Losses and distances: of reductions all three
    "L1Loss": [("", "x(4, 5), x(4, 5)"), ("reduce=False", "x(4, 5), x(4, 5)")],
    "MSELoss": [("", "x(4, 5), x(4, 5)"), ("size_average=False", "x(4, 5), x(4, 5)")],
    "SmoothL1Loss": [("beta=0.5", "x(4, 5), x(4, 5)")],
    "HuberLoss": [("delta=0.5", "x(4, 5), x(4, 5)"), ("'sum', 2", "x(4, 5), x(4, 5)")],
    "KLDivLoss": [
        ("reduction='batchmean'", "p(4, 5), p(4, 5)"),
        ("reduction='sum', log_target=True", "x(4, 5), x(4, 5)"),
    ],
    "BCELoss": [
        ("", "p(4, 5), p(4, 5)"), ("torch.tensor([1.0, 2, 3, 0, 5])", "p(4, 5), p(4, 5)"),
    ],
    "BCEWithLogitsLoss": [
        ("", "x(4, 5), p(4, 5)"),
        ("torch.ones(5), pos_weight=torch.tensor([1.0, 2, 3, 0, 5])", "x(4, 5), p(4, 5)"),
    ],
    "NLLLoss": [
        ("ignore_index=1", "x(4, 5), i(5, 4)"), ("None, True", "x(4, 5), i(5, 4)"),
        ("torch.tensor([1.0, 2, 3, 0, 5])", "x(4, 5, 3), i(5, 4, 3)"),
    ],
    "NLLLoss2d": [("", "x(4, 5, 2, 3), i(5, 4, 2, 3)")],
    "CrossEntropyLoss": [
        ("", "x(4, 5), i(5, 4)"), ("label_smoothing=0.1", "x(4, 5), p(4, 5).detach()"),
        ("torch.tensor([1.0, 2, 3, 4, 5]), ignore_index=2, label_smoothing=0.2", "x(4, 5), i(5, 4)"),
    ],
    "LinearCrossEntropyLoss": [
        ("5, 6", "x(4, 5), i(5, 4)"),
        ("5, 3, out_features=(2,), bias=True, label_smoothing=0.1", "x(4, 5), i(3, 4, 2)"),
    ],
    "CosineEmbeddingLoss": [("", "x(4, 5), x(4, 5), s(4)"), ("-0.9", "x(4, 5), x(4, 5), s(4)")],
    "HingeEmbeddingLoss": [("0.5", "x(4, 5), s(4, 5)")],
    "MarginRankingLoss": [("0.5", "x(4), x(4), s(4)")],
    "SoftMarginLoss": [("", "x(4, 5), s(4, 5)")],
    "MultiMarginLoss": [
        ("", "x(4, 5), i(5, 4)"),
        ("2, 0.5, torch.tensor([1.0, 2, 3, 0, 5])", "x(4, 5), i(5, 4)"),
    ],
    "MultiLabelMarginLoss": [
        ("", "x(3, 5), torch.tensor([[0, 3, -1, 2, 1], [-1] * 5, [1, 1, 0, 3, 2]])"),
    ],
    "MultiLabelSoftMarginLoss": [
        ("", "x(4, 5), p(4, 5).detach()"),
        ("torch.tensor([1.0, 2, 3, 0, 5])", "x(4, 5), p(4, 5).detach()"),
    ],
    "TripletMarginLoss": [
        ("", "x(4, 5), x(4, 5), x(4, 5)"), ("2, 1, 1e-3, True", "x(4, 5), x(4, 5), x(4, 5)"),
    ],
    "TripletMarginWithDistanceLoss": [
        ("swap=True", "x(4, 5), x(4, 5), x(4, 5)"),
        ("distance_function=nn.PairwiseDistance(3)", "x(4, 5), x(4, 5), x(4, 5)"),
    ],
    "PoissonNLLLoss": [("", "x(4, 5), i(5, 4, 5)"), ("full=True", "x(4, 5), i(5, 4, 5)")],
    "GaussianNLLLoss": [
        ("", "x(4, 5), x(4, 5), p(4, 5)"), ("full=True, eps=0.5", "x(4, 5), x(4, 5), p(4)"),
    ],
    "CTCLoss": [
        ("zero_infinity=True", "x(6, 4, 5), 1 + i(4, 4, 3), torch.tensor([6, 5, 6, 2]), torch.tensor([3, 2, 0, 3])"),
        ("1, 'sum'", "x(6, 2, 5), i(1, 2, 3), [6, 6], [3, 2]"),
    ],
    "AdaptiveLogSoftmaxWithLoss": [
        ("8, 20, [4, 10]", "x(3, 8), i(20, 3)"), ("8, 20, [4, 10], 2, True", "x(8), i(20)"),
    ],
    "PairwiseDistance": [("1, keepdim=True", "x(4, 5), x(4, 5)"), ("", "x(4, 5), x(4, 5)")],
    "CosineSimilarity": [("0", "x(4, 5), x(4, 5)"), ("", "x(4, 5), x(4, 5)")],
    # Wrappers
    "DataParallel": [("nn.Linear(6, 3)", "x(4, 6)"), ("nn.Sequential(nn.ReLU()), [0]", "x(4, 6)")],
}  # fmt: skip


class Inputs:
    """Makes the same inputs under either library.

    Attributes:
        leaves: The tensors made that have a gradient.
    """

    def __init__(self, torch):
        self.torch = torch
        self.rng = np.random.default_rng(7)
        self.leaves = []

    def __call__(self, expression):
        """The inputs that an expression of this class's methods names."""
        names = {n: getattr(self, n) for n in ("x", "p", "i", "s")}
        return eval(f"[{expression}]", {"torch": self.torch, "nn": self.torch.nn, **names})

    def _leaf(self, array):
        leaf = self.torch.tensor(array.astype("f4"), requires_grad=True)
        self.leaves.append(leaf)
        return leaf * 1  # no leaf, so that it can be written to

    def x(self, *shape):
        """Normal numbers with a gradient."""
        return self._leaf(self.rng.standard_normal(shape))

    def p(self, *shape):
        """Numbers between 0.1 and 0.9 with a gradient."""
        return self._leaf(self.rng.uniform(0.1, 0.9, shape))

    def i(self, high, *shape):
        """Integers from 0 up to ``high``."""
        return self.torch.tensor(self.rng.integers(0, high, shape))

    def s(self, *shape):
        """Ones of either sign, as integers."""
        return self.torch.tensor(self.rng.choice([-1, 1], shape))
