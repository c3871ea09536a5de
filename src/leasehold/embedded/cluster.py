"""The cluster: the folder that initdb makes, once."""

import os
import shutil
import tempfile

from leasehold.embedded.account import Account, run_in
from leasehold.embedded.binaries import Binaries
from leasehold.embedded.errors import ClusterNotCreated
from leasehold.embedded.home import Home
from leasehold.embedded.locks import FileLock
from leasehold.embedded.messages import last_meaningful_line

OPTIONS = ("--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums")

# The same order and the same letters on every machine. Before 17 that is the plain C locale alone, where
# upper and lower know no letters but the English ones.
_BUILTIN = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
LOCALE_OPTIONS = {16: (), 17: _BUILTIN, 18: _BUILTIN}


def create_cluster(
    home: Home, binaries: Binaries, *, account: Account | None, running: FileLock, is_durable: bool
) -> None:
    """Make the cluster and its password, or leave nothing that a later start would take for a cluster.

    The password is on disk before the cluster has its name, so there is never a cluster without one. initdb
    keeps `running`: should this process be killed, the next start waits until initdb has ended too.
    """
    shutil.rmtree(home.unfinished_cluster, ignore_errors=True)
    password = home.write_new_password()
    home.unfinished_cluster.mkdir(mode=0o700)
    if account is not None:
        os.chown(home.unfinished_cluster, account.uid, account.gid)
    _initdb(home, binaries, password=password, account=account, running=running, is_durable=is_durable)
    home.unfinished_cluster.rename(home.cluster)


def _initdb(
    home: Home,
    binaries: Binaries,
    *,
    password: str,
    account: Account | None,
    running: FileLock,
    is_durable: bool,
) -> None:
    with tempfile.TemporaryFile(dir=home.folder) as given, tempfile.TemporaryFile(dir=home.folder) as output:
        given.write(password.encode())
        given.seek(0)
        if account is not None:
            # initdb opens its standard input by name, which asks for rights on the file.
            os.fchown(given.fileno(), account.uid, account.gid)
        command = [binaries.program("initdb"), *OPTIONS, *LOCALE_OPTIONS[home.major], "--pwfile=/dev/stdin"]
        if not is_durable:
            command.append("--no-sync")
        code = run_in(
            home.unfinished_cluster,
            command,
            account=account,
            output=output,
            stdin=given,
            keep=[running.descriptor],
        )
        if code != 0:
            output.seek(0)
            reason = last_meaningful_line(output.read().decode(errors="replace"))
            shutil.rmtree(home.unfinished_cluster, ignore_errors=True)
            raise ClusterNotCreated(cluster=home.cluster, reason=reason)
