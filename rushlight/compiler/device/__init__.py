"""Kernels for devices with work-groups: each work-item computes one element, or a part of a row.

``spirv.py`` is the language of OpenCL devices and ``ptx.py`` that of NVIDIA's. ``loops.py`` has the
loop kernels, ``product.py`` the products of matrices, ``pooling.py`` windows and ``sorting.py`` the
steps of sorting. Products are computed by ``simt.py`` or ``tensor_cores.py``. ``machine.py`` is a
device as the other stages of the compiler see it.
``program.py`` runs programs whose tensors lie in a device's memory.
"""
