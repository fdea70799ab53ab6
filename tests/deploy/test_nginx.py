"""The proxy's configuration: as nginx reads it, and with a real nginx between a client and real servers."""

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, wrap_client_stream

from actors.connection import ConnectionLimits
from protocols.dialects import TYPED_JSON
from tests.actors.listening import listening
from tests.deploy.files import compose, directive, manifests, read, seconds, tool

SESSION = "5e1a0000000000000000000a"
SECRET = "a-token-that-no-log-may-hold"
HANDSHAKE = f"/ws?sessionId={SESSION}&token={SECRET}"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx:
    """nginx with EVAA's configuration in a folder of its own, listening on a socket in it."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.socket = folder / "socket"
        self.logs = folder / "logs"
        config = folder / "nginx.conf"
        self._command = [tool("nginx"), "-p", str(folder), "-c", str(config)]
        for name in (self.logs, folder / "conf.d"):
            name.mkdir()
        own = "".join(f"    {name}_temp_path {folder}/temporary;\n" for name in TEMPORARY)
        main = read("nginx/nginx.conf").replace("/etc/nginx/conf.d", str(folder / "conf.d"))
        config.write_text(f"pid {folder}/pid;\n" + main.replace("http {\n", f"http {{\n{own}"))
        site = read("nginx/evaa.conf").replace("/var/log/nginx", str(self.logs))
        (folder / "conf.d" / "evaa.conf").write_text(site.replace("listen 80;", f"listen unix:{self.socket};"))
        (folder / "conf.d" / "upstream.conf").write_text(upstream)

    def test(self) -> subprocess.CompletedProcess[str]:
        """What nginx says of the configuration."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve as long as the block lasts; all its logs are written then."""
        with trio.socket.socket(trio.socket.AF_UNIX) as listener:
            await listener.bind(str(self.socket))
            listener.listen()
            # The way in which an nginx hands its sockets to its successor: clients can connect before it is there.
            process = await trio.lowlevel.open_process(
                [*self._command, "-g", "daemon off;"],
                env={**os.environ, "NGINX": f"{listener.fileno()};"},
                pass_fds=[listener.fileno()],
            )
        try:
            yield
        finally:
            process.terminate()
            with trio.CancelScope(shield=True), trio.fail_after(10):
                await process.wait()

    @asynccontextmanager
    async def connect(self, path: str = HANDSHAKE) -> AsyncIterator[WebSocketConnection]:
        async with await trio.open_unix_socket(self.socket) as stream, trio.open_nursery() as nursery:
            with trio.fail_after(10):
                websocket = await wrap_client_stream(nursery, stream, "evaa", path, subprotocols=[TYPED_JSON])
            yield websocket
            nursery.cancel_scope.cancel()

    async def refused(self, path: str = HANDSHAKE) -> int:
        """Try to connect; the status of the refusal."""
        try:
            async with self.connect(path):
                raise AssertionError("it was let in")
        except* ConnectionRejected as group:
            (rejected,) = group.exceptions
            assert isinstance(rejected, ConnectionRejected)
            status = rejected.status_code
        return status

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text()


def upstream(*urls: str) -> str:
    """Like upstream.conf, with these servers."""
    first, *_, last = read("nginx/upstream.conf").splitlines()[1:]
    servers = [f"server {url.removeprefix('ws://').removesuffix('/ws')} max_fails=1 fail_timeout=5s;" for url in urls]
    return "\n".join([first, "zone evaa 64k;", *servers, last])


@pytest.mark.parametrize("path", ["nginx/upstream.conf", "compose/upstream.conf"])
def test_nginx_understands_it(path: str, tmp_path: Path) -> None:
    servers = read(path).replace("evaa-a:", "127.0.0.1:").replace("evaa-b:", "127.0.0.2:")  # names of the composition
    done = Nginx(tmp_path, servers).test()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


async def test_a_handshake_finds_the_process_that_takes_it(tmp_path: Path) -> None:
    with trio.socket.socket() as nobody:
        await nobody.bind(("127.0.0.1", 0))
        async with listening() as (_, live), listening() as (draining, other):
            await draining.drain()
            nginx = Nginx(tmp_path, upstream(f"127.0.0.1:{nobody.getsockname()[1]}", other, live))
            async with nginx.serving():
                for _ in range(3):
                    async with nginx.connect() as websocket:
                        with trio.fail_after(10):
                            assert '"ready"' in str(await websocket.get_message())
    lines = nginx.log("access").splitlines()
    assert all(re.search(r" GET /ws 101 ", line) for line in lines), lines
    assert re.search(r" 502, | 503, ", lines[0]), "it did not try another process"


async def test_no_log_holds_the_query(tmp_path: Path) -> None:
    with trio.socket.socket() as nobody:
        await nobody.bind(("127.0.0.1", 0))
        async with listening() as (_, live):
            nginx = Nginx(tmp_path, upstream(live))
            async with nginx.serving():
                async with nginx.connect():
                    pass
                assert await nginx.refused(f"/other?token={SECRET}") == 404
            (tmp_path / "dead").mkdir()
            dead = Nginx(tmp_path / "dead", upstream(f"127.0.0.1:{nobody.getsockname()[1]}"))
            async with dead.serving():
                assert await dead.refused() == 502
    written = [one.log(name) for one in (nginx, dead) for name in ("access", "error")]
    assert sum(text.count("/ws") for text in written) >= 2, "there is nothing in the logs"
    assert not any(SECRET in text for text in written)


# --- times and names --------------------------------------------------------------------------------------------


def found_dead_s() -> float:
    """After so long a silence the server itself takes a client for dead: nothing healthy is as silent."""
    limits = ConnectionLimits()
    return limits.ping_interval_s + limits.ping_timeout_s


@pytest.mark.parametrize("name", ["proxy_read_timeout", "proxy_send_timeout"])
def test_the_proxy_is_more_patient_than_the_pings(name: str) -> None:
    assert seconds(directive(name, read("nginx/evaa.conf"))) >= 2 * found_dead_s()
    annotations = manifests()["Ingress/evaa"]["metadata"]["annotations"]
    for controller in ("nginx.ingress.kubernetes.io", "nginx.org"):
        assert seconds(annotations[f"{controller}/{name.replace('_', '-')}"]) >= 2 * found_dead_s()


def test_compose_mounts_what_nginx_reads_and_names_its_own_processes() -> None:
    services = compose()["services"]
    mounts = [volume.split(":")[0] for volume in services["nginx"]["volumes"]]
    assert sorted(mounts) == ["../nginx/evaa.conf", "../nginx/nginx.conf", "./upstream.conf"]
    servers = re.findall(r"server (\S+):(\d+)", read("compose/upstream.conf"))
    assert sorted(servers) == [
        (name, service["environment"]["EVAA_PORT"])
        for name, service in sorted(services.items())
        if service["image"] == "evaa"
    ]
