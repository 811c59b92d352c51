"""`postel run`: programs in a process of their own, with Postel's sockets in the module `socket`."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds


def run(
    *arguments: str, cwd: Path = ROOT, by: tuple[str, ...] = ("-m", "postel", "run")
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *by, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, cwd=cwd, env=environment, check=False
    )


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The same without Postel."""
    return run(*arguments, cwd=cwd, by=())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def _write(text: str, name: str = "program.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    return _write


TALK = """
    import socket, threading

    def serve(listener):
        with listener:
            client, _ = listener.accept()
        with client:
            client.sendall(client.recv(100).upper())

    listener = socket.create_server(("10.7.0.2", 0))
    threading.Thread(target=serve, args=(listener,)).start()
    with socket.create_connection(("server", listener.getsockname()[1])) as client:
        client.sendall(b"hello")
        print(client.recv(100), type(client).__mro__[2].__name__, client.getpeername()[0])
"""


def test_a_program_talks_by_way_of_postel(write: Callable[..., str]) -> None:
    ended = run("--address", "10.7.0.2/24", "--resolve", "server:10.7.0.2", write(TALK))
    assert (ended.stdout, ended.stderr, ended.returncode) == ("b'HELLO' DescriptorSocket 10.7.0.2\n", "", 0)


def test_a_program_of_asyncio(write: Callable[..., str]) -> None:
    ended = run(
        write("""
        import asyncio

        async def echo(reader, writer):
            writer.write(await reader.read(100))
            writer.close()

        async def main():
            async with await asyncio.start_server(echo, "127.0.0.1", 80):
                reader, writer = await asyncio.open_connection("localhost", 80)
                writer.write(b"hello")
                print(await reader.read(), writer.get_extra_info("peername"))
                writer.close()
                await writer.wait_closed()

        asyncio.run(main())
        """)
    )
    assert (ended.stdout, ended.stderr) == ("b'hello' ('127.0.0.1', 80)\n", "")


def test_the_machine_s_network_is_out_of_reach(write: Callable[..., str]) -> None:
    ended = run(
        write("""
        import socket
        for address in ("127.0.0.1", "198.51.100.1"):
            try:
                socket.create_connection((address, 80), timeout=5)
            except OSError as error:
                print(error)
        one, other = socket.socketpair()
        one.sendall(b"the machine's own")
        print(other.recv(100), one.family.name, isinstance(one, socket.socket))
        one.close()
        other.close()
        try:
            import uvloop
        except ImportError as error:
            print(error)
        """)
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "[Errno 111] connect to 127.0.0.1:80: connection refused",
        "[Errno 101] no address of this host reaches 198.51.100.1",
        'b"the machine\'s own" AF_UNIX True',
        "uvloop opens the system's sockets itself, so it can't be used over Postel",
    ]


SEEN = """
    import sys, os
    this = os.path.abspath(sys.argv[0])
    print(__name__, __file__ == this, sys.argv[1:], sys.path[0] == os.path.dirname(this))
    print(sys.modules["__main__"].__dict__ is globals(), __spec__)
    import beside
    print(beside.value)
"""


def test_what_a_program_sees_of_itself(write: Callable[..., str]) -> None:
    write("value = 7", "beside.py")
    program = write(SEEN)
    assert run(program, "-x", "--tun", "y").stdout == python(program, "-x", "--tun", "y").stdout


def test_a_module(write: Callable[..., str], tmp_path: Path) -> None:
    write("value = 7", "package/beside.py")
    write("", "package/__init__.py")
    write(
        "import sys; from package import beside; print(__name__, sys.argv[1:], beside.value, __package__, "
        "sys.path[0])",
        "package/__main__.py",
    )
    ours, theirs = run("-m", "package", "-v", cwd=tmp_path), python("-m", "package", "-v", cwd=tmp_path)
    assert (ours.stdout, ours.stderr, ours.returncode) == (theirs.stdout, theirs.stderr, 0)


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(7)",
        "import sys; sys.exit()",
        "raise SystemExit('a reason')",
        "def fail():\n    1 / 0\nfail()",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    int('x')",
        "import nothing_of_the_kind",
        "this is no program",
        "import sys; sys.excepthook = lambda *error: print('told', error[0].__name__); 1 / 0",
        "import threading\nthreading.Thread(target=lambda: print('last')).start()\nprint('first')",
        "import atexit; atexit.register(print, 'at the end')",
    ],
)
def test_it_ends_as_with_python(write: Callable[..., str], text: str) -> None:
    program = write(text)
    ours, theirs = run(program), python(program)
    assert (ours.stdout, ours.stderr, ours.returncode) == (theirs.stdout, theirs.stderr, theirs.returncode)


LINK = """
    import threading
    from postel import Host, blocking, links

    def make():
        left, right = links.pair()
        network = blocking.attach(Host("10.7.0.1/24"), right).__enter__()
        listener = network.create_server(("", 80))
        def serve():
            client, name = listener.accept()
            client.sendall(name[0].encode())
            client.close()
        threading.Thread(target=serve, daemon=True).start()
        return left
"""


def test_a_link_of_the_user_s(write: Callable[..., str], tmp_path: Path) -> None:
    write(LINK, "transport.py")
    program = write(
        "import socket\nwith socket.create_connection(('10.7.0.1', 80)) as sock:\n    print(sock.recv(100))"
    )
    ended = run("--link", "transport:make", "--address", "10.7.0.2/24", "--ladder", program, cwd=tmp_path)
    assert ended.stdout == "b'10.7.0.2'\n"
    assert "SYN" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["nowhere.py"],
            "program is 'nowhere.py'; allowed: a Python program that is there, or -m and a module",
        ),
        (["--link", "nothing:make", "x.py"], "allowed: MODULE:FUNCTION"),
        (["--tun", "t0", "x.py"], "--address"),
        (
            ["--tun", "t0", "--address", "10.7.0.2/24", "--link", "os:getpid", "x.py"],
            "--tun or --link, not both",
        ),
        (["--address", "127.0.0.1/8", "x.py"], "loopback"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], complaint: str) -> None:
    ended = run(*arguments)
    assert complaint in ended.stderr
    assert ended.returncode == 2
