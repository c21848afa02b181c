"""A daemon of its own, and jobs through its socket, for the scripts beside this file: nothing but the standard library,
and as little of that per job as will do, because the processors are the farm's."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

ROOT = Path(__file__).resolve().parents[1]

# Whoever ends a script ends its daemon.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def binary() -> Path:
    named = os.environ.get("PADDOCK_BIN")
    for path in [Path(named)] if named else [ROOT / ".build" / kind / "paddock" for kind in ("release", "debug")]:
        if path.exists():
            return path
    raise SystemExit("no paddock binary: make release, or name one with PADDOCK_BIN")


class Farm:
    """`paddock serve` with one pool, in a directory of its own."""

    def __init__(self, size: int, queue: int) -> None:
        # A short path: that of a socket has 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="pdk-"))
        self.directory.chmod(0o711)  # a sandbox's own user passes through it
        self.socket = str(self.directory / "farm.sock")
        (self.directory / "farm.yaml").write_text(
            f"version: 1\nsocket: farm.sock\nhome: home\nrun: run\nlog_level: warning\npools:\n  - {{name: default, size: {size}, queue: {queue}}}\n")
        self.log = self.directory / "log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(binary()), "serve", "--config", str(self.directory / "farm.yaml")], stdout=log, stderr=log,
                env={**os.environ, "PADDOCK_SHARE": os.environ.get("PADDOCK_SHARE", str(ROOT))})
        end = time.monotonic() + 60
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the daemon does not serve: {self.log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Drains it; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        return code

    def remove(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Line:
    """One connection that has any number of calls under way. Whoever calls `turn` hears the answers."""

    def __init__(self, farm: Farm) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(farm.socket)
        self._socket.setblocking(False)
        self._in = b""
        self._out = bytearray()
        self._next = 0
        self._waiting: Dict[int, Callable[[dict, float], None]] = {}

    @property
    def under_way(self) -> int:
        return len(self._waiting)

    def send(self, method: str, params: object, heard: Callable[[dict, float], None]) -> None:
        """`heard` gets the answer's whole message and the seconds since now."""
        self._next += 1
        sent = time.monotonic()
        self._waiting[self._next] = lambda message, at: heard(message, at - sent)
        call = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        self._out += json.dumps(call, separators=(",", ":")).encode() + b"\n"

    def turn(self, seconds: float) -> None:
        """Writes what there is to write and tells what has come, waiting for that no longer than so long."""
        readable, writable, _ = select.select([self._socket], [self._socket] if self._out else [], [], max(0, seconds))
        if writable:
            del self._out[:self._socket.send(self._out)]
        if not readable:
            return
        data = self._socket.recv(1 << 18)
        if not data:
            raise SystemExit("the daemon closed the connection")
        at = time.monotonic()
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self._waiting.pop(message["id"])(message, at)

    def ask(self, method: str, params: Optional[object] = None) -> dict:
        """One call and its result."""
        answers: List[dict] = []
        self.send(method, params or {}, lambda message, _: answers.append(message))
        while not answers:
            self.turn(60)
        if "result" not in answers[0]:
            raise SystemExit(f"{method}: {answers[0]['error']}")
        return answers[0]["result"]

    def finish(self) -> None:
        while self._waiting:
            self.turn(60)

    def close(self) -> None:
        self._socket.close()


def quantile(values: List[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))] if ordered else 0.0


def table(title: str, rows: List[tuple], failures: List[str]) -> None:
    print(title)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    for failure in failures:
        print(f"  SHORT: {failure}")
    print("  " + ("short of what is asked" if failures else "as asked"))
