"""torch.onnx where the package onnx is not installed."""

import sys

import pytest

import rushlight as torch


def test_programs_may_ask_but_not_export(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert not torch.onnx.is_in_onnx_export()
    with pytest.raises(ImportError, match="pip install onnx"):
        torch.onnx.export(torch.nn.Linear(1, 1), torch.ones(1, 1))
