"""Binds sockets and runs a command with them, as systemd does:

    activate.py NAME=ADDRESS... -- COMMAND...

An address is IP:PORT, a path, or fd:N for a socket that is there already; a
name may come more than once.
"""

import os
import socket
import sys

cut = sys.argv.index("--")
names, sockets = [], []
for word in sys.argv[1:cut]:
    name, _, where = word.partition("=")
    if where.startswith("fd:"):
        names.append(name)
        sockets.append(os.dup(int(where[3:])))
        continue
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(where)
    else:
        ip, _, port = where.rpartition(":")
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((ip, int(port)))
    s.listen(100)
    names.append(name)
    sockets.append(os.dup(s.detach()))
kept = [os.dup2(fd, 100 + i, inheritable=True) for i, fd in enumerate(sockets)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i, inheritable=True)
os.closerange(3 + len(kept), 200)
os.environ.update(
    LISTEN_PID=str(os.getpid()),
    LISTEN_FDS=str(len(kept)),
    LISTEN_FDNAMES=":".join(names),
)
os.execvp(sys.argv[cut + 1], sys.argv[cut + 1 :])
