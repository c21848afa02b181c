"""The report a harness writes while a suite runs, and the interpreter's state made as if the suite had been started
without one.

Runs inside the sandbox, imported by paddock_pytest.py or paddock_unittest.py before any tested code. The report is a
file of lines `MAC JSON`: each record is numbered, and signed over itself and the signature before it with a key that
the farm placed in a file, which is read and deleted here. So a record that is added, left out or moved by someone who
does not hold the key is seen by the farm. Everything used after tested code has begun is bound here, beforehand:
patching builtins, os, json or hashlib changes nothing.

Standard library only; Python 3.7 and later.
"""
import fcntl
import os
import sys
import types
from _thread import allocate_lock

# Of the interpreter itself where it has one: hashlib loads OpenSSL for it, a dozen mappings for each fork of a template.
try:
    from _sha256 import sha256
except ImportError:
    try:
        from _sha2 import sha256
    except ImportError:
        from hashlib import sha256
try:
    from _json import encode_basestring_ascii as quote
except ImportError:
    from json.encoder import encode_basestring_ascii as quote

# Bound now: these names are looked up in this module, not in the builtins tested code can reach.
OSError, bytes, dict, float, int, isinstance, len, list, str, type = (
    OSError, bytes, dict, float, int, isinstance, len, list, str, type)

MESSAGE_CHARACTERS = 4096
ID_CHARACTERS = 16384
# All messages of a suite together; when they are used up, messages shrink to their first line.
MESSAGES_TOTAL = 8 << 20


def open_report(directory):
    """Takes the key, and returns `emit(kind, **fields)`. A field is a string, an integer, a float or a list of strings."""
    write, close_exec = os.write, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    open_file, fstat, getpid = os.open, os.fstat, os.getpid
    path = directory + "/report"

    key_path = directory + "/key"
    with open(key_path, "rb") as file:
        key = file.read()
    os.unlink(key_path)
    if len(key) != 32:
        raise SystemExit("paddock: the report's key has %d bytes, expected 32" % len(key))
    padded = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in padded))
    outer = sha256(bytes(byte ^ 0x5C for byte in padded))
    del key, padded

    fd = open_file(path, close_exec | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        # Out of the way of programs that count on low numbers.
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 120)
        os.close(fd)
        fd = high
    except OSError:
        pass
    identity = fstat(fd)
    identity = (identity.st_dev, identity.st_ino)
    owner = getpid()
    lock = allocate_lock()
    number = 0
    chain = b"\0" * 32
    pending = b""
    left = MESSAGES_TOTAL

    def encode(value):
        kind = type(value)
        if kind is int:
            return "%d" % value
        if kind is float:
            return "%.3f" % value
        if kind is list:
            return "[" + ",".join([encode(item) for item in value]) + "]"
        # Lone surrogates are no text: they would make the record unreadable.
        return quote(value.encode("utf-8", "replace").decode("utf-8"))

    def flush():
        nonlocal fd, pending
        try:
            try:
                found = fstat(fd)
                same = (found.st_dev, found.st_ino) == identity
            except OSError:
                same = False
            if not same:
                # The suite closed descriptors that were not its own.
                fd = open_file(path, close_exec)
            while pending:
                pending = pending[write(fd, pending):]
        except OSError:
            # No space or no descriptor: a test may give it back, so the next record tries again.
            pass

    def emit(kind, **fields):
        nonlocal number, chain, pending, left
        if getpid() != owner:
            # A forked child of a test that went on in here is not the suite.
            return
        with lock:
            message = fields.get("message")
            if message:
                message = clip(message, MESSAGE_CHARACTERS if left > 0 else 120)
                left -= len(message)
                fields["message"] = message
            if "id" in fields:
                fields["id"] = fields["id"][:ID_CHARACTERS]
            number += 1
            text = '{"n":%d,"kind":%s' % (number, quote(kind))
            for name, value in fields.items():
                text += "," + quote(name) + ":" + encode(value)
            payload = (text + "}").encode("ascii")
            inside = inner.copy()
            inside.update(chain + payload)
            outside = outer.copy()
            outside.update(inside.digest())
            chain = outside.digest()
            pending += chain.hex().encode("ascii") + b" " + payload + b"\n"
            flush()

    return emit


def clip(text, characters):
    """The beginning and the end of a long text: a traceback's end says what went wrong."""
    if len(text) <= characters:
        return text
    head = characters // 4
    return text[:head] + "\n[...]\n" + text[len(text) - (characters - head):]


def tested_path():
    """Where `python3 -m` would look for tested code before the standard library: the working directory, PYTHONPATH."""
    pythonpath = os.environ.pop("PADDOCK_PYTHONPATH", None)
    entries = []
    if pythonpath is not None:
        os.environ["PYTHONPATH"] = pythonpath
        entries = [os.path.abspath(entry) for entry in pythonpath.split(os.pathsep)]
    if not getattr(sys.flags, "safe_path", False):
        entries.insert(0, os.getcwd())
    return entries


def leave_no_trace(directory, entries, loaded, keep, main):
    """Makes sys.path, sys.modules and __main__ what they are when the framework is started with `python3 -m`.

    `loaded`: the modules there were before the harness began. A module that it imported and that tested code has its
    own version of is forgotten, so that the suite imports the one it would have imported; `keep` names exceptions.
    `main`: the module `python3 -m` would have run.
    """
    sys.path[:] = entries + [entry for entry in sys.path if entry != directory]
    shadowed = {
        name for name in {module.partition(".")[0] for module in set(sys.modules) - loaded} - keep
        if any(os.path.isfile(os.path.join(entry, name + ".py"))
               or os.path.isfile(os.path.join(entry, name, "__init__.py")) for entry in entries)
    }
    own = {"paddock_report", "paddock_framework"}
    for module in list(sys.modules):
        if module in own or (module.partition(".")[0] in shadowed and module not in loaded):
            del sys.modules[module]
    sys.path_importer_cache.pop(directory, None)

    fresh = types.ModuleType("__main__")
    fresh.__spec__ = main
    fresh.__file__ = main.origin
    fresh.__loader__ = main.loader
    fresh.__package__ = main.parent
    fresh.__builtins__ = __builtins__
    sys.modules["__main__"] = fresh

    if any(os.path.isfile(os.path.join(entry, "sitecustomize.py")) for entry in entries[1:]):
        # What the interpreter would have done at start, had it been given PYTHONPATH.
        if "sitecustomize" not in sys.modules:
            __import__("sitecustomize")
