"""torch.hub, from folders and file: addresses, and torch.utils.model_zoo."""

import hashlib
import sys

import pytest

import rushlight
from rushlight import hub

CONF = """
dependencies = ["math"]
from beside import width

def net(depth, *, bias=True):
    "A net of one layer."
    import rushlight
    return rushlight.nn.Linear(depth, width, bias=bias)

def _hidden():
    pass

number = 3
"""


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "hubconf.py").write_text(CONF)
    (tmp_path / "beside.py").write_text("width = 5\n")
    yield str(tmp_path)
    sys.modules.pop("beside", None)


def test_local_repositories(repository):
    before = list(sys.path)
    made = hub.load(repository, "net", 3, source="local", bias=False)
    assert made.weight.shape == (5, 3) and made.bias is None
    assert hub.list(repository) == ["net"]
    assert hub.help(repository, "net") == "A net of one layer."
    assert sys.path == before


def test_repositories_that_do_not_load(repository, tmp_path):
    with pytest.raises(RuntimeError, match="Cannot find callable number"):
        hub.load(repository, "number", source="local")
    with pytest.raises(ValueError, match="must be a string"):
        hub.load(repository, 3, source="local")
    with pytest.raises(ValueError, match="Unknown source"):
        hub.load(repository, "net", source="elsewhere")
    with pytest.raises(RuntimeError, match=r"on GitHub.*source=\"local\""):
        hub.load("pytorch/vision", "resnet18")
    (tmp_path / "hubconf.py").write_text("dependencies = ['no_such_module']\ndef net(): pass\n")
    with pytest.raises(RuntimeError, match="Missing dependencies: no_such_module"):
        hub.load(repository, "net", source="local")
    (tmp_path / "hubconf.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        hub.list(repository)
    assert repository not in sys.path


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "source" / "model.pt"
    path.parent.mkdir()
    rushlight.save({"w": rushlight.arange(3.0)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(path.with_name(f"model-{digest[:8]}.pt"))


@pytest.mark.parity
def test_state_dicts_from_files_as_pytorch(saved, tmp_path):
    torch = pytest.importorskip("torch")
    for t in (torch, rushlight):
        kept = tmp_path / t.__name__
        found = t.hub.load_state_dict_from_url(saved.as_uri(), str(kept), check_hash=True)
        assert found["w"].tolist() == [0, 1, 2]
        assert [p.name for p in kept.iterdir()] == [saved.name]


def test_files_are_kept(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "_dir", None)
    url = saved.as_uri()
    hub.load_state_dict_from_url(url, file_name="own.pt")
    assert (tmp_path / "home" / "hub" / "checkpoints" / "own.pt").exists()
    saved.unlink()
    assert hub.load_state_dict_from_url("https://nowhere/own.pt")["w"].tolist() == [0, 1, 2]
    hub.set_dir(tmp_path / "other")
    assert hub.get_dir() == str(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        hub.load_state_dict_from_url(url)
    with pytest.raises(RuntimeError, match="nothing from the network"):
        hub.load_state_dict_from_url("https://nowhere/model.pt")
    assert not [*(tmp_path / "other").rglob("*.p*t*")]


def test_a_file_with_another_hash_is_not_kept(saved, tmp_path):
    wrong = saved.rename(saved.with_name("model-00000000.pt"))
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(wrong.as_uri(), tmp_path / "kept", check_hash=True)
    assert not [*(tmp_path / "kept").iterdir()]


def test_the_older_place(saved, tmp_path):
    found = rushlight.utils.model_zoo.load_url(saved.as_uri(), tmp_path / "kept")
    assert found["w"].sum() == 3
