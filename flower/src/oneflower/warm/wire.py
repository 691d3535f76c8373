"""What the zygote and those who ask it say to one another over a unix socket: JSON texts with their length before.

Both sides are processes of one user on one machine; either looks at the credentials of the other before it speaks.
"""

import array
import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Both sides say it: a folder of software that was replaced under a running zygote is no partner.
PROTOCOL = 1
# The environment and the arguments of a process: the kernel takes no more than 2 MB of them by default.
MAX_BYTES = 8_000_000
# Length of sun_path in bytes, less the closing zero.
MAX_SOCKET_PATH = 107
FOLDER_VARIABLE = "ONEFLOWER_WARM_FOLDER"
SWITCH_VARIABLE = "ONEFLOWER_WARM"
PROGRAM_VARIABLE = "ONEFLOWER_WARM_PROGRAM"
SOCKET_NAME = "zygote"
WAKE_NAME = "wake"

Message = dict[str, Any]


class WireError(Exception):
    """The other side said what it must not, or has gone."""


def switched_off() -> bool:
    """Whether warm workers are not wanted (environment variable ONEFLOWER_WARM=0)."""
    return os.environ.get(SWITCH_VARIABLE) == "0"


def warm_folder() -> Path | None:
    """The folder of this process tree's sockets, or None where there is none that is ours alone."""
    value = os.environ.get(FOLDER_VARIABLE, "")
    if not value:
        return None
    try:
        status = os.lstat(value)
    except OSError:
        return None
    ours = status.st_uid == os.geteuid() and status.st_mode & 0o170777 == 0o040700
    return Path(value) if ours else None


def identity() -> Message:
    """What both sides have to have in common."""
    return {
        "protocol": PROTOCOL,
        "package": str(Path(__file__).resolve().parent),
        "python": os.path.realpath("/proc/self/exe"),
    }


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of the path that fits into a socket address: folders of Flower may lie deep."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message whole; open descriptors may go with it.

    :raises OSError: the other side has gone.
    """
    text = json.dumps(message).encode("ascii")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    head = struct.pack("!I", len(text))
    connection.sendmsg([head], ancillary)
    connection.sendall(text)


def receive(connection: socket.socket, descriptors: int = 0) -> tuple[Message | None, list[int]]:
    """The next message with the descriptors that came along; None when the other side has closed.

    :raises WireError: it is no message.
    :raises OSError: the time limit of the socket has passed, or the connection broke.
    """
    received: list[int] = []
    try:
        room = socket.CMSG_SPACE(descriptors * array.array("i").itemsize) if descriptors else 0
        head, ancillary, _, _ = connection.recvmsg(4, room)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                received += numbers
        if not head:
            return None, []
        message = _text(connection, head)
        _expect(len(received), descriptors)
    except BaseException:
        for descriptor in received:
            os.close(descriptor)
        raise
    return message, received


def _expect(received: int, descriptors: int) -> None:
    if received != descriptors:
        raise WireError(f"{received} open files came along, {descriptors} are wanted")


def _text(connection: socket.socket, head: bytes) -> Message:
    size: int = struct.unpack("!I", head + _exactly(connection, 4 - len(head)))[0]
    if size > MAX_BYTES:
        raise WireError(f"a message of {size} bytes")
    try:
        message = json.loads(_exactly(connection, size))
    except ValueError as error:
        raise WireError("no JSON came") from error
    if not isinstance(message, dict):
        raise WireError("no JSON object came")
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        part = connection.recv(min(size, 1 << 16))
        if not part:
            raise WireError("the connection ended in the middle of a message")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
