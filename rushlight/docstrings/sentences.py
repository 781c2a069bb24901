"""The sentences about parameters and results that public docstrings share."""

__all__ = ["BY_KIND", "EVERYWHERE", "RETURNS"]

#: Parameters that mean the same in every function.
EVERYWHERE = {
    "input": "Tensor of any shape ``(*)``.",
    "other": "Tensor or number. The operands are broadcast to one shape.",
    "out": "Tensor that receives the result. It is resized if its shape is another.",
    "dtype": "The dtype of the result.",
    "device": "Where the result lies. Default: ``torch.get_default_device()``.",
    "layout": "``torch.strided``, the only layout of new tensors.",
    "requires_grad": "Record the result's use, for gradients. Default: False.",
    "pin_memory": "Accepted without effect: the CPU's memory needs no pinning.",
    "generator": "Source of the random numbers. Default: ``torch.default_generator``.",
    "memory_format": "Order of the dims in memory. Default: ``torch.preserve_format``.",
    "non_blocking": "Accepted without effect: copies are done at once.",
    "dim": "The dim along which the function works. Negative dims count from the end.",
    "keepdim": "Keep the dims that are reduced, with size 1. Default: False.",
}

#: Parameters that modules share with the functions of ``nn.functional``.
_NETWORKS = {
    "target": "Tensor of ``input``'s shape: the values that ``input`` should have.",
    "reduction": 'The losses\' ``"mean"`` (default), their ``"sum"``, or each loss (``"none"``).',
    "size_average": "Deprecated; give ``reduction``.",
    "reduce": "Deprecated; give ``reduction``.",
    "in_channels": "Number of channels of the input.",
    "out_channels": "Number of channels of the result.",
    "kernel_size": "Elements of a window: an int, or one for each spatial dim.",
    "stride": "Elements from window to window: an int, or one for each spatial dim.",
    "padding": "Elements added at both ends of each spatial dim: int or ints. Default: 0.",
    "dilation": "Elements from one tap of a window to the next: int or ints. Default: 1.",
    "groups": "Number of groups of channels that are convolved apart. Default: 1.",
    "ceil_mode": "Let the last window reach beyond the edge. Default: False.",
    "return_indices": "Return the flat position of each maximum, too. Default: False.",
    "count_include_pad": "Let the padding count in the averages. Default: True.",
    "divisor_override": "Number that divides the sums. Default: a window's number of elements.",
    "output_size": "Spatial size of the result: int or ints; None keeps the size of a dim.",
    "eps": "Number added to a denominator, so that it is not 0.",
    "inplace": "Write the result into ``input``. Default: False.",
    "training": "Work as in training; False: as in evaluation.",
    "output_ratio": "The result's size as a part of the input's: in (0, 1), or one for each dim.",
    "norm_type": "The exponent p.",
    "num_groups": "Number of groups of channels; it must divide the number of channels.",
    "min_val": "Lower end of the range. Default: -1.",
    "max_val": "Upper end of the range. Default: 1.",
    "negative_slope": "Factor of negative elements. Default: 0.01.",
    "lower": "Lower end of the range of slopes. Default: 1 / 8.",
    "upper": "Upper end of the range of slopes. Default: 1 / 3.",
    "ignore_index": "Targets with this class index do not count. Default: -100.",
    "label_smoothing": "Part of each target that is spread over all classes. Default: 0.",
    "pos_weight": "Factors of the losses of targets 1; they broadcast to ``target``. Default: 1.",
    "blank": "The class index of the blank label. Default: 0.",
    "zero_infinity": "Set infinite losses and their gradients to 0. Default: False.",
    "log_input": "``input`` is the logarithm of the rate. Default: True.",
    "log_target": "``target`` holds logarithms of probabilities, too. Default: False.",
    "full": "Add the terms of the loss that do not depend on ``input``. Default: False.",
    "delta": "Distance from which on the loss is linear instead of squared. Default: 1.",
    "distance_function": "Function of two tensors. Default: ``pairwise_distance``.",
}

#: Parameters of modules.
_MODULES = {
    "in_features": "Number of features of the input.",
    "out_features": "Number of features of the result.",
    "bias": "Add a learned bias. Default: True.",
    "device": "Where the parameters lie. Default: ``torch.get_default_device()``.",
    "dtype": "The dtype of the parameters. Default: ``torch.get_default_dtype()``.",
}

#: Parameters of single families of modules; ``nn.modules`` tells which class is in which family.
_FAMILIES = {
    "plain": {},
    "convolution": {
        "stride": "Elements from window to window: int or ints. Default: 1.",
        "padding": 'Elements added at both ends of a dim: int(s), "same" or "valid". Default: 0.',
        "padding_mode": 'What is added: "zeros" (default), "reflect", "replicate" or "circular".',
    },
    "transposed convolution": {
        "stride": "Elements of the result from window to window: int or ints. Default: 1.",
        "padding": "Elements cut off at both ends of each dim of the result. Default: 0.",
        "output_padding": "Elements added at the end of each dim of the result. Default: 0.",
        "padding_mode": 'Only ``"zeros"``.',
    },
    "pooling": {
        "stride": "Elements from window to window: int or ints. Default: ``kernel_size``.",
    },
    "unpooling": {
        "stride": "Elements from window to window: int or ints. Default: ``kernel_size``.",
        "padding": "The padding with which the maxima were taken. Default: 0.",
    },
    "padding": {
        "padding": "Elements to add: an int, or (left, right[, top, bottom[, front, back]]).",
        "value": "The value of the new elements.",
    },
    "norm": {
        "num_features": "Number C of channels.",
        "normalized_shape": "Sizes of the last dims, which are normalized together: int or ints.",
        "eps": "Number added to the variance, so that it is not 0. Default: 1e-5.",
        "momentum": "Weight of the newest batch in the running statistics. Default: 0.1.",
        "affine": "Learn a scale, ``weight``, and a shift, ``bias``, of each channel.",
        "elementwise_affine": "Learn a scale, ``weight``, of each element. Default: True.",
        "track_running_stats": "Keep running means and variances, for evaluation.",
        "bias": "Learn the shift, too; False: only the scale. Default: True.",
    },
    "dropout": {
        "p": "Probability that an element, or a channel, is dropped: in [0, 1]. Default: 0.5.",
    },
    "loss": {
        "weight": "Tensor (C): a factor for each class's losses. Default: all 1.",
        "swap": "Use the distance of positive and negative if that is smaller. Default: False.",
    },
    "embedding": {
        "num_embeddings": "Number of rows of the table.",
        "embedding_dim": "Number of elements of a row.",
        "max_norm": "Scale used rows with a larger norm down to this norm, in place. Default: off.",
        "norm_type": "The p of the p-norm that ``max_norm`` limits. Default: 2.",
        "scale_grad_by_freq": "Divide a row's gradient by its number of uses. Default: False.",
        "sparse": "Accepted, but gradients are always dense.",
    },
    "recurrent": {
        "input_size": "Number of features of the input.",
        "hidden_size": "Number of features of the hidden state.",
        "num_layers": "Number of layers; each reads the output of the one before. Default: 1.",
        "bias": "Use the biases b_ih and b_hh. Default: True.",
        "batch_first": "Input and output are (batch, steps, ...). Default: False.",
        "dropout": "Probability of dropping elements between layers, in training. Default: 0.",
        "bidirectional": "Also read the sequences from their ends. Default: False.",
    },
    "transformer": {
        "d_model": "Number of features of each position.",
        "nhead": "Number of heads of each attention; divides ``d_model``.",
        "dim_feedforward": "Features inside the network on each position. Default: 2048.",
        "dropout": "Probability of dropping an element, in training. Default: 0.1.",
        "activation": '``"relu"``, ``"gelu"`` or a function of a tensor. Default: relu.',
        "layer_norm_eps": "The ``eps`` of the layer norms. Default: 1e-5.",
        "batch_first": "The batch dim comes first, not second. Default: False.",
        "norm_first": "Normalize before each part; False: after its sum. Default: False.",
        "bias": "Let linear layers and layer norms have biases. Default: True.",
        "num_layers": "Number of copies of the layer. The copies share no parameters.",
        "norm": "A module for the last layer's result, such as a LayerNorm. Default: none.",
    },
}

#: Parameters of families of functions in ``nn.functional``, besides those of the modules.
_FUNCTIONS = {
    "activation": {
        "dtype": "Convert ``input`` to this dtype first. Default: keep its dtype.",
    },
    "convolution": _FAMILIES["convolution"] | {
        "bias": "Tensor ``(O)``: number added to each channel of the result. Default: none.",
    },
    "transposed convolution": _FAMILIES["transposed convolution"] | {
        "bias": "Tensor ``(O)``: number added to each channel of the result. Default: none.",
    },
    "dropout": _FAMILIES["dropout"] | {
        "training": "Drop; False: return ``input`` as it is.",
    },
    "loss": _FAMILIES["loss"],
    "normalization": {
        "running_mean": "Tensor ``(C)``: running means of the channels. None: there are none.",
        "running_var": "Tensor ``(C)``: running variances of the channels. None: there are none.",
        "weight": "Tensor ``(C)``: factor of each channel. Default: 1.",
        "bias": "Tensor ``(C)``: number added to each channel. Default: 0.",
        "normalized_shape": "Sizes of the last dims, which are normalized together: ints.",
        "momentum": "Weight of the newest batch in the running statistics. Default: 0.1.",
        "eps": "Number added to the variance, so that it is not 0. Default: 1e-5.",
    },
    "pooling": _FAMILIES["pooling"],
    "pooling with indices": _FAMILIES["pooling"] | {
        "output_size": "Spatial size of the result: int or ints.",
        "return_indices": "Accepted without effect: the indices are always returned.",
    },
    "unpooling": _FAMILIES["unpooling"] | {
        "indices": "Tensor of ``input``'s shape, int64: flat positions in the result.",
        "output_size": "Spatial size of the result, less than a stride from the default.",
    },
    "resampling": {
        "input": "Tensor ``(N, C, *size)`` with 1 to 3 spatial dims.",
        "size": "Spatial size of the result: int or ints. Default: by ``scale_factor``.",
        "scale_factor": "The result's size divided by the input's: float or floats.",
        "align_corners": "Let the centres of the corner elements coincide, not their outer edges.",
    },
}  # fmt: skip

#: Parameters of probability distributions, of their transforms and of constraints.
_DISTRIBUTIONS = {
    "loc": "The location: a number or tensor ``(*)``.",
    "scale": "The spread: a positive number or tensor ``(*)``.",
    "rate": "Positive number or tensor ``(*)``.",
    "concentration": "Positive number or tensor ``(*)``.",
    "probs": "Probability from 0 to 1: a number or tensor ``(*)``.",
    "logits": "Logarithm of the odds, instead of ``probs``: a number or tensor ``(*)``.",
    "batch_shape": "The shape of the independent parts. Default: ``()``.",
    "event_shape": "The shape of one value. Default: ``()``.",
    "validate_args": "Check parameters and values. Default: True, unless set otherwise.",
}
_TRANSFORMS = {
    "cache_size": "1 keeps the last pair (x, y), so that its inverse is exact. Default: 0.",
    "tseq": "The transforms: a list, with one for each part.",
    "dim": "The dim of the parts. Negative dims count from the end. Default: 0.",
}
_CONSTRAINTS = {
    "lower_bound": "The lower bound: a number, or a tensor that broadcasts with the values.",
    "upper_bound": "The upper bound: a number, or a tensor that broadcasts with the values.",
    "base_constraint": "The constraint of the parts.",
    "cseq": "The constraints: a list, with one for each part.",
    "dim": "The dim of the parts. Negative dims count from the end. Default: 0.",
}

#: Parameters of the functions in ``autograd.functional``.
_DERIVATIVES = {
    "func": "A function of tensors that returns a tensor, or a tuple of tensors.",
    "inputs": "Tensor or tuple of tensors of any shapes ``(*)``: the arguments of ``func``.",
    "create_graph": "Record the computation, for further gradients. Default: False.",
    "strict": "Refuse an input without influence; False: its gradient is 0. Default: False.",
}

#: Parameters of ``vision``: functions and transforms of images, data sets, files, and models.
_IMAGES = {
    "img": "Pillow image, or tensor ``(..., C, H, W)``.",
    "size": "Size of the result in pixels: (height, width), or one int for both.",
    "interpolation": "The ``InterpolationMode`` that gives the values between pixels.",
    "fill": "Value outside the image: a number, or one for each channel. Default: 0.",
    "center": "The fixed point (x, y), in pixels. Default: the middle.",
    "antialias": "Smooth a tensor that gets smaller; Pillow always does. Default: True.",
    "padding_mode": '``"constant"`` (default), ``"edge"``, ``"reflect"`` or ``"symmetric"``.',
    "num_output_channels": "Number of channels of the result: 1 (default) or 3.",
    "top": "The first row of the part.",
    "left": "The first column of the part.",
    "height": "Number of rows of the part.",
    "width": "Number of columns of the part.",
    "vertical_flip": "Flip top and bottom instead of left and right. Default: False.",
    "p": "Probability that the image is changed, from 0 to 1. Default: 0.5.",
    "transforms": "Sequence of transforms.",
    "num_magnitude_bins": "Number of strengths that each operation has. Default: 31.",
}
_SAMPLES = _IMAGES | {
    "inpt": "Image, video, mask, boxes or points: of ``tv_tensors``, a Pillow image, or a plain "
    "tensor, which counts as an image.",
    "interpolation": "The ``InterpolationMode`` that gives the values between pixels, or its name.",
    "fill": "Value outside the image: a number, or one for each channel. A transform also takes a "
    "dict from the inputs' classes to such values. Default: 0.",
    "max_size": "The largest length of the longer side, in pixels. Default: None, no limit.",
}
_IMAGE_TENSORS = {
    "dtype": "The dtype of the result. Default: that of ``data``.",
    "device": "Where the result lies. Default: where ``data`` is.",
    "requires_grad": "Record the result's use, for gradients. Default: as ``data`` does.",
}
_IMAGE_DATA = {
    "root": "The folder of the data.",
    "train": "Take the images for training; False: those for testing. Default: True.",
    "transform": "Function of an image, whose result is given instead. Default: None.",
    "target_transform": "Function of a target, whose result is given instead. Default: None.",
    "download": "Accepted without effect: nothing is downloaded.",
}
_IMAGE_FILES = {
    "input": "Tensor ``(N,)``, uint8: the bytes of a file.",
    "mode": "An ``ImageReadMode``: what the picture is converted to. Default: ``UNCHANGED``.",
    "apply_exif_orientation": "Turn the picture as its EXIF data demand. Default: False.",
    "path": "Name of the file.",
    "filename": "Name of the file.",
    "quality": "1 (small file) to 100 (good picture). Default: 75.",
    "compression_level": "0 (fast) to 9 (small file). Default: 6.",
}
_BOXES = {
    "boxes": "Tensor ``(N, 4)`` of boxes (x1, y1, x2, y2).",
    "boxes1": "Tensor ``(..., N, 4)`` of boxes (x1, y1, x2, y2).",
    "boxes2": "Tensor ``(..., M, 4)`` of boxes (x1, y1, x2, y2).",
    "scores": "Tensor ``(N,)``: the score of each box.",
    "iou_threshold": "The largest intersection over union that does not drop a box.",
    "eps": "Number added to a denominator, so that it is not 0. Default: 1e-7.",
}
_REGIONS = {
    "boxes": "List of a Tensor ``(L, 4)`` of boxes (x1, y1, x2, y2) for each image, or one Tensor "
    "``(K, 5)`` whose first column is the image's number.",
    "output_size": "Number of bins of a region: (rows, columns), or one int for both.",
    "spatial_scale": "Factor from the boxes' coordinates to those of the feature map.",
    "sampling_ratio": "Number of samples of a bin along each axis; 0 and less: as many as pixels.",
}
_IMAGE_MODELS = {
    "weights": "A member of the model's ``WeightsEnum``, or its name. Default: untrained.",
    "progress": "Accepted without effect. Default: True.",
    "options": "Options of the model's class, such as ``num_classes``, by keyword.",
    "num_classes": "Number of classes. Default: 1000.",
    "dropout": "Probability of dropout before the last layer.",
    "norm_layer": "Function of a number of channels that makes a normalization layer.",
    "transform_input": "Convert inputs from ImageNet's scaling to [-1, 1]. Default: False.",
}

#: Parameters of the learning-rate schedulers.
_SCHEDULERS = {
    "optimizer": "The optimizer whose learning rates are set.",
    "last_epoch": "Index of the last epoch of a resumed training; -1 starts anew. Default: -1.",
}

#: Parameters of ``torch.addmm`` and its family.
_AFFINE = {
    "beta": "Factor of ``input``. With 0, ``input``'s values do not count, even nan. Default: 1.",
    "alpha": "Factor of the product. Default: 1.",
}

#: Parameters of ``torch.fft``.
_FOURIER = {
    "n": "Number of elements along ``dim``: longer input is cut, shorter filled up with zeros.",
    "s": "Sizes along ``dim``: longer input is cut, shorter filled up with zeros. -1 keeps a size.",
    "dim": "The dim or dims to transform. Negative dims count from the end.",
    "norm": 'What is divided by n: the inverse (``"backward"``, default), the other transform\n'
    '            (``"forward"``), or both by √n (``"ortho"``).',
    "d": "Distance from one sample to the next. Default: 1.",
    "dtype": "The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``.",
}

#: Parameters of windows for signals.
_WINDOWS = {
    "window_length": "Number of elements.",
    "periodic": "N is ``window_length``. False: 1 less, for a symmetric window. Default: True.",
    "M": "Number of elements.",
    "sym": "Make a symmetric window. False: copies of it can follow each other. Default: True.",
    "dtype": "The dtype of the result. Default: ``torch.get_default_dtype()``.",
}

#: Parameters of ``torch.linalg``.
_LINALG = {
    "A": "Tensor of square matrices ``(*, N, N)``, floating point or complex.",
    "upper": "Read only the upper triangle, and give Lᴴ. Default: read the lower, and give L.",
    "UPLO": 'The triangle of A that is read: lower (``"L"``, default) or upper (``"U"``).',
    "check_errors": "Raise LinAlgError if a number in ``info`` is not 0. Default: False.",
    "left": "Solve A·X = B; False: solve X·A = B. Default: True.",
    "driver": "It must be None, because it chooses a routine on GPUs.",
    "dtype": "Convert the elements to this dtype first. Default: keep their dtype.",
}

#: Parameters of ``nn.init``.
_INIT = {
    "tensor": "Tensor of any shape ``(*)``, which is filled in place.",
    "mean": "Mean of the normal distribution. Default: 0.",
    "std": "Standard deviation of the normal distribution. Default: 1.",
    "gain": "Factor of all values, for example from ``calculate_gain``. Default: 1.",
    "mode": 'Keep the variance of outputs (``"fan_in"``, default) or gradients (``"fan_out"``).',
    "nonlinearity": 'Name for ``calculate_gain`` of the next function. Default: ``"leaky_relu"``.',
}

#: Parameters of ``nn.utils``.
_UTILS = {
    "parameters": "Tensor, or iterable of tensors, whose gradients are limited in place.",
    "max_norm": "The largest norm that all gradients together may have.",
    "norm_type": "Order of the norm; inf gives the largest absolute value. Default: 2.",
    "error_if_nonfinite": "Raise an error if the norm is nan or infinite. Default: False.",
    "foreach": "Accepted without effect.",
    "module": "The module that has the tensor. It is changed in place.",
    "name": 'Name of the tensor in ``module``. Default: ``"weight"``.',
    "n_power_iterations": "Steps of power iteration at each computation in training. Default: 1.",
    "eps": "The least norm by which a vector is divided. Default: 1e-12.",
    "transpose": "The convolution is a transposed one. Default: False.",
    "bn": "The batch norm, in evaluation mode and with running statistics.",
    "bn_rm": "Tensor ``(C,)``: the batch norm's running mean.",
    "bn_rv": "Tensor ``(C,)``: the batch norm's running variance.",
    "bn_eps": "Number that the batch norm adds to the variance.",
    "bn_w": "Tensor ``(C,)``: the batch norm's factors. None: 1.",
    "bn_b": "Tensor ``(C,)``: the numbers that the batch norm adds. None: 0.",
}

#: Parameters of ``nn.utils.prune``.
_PRUNING = {
    "module": "The module that has the parameter. It is changed in place.",
    "name": "Name of the parameter in ``module``.",
    "amount": "Number of elements or slices to prune (int), or their share from 0 to 1 (float).",
    "n": "Order of the norm, as ``p`` of ``torch.norm``.",
    "dim": "The dim whose slices are pruned. Negative dims count from the end.",
    "importance_scores": "Tensor of the parameter's shape, by which to rank. Default: its values.",
}

#: Parameters of ``nn.utils.rnn``.
_SEQUENCES = {
    "batch_first": "The batch is dim 0 and the steps are dim 1. Default: False, the reverse.",
    "enforce_sorted": "Require the longest sequence first, and so on; False: sort. Default: True.",
    "padding_value": "Value of the elements that fill the sequences up. Default: 0.",
}

BY_KIND = {
    "reduction": {
        "dim": "The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.",
        "dtype": "Convert ``input`` to this dtype first. Default: keep its dtype.",
    },
    "source": {
        "size": "The shape of the result: ints, or one tuple of ints.",
        "dtype": "The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``.",
    },
    "devices": {"device": "A number, string or ``torch.device``. Default: the current one."},
    "like": {
        "device": "Where the result lies. Default: the device of ``input``.",
        "dtype": "The dtype of the result. Default: that of ``input``.",
    },
    "slices": {
        "index": "The positions along ``dim``, not negative: int32 or int64 tensor ``(n)``.",
        "source": "Tensor of ``input``'s dtype and shape, but with size n along ``dim``.",
    },
    "scatter": {
        "index": "int32 or int64 tensor with ``input``'s number of dims: positions, none negative.",
        "src": "Tensor of ``input``'s dtype, in no dim smaller than ``index``.",
    },
    "new": {
        "device": "Where the result lies. Default: the device of this tensor.",
        "size": "The shape of the result: ints, or one tuple of ints.",
        "dtype": "The dtype of the result. Default: that of this tensor.",
    },
    "functional": _NETWORKS,
    **{kind: _NETWORKS | own for kind, own in _FUNCTIONS.items()},
    "derivative": _DERIVATIVES,
    "image function": _IMAGES,
    "image transform": _IMAGES,
    "image input function": _SAMPLES,
    "image tensor": _IMAGE_TENSORS,
    "sample transform": _SAMPLES,
    "image data": _IMAGE_DATA,
    "image file": _IMAGE_FILES,
    "boxes": _BOXES,
    "regions": _REGIONS,
    "image model": _IMAGE_MODELS,
    "image model builder": _IMAGE_MODELS,
    "scheduler": _SCHEDULERS,
    "distribution": _DISTRIBUTIONS,
    "transform": _TRANSFORMS,
    "constraint": _CONSTRAINTS,
    "affine": _AFFINE,
    "linalg": _LINALG,
    "fft": _FOURIER,
    "window": _WINDOWS,
    "init": _INIT,
    "utils": _UTILS,
    "pruning": _PRUNING,
    "pruner": _PRUNING,
    "sequences": _SEQUENCES,
    **{f"{kind} module": _NETWORKS | _MODULES | own for kind, own in _FAMILIES.items()},
    "method": {
        "name": "The name: not empty, without dots, and no other attribute's.",
        "module": "The Module to add.",
        "modules": "Iterable of the Modules to add.",
        "recurse": "Include the submodules. Default: True.",
        "prefix": "Path to put in front of each path. Default: none.",
        "remove_duplicate": "Give an object that is found twice only once. Default: True.",
        "default": "The value for a key that is not there. Default: None.",
    },
    "hook": {
        "hook": "The function to call. Its result has no effect.",
        "prepend": "Call the hook before the hooks that are there already. Default: False.",
        "with_kwargs": "Give the hook the keyword arguments, too. Default: False.",
        "always_call": "Call the hook after a failed ``forward``, too. Default: False.",
    },
}  # fmt: skip

RETURNS = {
    "elementwise": "Tensor of ``input``'s shape.",
    "broadcast": "Tensor of the shape to which the operands are broadcast.",
    "reduction": "Tensor without the reduced dims; with ``keepdim`` they have size 1.",
    "source": "Tensor of shape ``size``.",
    "init": "``tensor``, filled.",
    "pruning": "``module``.",
    "activation": "Tensor of ``input``'s shape.",
    "dropout": "Tensor of ``input``'s shape.",
    "normalization": "Tensor of ``input``'s shape.",
    "loss": 'Tensor ``()``; with ``reduction="none"`` a loss for each element.',
    "pooling with indices": "Two tensors: the maxima, and their flat positions, as int64.",
    "resampling": "Tensor ``(N, C, *size)`` with the new spatial dims.",
    "like": "Tensor of ``input``'s shape.",
    "slices": "Tensor of ``input``'s shape.",
    "scatter": "Tensor of ``input``'s shape.",
    "new": "Tensor of shape ``size``.",
    "in_place": "This tensor.",
    "image function": "Image of the same kind as ``img``.",
    "image input function": "The same kind of thing as ``inpt``.",
    "image model builder": "The model, in training mode.",
    "conversion": "The module itself.",
    "hook": "``RemovableHandle`` whose ``remove()`` takes the hook away.",
}
