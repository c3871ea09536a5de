"""The operating system account that runs PostgreSQL, which refuses to be root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from leasehold.embedded.errors import RootNotSupported

# A process's own working folder, reached without passing through the folders above it.
WORKING_FOLDER = Path("/proc/self/cwd")


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


def account_for(cluster: Path) -> Account | None:
    """The account that root hands the server to; None when this process is not root and runs it itself.

    An existing cluster stays with its owner, so that one start with sudo does not lock the owner out.
    """
    if os.geteuid() != 0:
        return None
    if not WORKING_FOLDER.exists():
        raise RootNotSupported(reason="there is no /proc")
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return Account(uid=status.st_uid, gid=status.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise RootNotSupported(reason="there is neither a user postgres nor a user nobody")


def run_in(
    cluster: Path,
    command: Sequence[str | Path],
    *,
    account: Account | None,
    output: IO[bytes],
    stdin: IO[bytes] | None = None,
    keep: Sequence[int] = (),
) -> int:
    """Run a PostgreSQL program on a cluster, as the account that owns it, and return its exit code.

    The program starts inside the cluster's folder and, when root hands it over, knows it by no other name:
    the checkout may lie in a closed folder, whose mode is not ours to change. It has a session of its own,
    since a Ctrl-C on the terminal is for us, who stop the server once nobody uses it. `keep` are descriptors
    that it inherits.
    """
    try:
        return subprocess.run(
            [*command, "-D", cluster if account is None else WORKING_FOLDER],
            cwd=cluster,
            # No PG* variable of the caller gets through, and the messages are in English, since we read them.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=output,
            stderr=output,
            pass_fds=keep,
            start_new_session=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            check=False,
        ).returncode
    except OSError as error:
        if account is None:
            raise
        raise RootNotSupported(reason=error.strerror) from error
