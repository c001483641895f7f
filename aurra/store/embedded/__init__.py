"""A real PostgreSQL inside a directory, shared by every process of this machine that opens it.

    with EmbeddedPostgres.open(home) as postgres:
        connection = await asyncpg.connect(postgres.dsn)

After `open` a server answers on a unix socket; after the last `close` it is gone. All state is under `home/postgres`:

    data/      the cluster; it appears by one rename, so it is never half made
    password   of the superuser, mode 0600
    log        what the server says, without statements or rows; `log.1` is the older part
    turn       flock: whoever starts or stops the server holds it
    users      flock, shared: one for each open handle
    alive      flock: held by the server and each of its children, by nobody else

The kernel frees a flock when the last process that holds it is gone, so SIGKILL leaves nothing to repair: a killed
owner is no longer counted, and a free `alive` proves that no process of the server is left in the data directory.
A server whose owners were all killed goes on; the next `open` adopts it, and the next last `close` stops it.

PostgreSQL refuses to run as root. Started by root, it runs as the owner of the data directory, which for a new one is
`nobody`; only the data directory and the socket's directory belong to that user. A home that this user cannot reach
(/root, `mktemp -d`) stays where it is and keeps its mode: the server is started inside the data directory and calls it
/proc/self/cwd. Where /proc does not exist, `open` says which directory is closed. Binaries that this user cannot reach
are copied to /var/cache/aurra.
"""

from aurra.store.embedded.binaries import find_binaries
from aurra.store.embedded.handle import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "find_binaries"]
