"""A process that uses an embedded server and can be killed: `_embedded_worker.py COMMAND HOME [OPTION…]`.

hold    opens, prints what it got as one line of JSON, and closes when its standard input ends
write   does so too, and then writes rows for ever; prints each id once its row is acknowledged
fork    opens, lets a forked child close the handle, and then goes on as `hold`

--as-nobody     everything is done as `nobody`, who may not reach our Python, so it is loaded first
--like-docker   with the capabilities that a container's root has, which may not look into other users' processes
"""

import asyncio
import ctypes
import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any, cast

import asyncpg

from aurra.errors import CannotStart
from aurra.store.embedded import EmbeddedPostgres

PR_CAPBSET_DROP = 24
LAST_CAPABILITY = 40
# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod, …
DOCKER_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}


def main(command: str, home: Path, *options: str) -> None:
    if "--like-docker" in options:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in set(range(LAST_CAPABILITY + 1)) - DOCKER_CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.execv(sys.executable, [sys.executable, __file__, command, str(home)])
    if "--as-nobody" in options:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    try:
        postgres = EmbeddedPostgres.open(home)
    except CannotStart as error:
        say({"cannot_start": str(error)})
        return
    if command == "fork":
        close_in_a_child(postgres)
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    say({"dsn": postgres.dsn, "fresh": postgres.fresh, "postmaster": pid, "uid": os.geteuid()})
    if command == "write":
        asyncio.run(write(postgres.dsn))
    sys.stdin.read()
    postgres.close()
    say({"closed": True})


def close_in_a_child(postgres: EmbeddedPostgres) -> None:
    child = os.fork()
    if child == 0:
        postgres.close()
        os._exit(0)
    os.waitpid(child, 0)


async def write(dsn: str) -> None:
    connection = await cast("Any", asyncpg).connect(dsn)  # asyncpg has no types
    await connection.execute("CREATE TABLE IF NOT EXISTS written (id bigint PRIMARY KEY)")
    number: int = await connection.fetchval("SELECT coalesce(max(id), 0) FROM written")
    try:
        while True:
            number += 1
            await connection.execute("INSERT INTO written VALUES ($1)", number)
            say(number)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
