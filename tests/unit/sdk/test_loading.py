"""What can be done with a loaded version, and how the client behaves in threads, forks and loops."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from starlette.responses import JSONResponse

import regista
from regista import aio
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import NotConfigured, RegistaError
from regista.files import files_of

from .conftest import API_KEY, QUICK, Answers


def _doubler() -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubler", ports[:1], ports[1:])
    return bytes(
        helper.make_model(
            graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]
        ).SerializeToString()
    )


def test_an_onnx_model_runs_from_where_it_was_verified(profile: Profile, answers: Answers) -> None:
    answers.has("doubler", "@production", {"model.onnx": _doubler(), "README": b"doubles"})
    with Client(profile, patience=QUICK) as client:
        session = client.load("doubler@production").session()
    assert session.run(None, {"x": np.ones((1, 2), dtype="float32")})[0].tolist() == [[2.0, 2.0]]
    assert onnx.__version__


def test_a_pickle_is_downloaded_and_never_opened(profile: Profile, answers: Answers, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "pwned"),)

    answers.has("evil", "1", {"model.pkl": pickle.dumps(Evil())})
    with Client(profile, patience=QUICK) as client:
        loaded = client.load("evil@1")
        with pytest.raises(RegistaError):
            loaded.session("nothing.onnx")
    assert loaded.file().stat().st_size > 0
    assert not (tmp_path / "pwned").exists()


def test_many_threads_share_one_client_and_one_cache(profile: Profile, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights" * 1000})
    with Client(profile, patience=QUICK) as client, ThreadPoolExecutor(8) as threads:
        paths = set(threads.map(lambda _: client.load("churn@3").file().read_bytes(), range(16)))
    assert paths == {b"weights" * 1000}
    assert [p for p in profile.cache.iterdir() if p.name.startswith("partial-")] == []


async def test_the_synchronous_client_works_inside_a_running_loop_as_in_a_notebook(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    with Client(profile, patience=QUICK) as client:
        assert client.load("churn@3").number == 3


def _python(code: str, profile: Profile, url: str) -> str:
    """What another interpreter prints, which must say nothing on stderr."""
    environment = {
        "REGISTA_URL": url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CACHE_DIR": profile.cache_dir,
        "REGISTA_CONFIG": "/nowhere",
    }
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | path,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return result.stdout


def _counts(answers: Answers) -> list[int]:
    return [json.loads(seen.body)["count"] for seen in answers.of("POST", "/v1/usage")]


def test_a_forked_child_uses_the_parents_client_and_reports_its_own_use_only(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    code = (
        "import os, sys, regista\n"
        "loaded = regista.load('churn@3')\n"
        "loaded.used(99)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    loaded.used(10)\n"
        "    sys.exit(0 if regista.load('churn@3').number == 3 else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    _python(code, profile, answers.url)
    assert _counts(answers) == [11, 100]


def test_the_three_lines_take_their_settings_from_the_environment_and_report_use_at_exit(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    assert (
        _python(
            "import regista; print(regista.load('churn@production').file().read_text())", profile, answers.url
        )
        == "weights\n"
    )
    assert _counts(answers) == [1]


def test_a_client_that_is_not_closed_reports_its_uses_at_exit_and_one_that_is_does_not_again(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    code = (
        "import regista\nfirst, second, unused = regista.Client(), regista.Client(), regista.Client()\n"
        "first.load('churn@3').used(2); second.load('churn@3').used(6); second.close()\n"
    )
    _python(code, profile, answers.url)
    assert sorted(_counts(answers)) == [3, 7]


def test_use_is_reported_at_exit_to_a_registry_with_a_host_name_whose_connection_is_gone(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    url = answers.url.replace("127.0.0.1", "localhost")
    answers.fixed["GET", "/.well-known/regista"] = JSONResponse({"artifact": url, "cleanup": url})
    code = (
        "import regista\nfrom regista.client.sync_client import LOOP, default\n"
        "regista.load('churn@3').used(4)\nLOOP.run(default().asynchronous._transport.close())\n"
    )
    _python(code, profile, url)
    assert _counts(answers) == [5]


def test_a_default_client_closed_before_the_end_leaves_nothing_to_say(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    code = (
        "import regista\nfrom regista.client.sync_client import _close\n"
        "for _ in range(2): regista.load('churn@3'); _close(); _close()\n"
    )
    _python(code, profile, answers.url)
    assert _counts(answers) == [1, 1]


def test_the_default_client_is_one_for_all_threads(profile: Profile, answers: Answers) -> None:
    code = (
        "import threading\nfrom regista.client.sync_client import default\n"
        "gate, found = threading.Barrier(16), []\n"
        "def get(): gate.wait(); found.append(default())\n"
        "threads = [threading.Thread(target=get) for _ in range(16)]\n"
        "for one in threads: one.start()\n"
        "for one in threads: one.join()\n"
        "print(len(set(found)))\n"
    )
    assert _python(code, profile, answers.url) == "1\n"


async def test_the_asynchronous_three_lines(
    profile: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.has("churn", "@production", {"model.onnx": b"weights"})
    for name, value in {
        "URL": answers.url,
        "API_KEY": API_KEY,
        "CACHE_DIR": profile.cache_dir,
        "CONFIG": "/nowhere",
    }.items():
        monkeypatch.setenv(f"REGISTA_{name}", value)
    first, second = await asyncio.gather(aio.load("churn@production"), aio.load("churn@production"))
    assert first.path == second.path
    await aio.close()


def test_links_are_no_part_of_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "secret").symlink_to("/etc/passwd")
    with pytest.raises(RegistaError, match="not links or devices"):
        files_of(tmp_path / "m")


def test_a_linked_folder_is_refused_and_not_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    (tmp_path / "m" / "weights").symlink_to(tmp_path / "weights")
    with pytest.raises(RegistaError, match=r"not links or devices.*weights"):
        files_of(tmp_path / "m")


def test_a_linked_folder_put_into_the_cache_is_noticed(profile: Profile, answers: Answers) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    with Client(profile, patience=QUICK) as client:
        (client.load("churn@3").path / "more").symlink_to("/etc")
        assert not (client.load("churn@3").path / "more").exists()


def test_what_a_killed_download_left_is_swept_out_and_one_under_way_is_not(
    profile: Profile, answers: Answers
) -> None:
    answers.has("churn", "3", {"model.onnx": b"weights"})
    old, going_on = profile.cache / "partial-old", profile.cache / "partial-new"
    for folder in (old, going_on):
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"half")
        os.utime(folder, (0, 0))
    os.utime(old / "model.onnx", (0, 0))
    with Client(profile, patience=QUICK) as client:
        client.load("churn@3")
    assert [folder.name for folder in profile.cache.glob("partial-*")] == ["partial-new"]


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    assert regista.Refused.exit_code == 3
    with pytest.raises(AttributeError, match="nothing"):
        _ = regista.nothing  # type: ignore[attr-defined]


def test_without_onnxruntime_the_extra_is_named(
    profile: Profile, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.has("doubler", "1", {"model.onnx": b"x"})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with Client(profile, patience=QUICK) as client, pytest.raises(NotConfigured, match=r"regista\[onnx\]"):
        client.load("doubler@1").session()


@pytest.mark.slow
def test_no_module_of_the_client_needs_the_servers_libraries() -> None:
    code = (
        "import importlib, pkgutil, sys, regista\n"
        "for m in pkgutil.walk_packages(regista.__path__, 'regista.'):\n"
        "    # these read frames, which come with NumPy, and run inside MLflow\n"
        "    if not m.name.startswith(('regista.publishing.data.', 'regista.mlflow_plugin')):\n"
        "        importlib.import_module(m.name)\n"
        "print(sorted({'pydantic', 'starlette', 'sqlalchemy', 'asyncpg', 'aiokafka', 'minio', 'numpy', "
        "'onnxruntime', 'shared', 'services'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == "[]\n"
