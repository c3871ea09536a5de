"""`leasehold up`: from nothing to two tenants that answer, and back to nothing but the data."""

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.integration.cli.shell import (
    TIMEOUT_S,
    Running,
    free_port,
    leasehold,
    members_of,
    refusal_of,
    running,
)
from tests.processes import has_ended, server_pid

CREDENTIALS = re.compile(r"client_id=\S+|client_secret=\S+|admin token:\s+\S+")

OF_ACME = ["Standing desk", "Renew the fire insurance", "Warm white lamps", "Fax machine"]


def serving(started: Running, data_dir: Path) -> int:
    """Wait until the welcome is printed to its end, and return the process id of PostgreSQL."""
    started.wait_for(lambda: "/platform/v1/tenants -H" in started.printed)
    return server_pid(data_dir)


def commands_of(printed: str) -> str:
    """Return the lines that the reader is told to try, as they stand."""
    return printed.partition("Try it:\n")[2].partition("\n\n")[0]


def nothing_is_left(started: Running, postgres: int) -> bool:
    return members_of(started.process.pid) == [] and has_ended(postgres)


def see_that_globex_is_apart(started: Running, port: int) -> None:
    """Use the printed client of the other tenant, on that tenant's own host and on the wrong one."""
    found = re.search(r"^globex:\s+client_id=(\S+)\s+client_secret=(\S+)$", started.printed, re.MULTILINE)
    assert found is not None
    form = {"grant_type": "client_credentials", "client_id": found[1], "client_secret": found[2]}
    base, host = f"http://127.0.0.1:{port}", {"Host": f"globex.localhost:{port}"}
    token = httpx.post(f"{base}/oauth/token", data=form, headers=host, timeout=TIMEOUT_S).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    listed = httpx.get(f"{base}/v1/items", headers={**headers, **host}, timeout=TIMEOUT_S).json()
    assert [row["title"] for row in listed["items"]] == ["Tower crane", "Electric forklift"]
    wrong = httpx.get(f"{base}/v1/items", headers={**headers, "Host": f"acme.localhost:{port}"}, timeout=TIMEOUT_S)
    assert (wrong.status_code, wrong.json()["type"]) == (403, "/docs/problems/tenant-mismatch")


def test_up_serves_two_tenants_prints_lines_that_work_and_leaves_no_process(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    arguments = ("up", "--port", str(port), "--data-dir", data_dir)
    base = f"http://127.0.0.1:{port}"

    with running(*arguments, env={}, folder=tmp_path) as started:
        postgres = serving(started, data_dir)
        assert f"Leasehold serves on {base}\n" in started.printed
        assert f"API docs: {base}/docs\n" in started.printed
        script = commands_of(started.printed)
        tried = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script + '\necho\necho "$TOKEN"'],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        decoder = json.JSONDecoder()
        items, end = decoder.raw_decode(tried.stdout)
        tenants, end = decoder.raw_decode(tried.stdout, end)
        token = tried.stdout[end:].strip()
        assert [row["title"] for row in items["items"]] == [
            "Standing desk",
            "Renew the fire insurance",
            "Warm white lamps",
            "Fax machine",
        ]
        assert [(row["slug"], row["state"]) for row in tenants["items"]] == [("acme", "active"), ("globex", "active")]
        assert httpx.get(f"{base}/docs", timeout=TIMEOUT_S).status_code == 200
        made = httpx.post(
            f"{base}/v1/items", headers={"Authorization": f"Bearer {token}"}, json={"title": "Shelf"}, timeout=TIMEOUT_S
        )
        assert made.status_code == 201
        first_credentials = set(CREDENTIALS.findall(started.printed))
        assert started.end(signal.SIGTERM) == 0
        assert nothing_is_left(started, postgres)
        assert "Traceback" not in started.printed + started.complained

    with running(*arguments, env={}, folder=tmp_path) as started:
        postgres = serving(started, data_dir)
        assert set(CREDENTIALS.findall(started.printed)) == first_credentials
        assert len(first_credentials) == 5
        again = ["bash", "-euo", "pipefail", "-c", commands_of(started.printed)]
        listed = subprocess.run(again, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        items, _ = decoder.raw_decode(listed.stdout)
        assert [row["title"] for row in items["items"]] == [
            "Standing desk",
            "Renew the fire insurance",
            "Warm white lamps",
            "Fax machine",
            "Shelf",
        ]
        see_that_globex_is_apart(started, port)
        assert started.end(signal.SIGINT, whole_group=True, times=3) == 0
        assert nothing_is_left(started, postgres)
        assert "Traceback" not in started.printed + started.complained


def test_without_the_demo_there_is_no_tenant_and_the_printed_command_makes_one(tmp_path: Path) -> None:
    data_dir, port = tmp_path / "data", free_port()
    with running("up", "--no-demo", "--port", str(port), "--data-dir", data_dir, env={}, folder=tmp_path) as started:
        started.wait_for(lambda: "tenants create acme" in started.printed)
        postgres = server_pid(data_dir)
        assert "client_secret" not in started.printed
        printed = re.search(r"leasehold .*tenants create acme.*$", started.printed, re.MULTILINE)
        assert printed is not None
        made = leasehold("tenants", "create", "acme", "--json", env={"LEASEHOLD_DATA_DIR": str(data_dir)})
        assert json.loads(made.stdout)["state"] == "active"
        # Who types the printed line must reach this installation, and not another one.
        assert str(data_dir) in started.printed
        assert started.end(signal.SIGTERM) == 0
        assert nothing_is_left(started, postgres)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_server_listens_leaves_no_process_either(tmp_path: Path, by: signal.Signals) -> None:
    data_dir = tmp_path / "data"
    port = str(free_port())
    with running("up", "--port", port, "--data-dir", data_dir, env={}, folder=tmp_path) as started:
        process_file = data_dir / "postgres-18" / "postmaster.pid"
        # It is there for a moment before anything stands in it.
        started.wait_for(lambda: process_file.exists() and process_file.read_text().count("\n") > 0)
        postgres = server_pid(data_dir)
        assert started.end(by) == 0
        assert nothing_is_left(started, postgres)
        assert "Traceback" not in started.printed + started.complained


def test_a_port_that_another_program_uses_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = leasehold("up", "--port", str(port), "--data-dir", tmp_path / "data")
    assert refusal_of(refused) == f"Cannot listen on 127.0.0.1:{port}: another program does."
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    for folder in (file / "data", file):
        refused = leasehold("up", "--port", str(free_port()), "--data-dir", folder)
        assert refusal_of(refused).startswith(f"The data folder {folder} cannot be used: ")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://root:hidden@127.0.0.1/x", "The database URL is not valid"),
        ("postgresql://root:hidden@127.0.0.1:port/x", "The database URL is not valid"),
        ("postgresql://root:hidden@127.0.0.1:1/x", "The database cannot be reached"),
    ],
)
def test_a_database_url_that_leads_nowhere_is_one_sentence_without_the_password(
    tmp_path: Path, url: str, sentence: str
) -> None:
    env = {"LEASEHOLD_DATABASE_URL": url}
    refused = leasehold("up", "--port", str(free_port()), "--data-dir", tmp_path / "data", env=env)
    assert refusal_of(refused).startswith(sentence)
    assert "hidden" not in refused.stderr
    assert not (tmp_path / "data" / "postgres-18").exists()


def test_a_wrong_password_is_one_sentence_without_it(tmp_path: Path, own_server: str) -> None:
    address = own_server.rpartition("@")[2]
    env = {"LEASEHOLD_DATABASE_URL": f"postgresql://postgres:hidden@{address}"}
    refused = leasehold("up", "--port", str(free_port()), "--data-dir", tmp_path / "data", env=env)
    assert refusal_of(refused).startswith("The database refuses the login: password authentication failed")
    assert "hidden" not in refused.stderr
