"""Local files that change, cannot be read or cannot be written are named, and nothing is left half."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import regista
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import Invalid, RegistaError
from regista.files import HashingStream, copy_folder
from regista.onnx_files import NotOnnx, check_weights, weight_files
from regista.publishing.data_digest import data_digest
from tests.unit.sdk.conftest import API_KEY, QUICK, Answers

MIB = 1 << 20


async def sent(stream: HashingStream, when: Callable[[], None]) -> None:
    """Send a file; `when` runs before its first byte is read."""
    when()
    async for _ in stream():
        pass


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda file: file.write_bytes(b"x" * (9 * MIB)), "grew"),
        (lambda file: os.truncate(file, 5 * MIB), "shrank to 5,242,880 bytes"),
        (lambda file: os.truncate(file, 0), "shrank to 0 bytes"),
        (lambda file: file.unlink(), "there is no file"),
    ],
)
async def test_a_file_that_changes_while_it_is_sent_is_named(
    tmp_path: Path, change: Callable[[Path], Any], named: str
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"x" * (8 * MIB))
    stream = HashingStream(file, "model.onnx", None)
    with pytest.raises(Invalid, match=rf"model\.onnx.*{named}|{named}.*model\.onnx"):
        await sent(stream, lambda: change(file))


def test_a_growing_file_is_refused_by_publish(answers: Answers, profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"x" * MIB)

    def grow(*_: Any) -> None:
        with file.open("ab") as more:
            more.write(b"y" * MIB)

    with Client(profile, patience=QUICK) as client, pytest.raises(Invalid) as refused:
        client.publish("churn", file, draft=True, progress=grow)
    assert refused.value.code == "file_changed"


@pytest.mark.parametrize("name", [b"model-\xff.bin", b"\xc3\x28"])
def test_a_name_that_is_no_utf8_is_refused_with_its_bytes(
    answers: Answers, profile: Profile, tmp_path: Path, name: bytes
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "model") + b"/" + name))
    odd.parent.mkdir()
    odd.write_bytes(b"x")
    with Client(profile, patience=QUICK) as client:
        for artifact in (odd, odd.parent):
            with pytest.raises(Invalid) as refused:
                client.publish("churn", artifact, draft=True)
            refused.value.detail.encode("utf-8")
    with pytest.raises(Invalid):
        data_digest(odd.parent)
    with pytest.raises(Invalid):
        regista.capture(code=[odd.parent / os.fsdecode(b"\xff.py")])


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "/".join(["folder" * 10] * 100)])
def test_a_path_that_no_file_can_have_is_named(path: str) -> None:
    with pytest.raises(Invalid) as refused:
        data_digest(path)
    assert path[:50].replace("\0", "\\x00") in refused.value.detail
    assert len(refused.value.detail) < 500


def test_missing_code_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"no file .*fit\.py"):
        regista.capture(code=tmp_path / "fit.py")


LOAD = """
import resource, signal, sys
from pathlib import Path
from regista.client.sync_client import Client
from regista.errors import RegistaError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[1] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    with Client() as client:
        print(client.load("churn@3").path)
except RegistaError as e:
    print(e.code, e.detail, e.advice)
"""


def load(answers: Answers, cache: Path, limit: str) -> str:
    environment = {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CACHE_DIR": str(cache),
        "REGISTA_CONFIG": "/nowhere",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "-c", LOAD, limit],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_a_load_on_a_full_disk_leaves_nothing_half_and_works_when_there_is_space(
    answers: Answers, tmp_path: Path
) -> None:
    answers.has("churn", "3", {"a/model.bin": b"x" * (6 * MIB), "config.json": b"{}"}, number=3)
    full = load(answers, tmp_path / "cache", str(MIB))
    assert full.startswith("disk_full ")
    assert "REGISTA_CACHE_DIR" in full
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
    path = Path(load(answers, tmp_path / "cache", "-").strip())
    assert (path / "a/model.bin").stat().st_size == 6 * MIB


def test_a_copy_that_cannot_be_completed_leaves_no_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.bin").write_bytes(b"x")
    (source / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RegistaError, match="target"):
        copy_folder(source, tmp_path / "target")
    assert list(tmp_path.iterdir()) == [source]
    (source / "broken").unlink()
    copy_folder(source, tmp_path / "new" / "target")
    assert (tmp_path / "new" / "target" / "model.bin").read_bytes() == b"x"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_downloads_have_the_modes_that_the_umask_leaves(
    answers: Answers, profile: Profile, tmp_path: Path
) -> None:
    answers.has("churn", "3", {"a/model.bin": b"x"}, number=3)
    with Client(profile, patience=QUICK) as client:
        loaded = client.load("churn@3")
    copy_folder(loaded.path, tmp_path / "copy")
    for folder in (profile.cache, tmp_path / "copy"):
        modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.rglob("*"))}
        assert {mode for p, mode in modes.items() if p.is_dir()} == {0o750}
        assert {mode for p, mode in modes.items() if p.is_file()} == {0o640}


def model(weights: str = "") -> bytes:
    """Return a model that adds a weight, kept in another file if one is named."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.ones(1, "f4"), "w")
    if weights:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, text in (("location", weights), ("offset", "0"), ("length", "4")):
            entry = weight.external_data.add()
            entry.key, entry.value = key, text
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", value[:1], value[1:], [weight]
    )
    return onnx.ModelProto.SerializeToString(
        helper.make_model(inner, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    )


def in_a_branch() -> bytes:
    """Return a model whose external weight is in a graph inside a node."""
    weight = onnx.TensorProto.FromString(
        onnx.ModelProto.FromString(model("deep.bin")).graph.initializer[0].SerializeToString()
    )
    branch = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["z"])],
        "b",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])],
        [weight],
    )
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    node = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    return onnx.ModelProto.SerializeToString(
        helper.make_model(
            helper.make_graph(
                [constant, node], "g", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])]
            )
        )
    )


@pytest.mark.parametrize(
    ("raw", "weights"),
    [
        (model(), set()),
        (model("w.bin"), {"w.bin"}),
        (model("./d/w.bin"), {"d/w.bin"}),
        (in_a_branch(), {"deep.bin"}),
    ],
)
def test_the_files_with_weights_are_found(tmp_path: Path, raw: bytes, weights: set[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(raw)
    assert weight_files(tmp_path / "m.onnx") == weights


@pytest.mark.parametrize("raw", [b"", b"x", b"\x80" * 100, b"not a model at all", model()[:-3], b"\x08\x08"])
def test_what_is_no_model_is_no_onnx(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(raw)
    with pytest.raises(NotOnnx):
        weight_files(tmp_path / "m.onnx")


def test_a_model_without_its_weights_is_refused_before_the_upload(
    answers: Answers, profile: Profile, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "m.onnx").write_bytes(model("w.bin"))
    with Client(profile, patience=QUICK) as client:
        for artifact in (folder, folder / "deep" / "m.onnx"):
            with pytest.raises(Invalid, match=r"m\.onnx keeps its weights in w\.bin"):
                client.publish("churn", artifact, draft=True)
    assert answers.of("POST", "/v1/uploads") == []
    (folder / "deep" / "w.bin").write_bytes(np.ones(1, "f4").tobytes())
    check_weights({p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()})
    check_weights({"m.onnx": folder / "deep" / "w.bin"})


@pytest.mark.parametrize(
    ("files", "code", "named"),
    [
        ({"m.onnx": b"no model"}, "not_onnx", "m.onnx"),
        ({"m.pkl": b"x"}, "not_onnx", "m.pkl"),
        ({"deep/m.onnx": model("w.bin")}, "onnx_incomplete", "deep/m.onnx"),
        ({"a.onnx": model(), "b.onnx": model()}, "which_file", "a.onnx"),
    ],
)
def test_a_session_on_what_cannot_be_run_names_the_file(
    answers: Answers, profile: Profile, files: dict[str, bytes], code: str, named: str
) -> None:
    answers.has("churn", "3", files, number=3)
    with Client(profile, patience=QUICK) as client, pytest.raises(Invalid) as refused:
        client.load("churn@3").session()
    assert refused.value.code == code
    assert named in refused.value.detail + refused.value.advice


def test_a_session_with_an_unknown_option_names_the_file_and_the_reason(
    answers: Answers, profile: Profile
) -> None:
    answers.has("churn", "3", {"m.onnx": model()}, number=3)
    with Client(profile, patience=QUICK) as client:
        loaded = client.load("churn@3")
        assert isinstance(loaded.session(), onnxruntime.InferenceSession)
        with pytest.raises(Invalid, match=r"cannot run m\.onnx"):
            loaded.session(providers=5)


def test_a_cache_that_another_user_made_is_named(answers: Answers, profile: Profile) -> None:
    answers.has("churn", "3", {"m.bin": b"x"}, number=3)
    profile.cache.parent.mkdir(parents=True, exist_ok=True)
    profile.cache.write_text("a file")
    with Client(profile, patience=QUICK) as client, pytest.raises(RegistaError) as refused:
        client.load("churn@3")
    assert str(profile.cache) in refused.value.detail
