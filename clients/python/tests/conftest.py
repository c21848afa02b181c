"""A real daemon for the tests: started on a socket of its own, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import pytest

import paddock

ROOT = Path(__file__).resolve().parents[3]


def find_binary() -> Optional[Path]:
    named = os.environ.get("PADDOCK_BIN")
    if named:
        return Path(named)
    for kind in ("debug", "release"):
        built = ROOT / ".build" / kind / "paddock"
        if built.exists():
            return built
    return None


class Daemon:
    """`paddock serve`, which can be killed and started again on the same socket."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.socket = str(directory / "farm.sock")
        self._binary = binary
        self._log = directory / "daemon.log"
        self._environment: Dict[str, str] = {
            **os.environ, "PADDOCK_SHARE": os.environ.get("PADDOCK_SHARE", str(ROOT)),
            "PADDOCK_HOME": str(directory / "home"), "PADDOCK_RUN": str(directory / "run"),
        }
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [str(self._binary), "serve", "--socket", self.socket], env=self._environment, stdout=log, stderr=log)
        try:
            with paddock.Client(self.socket, connect_timeout_s=60) as client:
                client.info()
        except paddock.PaddockError as error:
            self.stop()
            raise AssertionError(f"the daemon does not serve: {error}\n{self._log.read_text()}") from None

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


def _daemons() -> Iterator[Daemon]:
    binary = find_binary()
    if binary is None:
        pytest.skip("no paddock binary: build it, or name one with PADDOCK_BIN")
    # A short path: that of a socket has 107 bytes at most.
    directory = Path(tempfile.mkdtemp(prefix="paddock-py-"))
    directory.chmod(0o711)  # a sandbox's own user passes through it
    daemon = Daemon(binary, directory)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def farm() -> Iterator[Daemon]:
    """The daemon that all tests share."""
    yield from _daemons()


@pytest.fixture
def own_farm() -> Iterator[Daemon]:
    """A daemon for a test that kills it or changes it."""
    yield from _daemons()


@pytest.fixture
def client(farm: Daemon) -> Iterator[paddock.Client]:
    with paddock.Client(farm.socket) as client:
        yield client


def pytest_report_header() -> List[str]:
    return [f"paddock: {find_binary() or 'no binary'}"]
