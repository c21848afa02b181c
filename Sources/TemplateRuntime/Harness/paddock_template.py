"""Loads a Python interpreter once, and lets each fork of it become a job.

    python3 /tmp/.paddock/paddock_template.py [MODULE ...]

Loads the modules, runs warm_up.py beside this file where there is one, has a first fork run it once more to see what a job
writes to, says that it is ready, and then serves forks through the library beside it (docs/templates.md). A fork becomes what its arguments say, as a new interpreter would: `-c`, `-m`, a
script, with -B, -s and -u. Whatever else it is asked for, or where the environment says what only a new interpreter can do,
it executes that instead. Standard library only; Python 3.8 and later.
"""
import sys

CONTROL, STATUS = 3, 4
# What changes how an interpreter starts or its C library works, and cannot be made up for afterwards.
STARTING = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GLIBC_")
AFTERWARDS = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH"}


def main():
    import os
    register_at_fork = os.register_at_fork
    forks_are_ours = True
    # These renew the locks of threads that a template does not have: in its own forks they would only copy pages.
    # Numbers from `random` are seen to below.
    needless = ("threading", "logging", "random")

    def register(**calls):
        def unless_ours(call):
            return lambda: None if forks_are_ours else call()

        register_at_fork(**{
            when: unless_ours(call) if getattr(call, "__module__", None) in needless else call for when, call in calls.items()})

    os.register_at_fork = register
    import atexit
    import ctypes
    import gc
    import importlib.machinery
    import io
    import runpy
    import site
    import threading
    import traceback
    import types

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.pop(0)
    # So that no fork has to look up the functions of its libraries.
    os.environb.pop(b"LD_BIND_NOW", None)
    environment = dict(os.environb)
    for name in sys.argv[1:]:
        importlib.import_module(name)
    rehearsed, warm_up = "print(1)", here + "/warm_up.py"
    if os.path.exists(warm_up):
        with open(warm_up, encoding="utf-8") as file:
            rehearsed = file.read()
        exec(compile(rehearsed, warm_up, "exec"), {"__name__": "__warm_up__"})
    os.register_at_fork = register_at_fork

    def known_sources(kind):
        place = here + "/known/" + kind
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            with open(place + "/" + name, "rb") as file:
                yield name[:-3], file.read()

    # What many jobs run is compiled for all of them, and only they find its modules.
    compiled_ahead, helpers = {}, {}
    for name, source in known_sources("programs"):
        compiled_ahead[source] = compile(source, name + ".py", "exec", dont_inherit=True)
    for name, source in known_sources("modules"):
        helpers[name] = types.ModuleType(name)
        exec(compile(source, name + ".py", "exec", dont_inherit=True), helpers[name].__dict__)

    library = ctypes.PyDLL(here + "/fork.so")
    library.paddock_job_text.restype = ctypes.c_void_p
    library.paddock_job_bytes.restype = ctypes.c_uint64
    serve, take_environment = library.paddock_template_serve, library.paddock_take_environment
    library.paddock_rehearse.argtypes = ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32
    rehearse, rehearsal_ends = library.paddock_rehearse, library.paddock_rehearsed
    job_text, job_bytes, job_arguments, job_variables, are_usual = (
        library.paddock_job_text, library.paddock_job_bytes, library.paddock_job_arguments, library.paddock_job_variables,
        library.paddock_streams_are_usual)
    before_fork, after_fork = ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Child
    bytes_at, flush, interpreter = ctypes.pythonapi.PyBytes_FromStringAndSize, ctypes.CDLL(None).fflush, sys.executable
    bytes_at.restype, bytes_at.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_ssize_t)
    of_system = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    encodings = [(s.encoding, s.errors) for s in (sys.stdin, sys.stdout, sys.stderr)]

    def stream(number, name, unbuffered):
        raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
        raw.name = name
        encoding, errors = encodings[number]
        buffer = io.BufferedReader(raw) if number == 0 else raw if unbuffered else io.BufferedWriter(raw)
        text = io.TextIOWrapper(
            buffer, encoding, errors, "\n", line_buffering=number == 2 or raw.isatty(), write_through=number > 0 and unbuffered)
        text.mode = raw.mode[0]
        return text

    def streams(unbuffered=False):
        return stream(0, "<stdin>", unbuffered), stream(1, "<stdout>", unbuffered), stream(2, "<stderr>", unbuffered)

    # What is the same for nearly all of them, for none of them to make. The ones that these replace go here, too.
    for file in (sys.stdout, sys.stderr):
        file.flush()
    any_file, text_file = io.IOBase.__mro__[1], io.TextIOWrapper
    outputs, (end, pipe) = [os.dup(1), os.dup(2)], os.pipe()
    for number in (1, 2):
        os.dup2(pipe, number)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams()
    usual = sys.stdin, sys.stdout, sys.stderr
    for number, output in zip((1, 2), outputs):
        os.dup2(output, number)
    for number in (end, pipe, *outputs):
        os.close(number)
    program = types.ModuleType("__main__")
    space = program.__dict__
    space.update(__builtins__=sys.modules["builtins"], __annotations__={}, __loader__=importlib.machinery.BuiltinImporter)
    # What was seen of these places is another sandbox's.
    for place in list(sys.path_importer_cache):
        if place.startswith(("/workspace", "/tmp")) or not place.startswith("/"):
            del sys.path_importer_cache[place]
    main_thread, threads, limbo = threading.main_thread(), getattr(threading, "_active", None), getattr(threading, "_limbo", None)
    user_site = site.getusersitepackages() if site.ENABLE_USER_SITE else None
    numbers, random, reseed = sys.modules.get("numpy.random"), sys.modules.get("random"), None
    if hasattr(random, "_inst"):
        # What else `random.seed` does is done here.
        random.seed()
        reseed = super(random.Random, random._inst).seed

    # Functions of a fork, defined before it: what they speak of each fork knows when it calls them.
    def start_anew():
        os.execve(interpreter, arguments, variables)

    def asks_for_new(name):
        name = os.fsdecode(name)
        return name.startswith(STARTING) and name not in AFTERWARDS

    def has_own(place, depth):
        """Whether a module that is loaded here would be another one in a new interpreter that looks there first."""
        try:
            names = os.listdir(place)
        except OSError:
            return False
        for name in names:
            stem, dot, ending = name.partition(".")
            if dot and ending.rpartition(".")[2] in ("py", "pyc", "so"):
                if stem in loaded:
                    return True
            elif not dot:
                inner = os.path.join(place, name)
                if stem in loaded and os.path.exists(os.path.join(inner, "__init__.py")):
                    return True
                if depth > 0 and has_own(inner, depth - 1):
                    return True
        return False

    def run():
        if mode == "-m":
            runpy._run_module_as_main(rest[0])
        else:
            source = rest[0] if mode == "-c" else code
            name = "<string>" if mode == "-c" else path
            exec(compiled or compile(source, name, "exec", dont_inherit=True), space)

    def tell(lines):
        try:
            sys.stderr.write("".join(lines))
        except BaseException:
            pass

    def without_ours(trace):
        """Our own frames are no business of the program's."""
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return trace

    def forget():
        """Takes the program's own names from it, the private ones first: so objects are told of their end, and generators."""
        for private in (True, False):
            for name in list(space):
                if type(name) is str and name != "__builtins__" and private == (name[:1] == "_" and name[1:2] != "_"):
                    space[name] = None

    def attempt(file, name):
        try:
            getattr(file, name)()
        except BaseException:
            pass

    def close_files():
        """Closes files that nobody closed, so that what was written to them is there; those that stand before others first."""
        found = [[], [], []]
        for thing in gc.get_objects():
            kinds = type(thing).__mro__
            if any_file in kinds:
                found[0 if text_file in kinds else 1 if type(thing).__module__ != "_io" else 2].append(thing)
        for file in usual[1:]:
            attempt(file, "flush")
        for files in found:
            for file in files:
                attempt(file, "close")

    def leave(code):
        """As an interpreter ends, but for taking itself apart."""
        try:
            # With no thread but this one, and nothing that asked to be told of the end, it would change nothing.
            if threads is None or len(threads) > 1 or limbo or getattr(threading, "_threading_atexits", True):
                threading._shutdown()
            atexit._run_exitfuncs()
        finally:
            out, err = getattr(sys, "stdout", None), getattr(sys, "stderr", None)
            for file in (out, err):
                try:
                    if file is not None and not getattr(file, "closed", False):
                        file.flush()
                except BaseException:
                    if file is out:
                        kind, value, _ = sys.exc_info()
                        tell(["Exception ignored in: %r\n" % (file,)] + traceback.format_exception_only(kind, value))
                        code = 120
            if not rehearses and (threads is None or len(threads) == 1):
                forget()
            close_files()
            flush(None)
            if rehearses:
                rehearsal_ends()
            os._exit(code & 0xFF)

    job_bytes(), bytes_at(b"-", 1)
    job = [os.fsencode(s) for s in (os.getcwd(), sys.argv[0], "-c", rehearsed)] + [b"=".join(v) for v in environment.items()]
    job = b"".join([part + b"\0" for part in job])
    loaded = {name.partition(".")[0] for name in sys.modules}
    # What is in the interpreter now is garbage for nobody: collecting it in each fork would only copy its pages.
    gc.collect()
    gc.freeze()
    # The locks that a fork needs are taken once, and let go in each fork.
    before_fork()
    rehearses = rehearse(job, len(job), 3, len(environment))
    if not rehearses:
        os.write(STATUS, b"ready")
        os.close(STATUS)
        if serve(CONTROL) != 0:
            os._exit(0)
    # From here on this is a job: confined, and nobody else's.
    after_fork()
    forks_are_ours = False
    main_thread._native_id = os.getpid()
    text = bytes_at(job_text(), job_bytes()).split(b"\0")
    count = job_arguments()
    arguments = [a.decode(*of_system) for a in text[1:1 + count]]
    variables = dict([v.partition(b"=")[::2] for v in text[1 + count:1 + count + job_variables()]])

    changed = [k for k, v in variables.items() if environment.get(k) != v] + [k for k in environment if k not in variables]
    for name in changed:
        if asks_for_new(name):
            start_anew()

    flags, mode, rest = set(), None, []
    for index, argument in enumerate(arguments[1:], 1):
        if argument in ("-c", "-m"):
            if index + 1 < len(arguments):
                mode, rest = argument, arguments[index + 1:]
            break
        if argument[:1] != "-":
            mode, rest = "script", arguments[index:]
            break
        if not argument[1:] or set(argument[1:]) - set("Bus"):
            break
        flags |= set(argument[1:])
    if mode is None:
        start_anew()

    known = getattr(os.environ, "_data", None)
    if type(known) is dict and take_environment() == 0:
        known.clear()
        known.update(variables)
    else:
        os.environb.clear()
        os.environb.update(variables)
    if b"TZ" in changed:
        import time
        time.tzset()
    if "s" in flags:
        site.ENABLE_USER_SITE = False
    elif user_site is not None and os.access(user_site, os.F_OK):
        start_anew()
    sys.dont_write_bytecode = "B" in flags or bool(variables.get(b"PYTHONDONTWRITEBYTECODE"))
    unbuffered = "u" in flags or bool(variables.get(b"PYTHONUNBUFFERED"))
    sys.orig_argv = arguments

    # The streams remember what they stood for when they were made.
    if unbuffered or not are_usual():
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams(unbuffered)
    # As after any fork.
    if reseed is not None:
        reseed()
    if numbers is not None:
        numbers.seed()

    code = None
    if mode == "-c":
        first = ""
    elif mode == "-m":
        first = os.getcwd()
    else:
        first = os.path.dirname(os.path.realpath(rest[0]))
        path = os.path.abspath(rest[0]) if sys.version_info >= (3, 9) else rest[0]
        try:
            with io.open_code(os.path.abspath(rest[0])) as file:
                code = file.read()
        except OSError:
            start_anew()
        if b"\0" in code or path.endswith(".pyc"):
            start_anew()
        space.update(__file__=path, __cached__=None, __loader__=importlib.machinery.SourceFileLoader("__main__", path))
    ahead = [first]
    if variables.get(b"PYTHONPATH"):
        ahead += [p for p in os.fsdecode(variables[b"PYTHONPATH"]).split(":") if p]
    compiled = compiled_ahead.get(code)
    for place in ahead:
        if has_own(place or ".", 0):
            start_anew()
    # A suite's directories become places of modules while it runs.
    if compiled is not None and has_own(".", 3):
        start_anew()
    sys.path[:0] = ahead
    sys.argv = ["-c" if mode == "-c" else "-m" if mode == "-m" else rest[0]] + rest[1:]
    sys.modules["__main__"] = program
    if compiled is not None:
        sys.modules.update(helpers)

    try:
        run()
    except SystemExit as end:
        if end.code is None:
            leave(0)
        if isinstance(end.code, int):
            # As a C long, or else as -1.
            leave(end.code if -1 << 63 <= end.code < 1 << 63 else -1)
        try:
            sys.stdout.flush()
        except BaseException:
            pass
        try:
            text = str(end.code)
        except BaseException:
            text = ""
        tell([text, "\n"])
        leave(1)
    except BaseException as error:
        trace = without_ours(error.__traceback__)
        while mode == "-m" and trace is not None and trace.tb_frame.f_code.co_filename == runpy.__file__:
            trace = trace.tb_next
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
        try:
            sys.excepthook(type(error), error.with_traceback(trace), trace)
        except BaseException:
            kind, value, inner = sys.exc_info()
            value.__context__ = None
            tell(["Error in sys.excepthook:\n"] + traceback.format_exception(kind, value, without_ours(inner)))
            tell(["\nOriginal exception was:\n"] + traceback.format_exception(type(error), error, trace))
        if isinstance(error, KeyboardInterrupt):
            import signal
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        leave(1)
    leave(0)


main()
