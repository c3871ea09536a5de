"""The Valkey of the deployment files is started by their own command, and holds what counts requests."""

import os
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window
from leasehold.core.quotas.opening import open_valkey
from leasehold.core.quotas.shared import Asked
from tests.deploy.files import DEPLOY, loaded, resources
from tests.integration.cli.shell import free_port
from tests.valkey import VALKEY, listening, needs_valkey

_PASSWORD = "0123456789abcdef"


def _commands() -> Iterator[tuple[str, list[str]]]:
    service: dict[str, Any] = loaded(DEPLOY / "valkey/compose.yaml")["services"]["valkey"]
    yield "compose", [word.replace("$$", "$") for word in service["entrypoint"]]
    (deployment,) = [each for each in resources("valkey") if each["kind"] == "Deployment"]
    yield "kubernetes", deployment["spec"]["template"]["spec"]["containers"][0]["command"]


@contextmanager
def started(folder: Path, command: list[str]) -> Generator[str]:
    """Run it in a folder and at a port of this test alone, and yield its URL."""
    assert VALKEY is not None
    port = free_port()
    (folder / "valkey-server").symlink_to(VALKEY)
    *shell, script = command
    script = script.replace("/tmp/", f"{folder}/").replace(" --save", f" --port {port} --save")
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "VALKEY_PASSWORD": _PASSWORD}
    with subprocess.Popen([*shell, script], env=env, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            listening(port)
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            assert (b"valkey-server" in line, _PASSWORD.encode() in line) == (True, False)
            assert (folder / "valkey.conf").stat().st_mode & 0o077 == 0
            yield f"valkey://:{_PASSWORD}@127.0.0.1:{port}/0"
        finally:
            process.kill()


@needs_valkey
@pytest.mark.parametrize("command", [command for _, command in _commands()], ids=[name for name, _ in _commands()])
async def test_it_starts_with_its_password_and_forgets_what_is_whole_the_soonest(
    tmp_path: Path, command: list[str]
) -> None:
    with started(tmp_path, command) as url:
        store = open_valkey(url, installation="x", timeout_s=5)
        facts = await store.facts()
        asked = Asked(Limits(Policy("client", (Window(1, 60),))), ("key",))
        assert await store.take([asked]) == [(True, [60 * SECOND])]
        await store.close()
    assert (facts["maxmemory"], facts["maxmemory_policy"]) == ("67108864", "volatile-ttl")
    assert (facts["aof_enabled"], facts["rdb_saves"]) == ("0", "0")
