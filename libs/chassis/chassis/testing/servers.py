"""Real servers for tests: in Docker containers if possible, else from local binaries or the environment."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pymongo
from docker.errors import DockerException
from pymongo.errors import PyMongoError
from requests.exceptions import RequestException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

START_S = 90.0
_hangs: dict[int, tuple[Callable[[], None], Callable[[], None]]] = {}
"""By port: functions that suspend and resume the server."""


def free_port() -> int:
    """Return a free loopback port."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mongo() -> Iterator[str]:
    """Yield the URI of a MongoDB replica set that accepts writes."""
    with ExitStack() as stack:
        if _has_image("mongo:8"):
            host, port = stack.enter_context(_container("mongo:8", 27017, "--replSet rs0"))
        elif shutil.which("mongod"):
            host, port = "127.0.0.1", stack.enter_context(_local_mongod())
        else:
            yield _from_environment("MONGO_URI")
            return
        uri = f"mongodb://{host}:{port}/?directConnection=true"
        _initiate(uri)
        yield uri


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Yield the URI of a RabbitMQ broker that accepts connections."""
    with ExitStack() as stack:
        if _has_image("rabbitmq:4-management"):
            host, port = stack.enter_context(_container("rabbitmq:4-management", 5672))
        elif shutil.which("rabbitmq-server"):
            host, port = "127.0.0.1", stack.enter_context(_local_rabbitmq())
        else:
            yield _from_environment("RABBITMQ_URI")
            return
        _until(lambda: _greets(host, port), "RabbitMQ")
        yield f"amqp://guest:guest@{host}:{port}/"


@contextmanager
def hung(uri: str) -> Iterator[None]:
    """Suspend a server that was started here inside the block (SIGSTOP, or by pausing its container)."""
    hang, go_on = _hangs[urlsplit(uri).port or 0]
    hang()
    try:
        yield
    finally:
        go_on()


def _has_image(image: str) -> bool:
    """Whether a Docker engine answers and has or can pull the image."""
    try:
        with closing(docker.from_env(timeout=60)) as client:
            client.ping()
            if not client.images.list(name=image):
                client.images.pull(image)
            return True
    except (DockerException, RequestException):  # a busy engine's timeout is not a DockerException
        return False


@contextmanager
def _container(image: str, port: int, command: str = "") -> Iterator[tuple[str, int]]:
    # No reaper: it is one more image to pull, and these containers are stopped here.
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(image).with_exposed_ports(port)
    if command:
        container = container.with_command(command)
    with container as started:
        exposed, wrapped = int(started.get_exposed_port(port)), started.get_wrapped_container()
        _hangs[exposed] = wrapped.pause, wrapped.unpause
        yield started.get_container_host_ip(), exposed


def _from_environment(variable: str) -> str:
    if uri := os.environ.get(variable):
        return uri
    raise RuntimeError(f"No Docker engine, no local server and no {variable}: `make test` installs the servers.")


@contextmanager
def _local_mongod() -> Iterator[int]:
    port = free_port()
    with _data_folder() as folder:
        options = f"--bind_ip 127.0.0.1 --replSet rs0 --wiredTigerCacheSizeGB 0.5 --dbpath {folder} --port {port}"
        with _process(["mongod", *options.split()], folder / "mongod.log", {}, port):
            yield port


@contextmanager
def _local_rabbitmq() -> Iterator[int]:
    port, distribution = free_port(), free_port()
    with _data_folder() as folder:
        (folder / "enabled_plugins").write_text("[].\n")
        environment = {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": "usher@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            # The start script execs the server, so signals reach the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
            # A node that knows its own port needs no epmd, a daemon that would outlive the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-sname usher@localhost -start_epmd false -erl_epmd_port {distribution}"
                " -kernel inet_dist_use_interface {127,0,0,1} +S 1:1"
                f" -kernel inet_dist_listen_min {distribution} -kernel inet_dist_listen_max {distribution}"
            ),
        }
        with _process([_rabbitmq_server()], folder / "rabbitmq.log", environment, port):
            yield port


def _rabbitmq_server() -> str:
    """Return the server's own script, because Debian's wrapper on the PATH changes the user when root calls it."""
    debian = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(debian) if debian.exists() else "rabbitmq-server"


@contextmanager
def _data_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="usher-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _process(command: list[str], log: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """Run a server in a new process group and terminate the whole group at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of the test run holds a lock at this point
        )
    _hangs[port] = partial(_suspend, process.pid), partial(os.kill, process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _end_with_parent() -> None:
    """Make the kernel kill the server when the test run dies (Linux only: PR_SET_PDEATHSIG of prctl)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _initiate(uri: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500) as client:
        _until(lambda: _answers(client), "MongoDB")
        if "setName" not in client.admin.command("hello"):
            member = {"_id": 0, "host": "127.0.0.1:27017"}
            host = client.admin.command("getCmdLineOpts")["parsed"]["net"].get("port", 27017)
            member["host"] = f"127.0.0.1:{host}"
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        _until(lambda: client.admin.command("hello")["isWritablePrimary"], "MongoDB's replica set")


def _answers(client: pymongo.MongoClient[dict[str, Any]]) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def _greets(host: str, port: int) -> bool:
    """Whether an AMQP broker answers a wrong protocol header with its own, as the protocol requires."""
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.sendall(b"AMQP\x00\x00\x00\x00")
            connection.settimeout(1)
            return connection.recv(4) == b"AMQP"
    except OSError:
        return False


def _suspend(pid: int) -> None:
    """Send SIGSTOP and wait until it has reached every thread: on a busy machine some still answer for a moment."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    _until(lambda: all(" T " in each.read_text() for each in tasks.glob("*/stat")), "suspending the server")


def _until(ready: Any, what: str) -> None:
    deadline = time.monotonic() + START_S
    pause = time.sleep
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start in {START_S:.0f} s")
        pause(0.1)
