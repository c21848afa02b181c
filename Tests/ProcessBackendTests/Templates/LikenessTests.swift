// A fork has to be to its program what a new interpreter is: each of these programs runs both ways, and says the same.

import ProcessBackend
import SandboxCore
import Testing

@Suite("A fork beside a fresh start", .enabled(if: Harness.isRoot, "templates take root"))
struct LikenessTests {
    struct Program: Sendable, CustomTestStringConvertible {
        var name: String
        var arguments: [String]
        var files: [PlacedFile] = []
        var stdin: StandardInput = .empty
        var environment: [String] = []
        var testDescription: String { name }

        static func code(_ name: String, _ code: String, _ arguments: [String] = [], stdin: StandardInput = .empty, environment: [String] = []) -> Program {
            Program(name: name, arguments: ["python3", "-c", code] + arguments, stdin: stdin, environment: environment)
        }

        static func script(_ name: String, _ code: String, options: [String] = [], _ arguments: [String] = []) -> Program {
            Program(
                name: name, arguments: ["python3"] + options + ["sub/main.py"] + arguments,
                files: [PlacedFile(path: "sub/main.py", bytes: Array(code.utf8)), PlacedFile(path: "sub/beside.py", bytes: Array("x = 5\n".utf8))])
        }
    }

    static let programs: [Program] = [
        .code("arguments", "import sys; print(sys.argv, sys.orig_argv, sys.path[0] == '', __name__)", ["a", "b c"]),
        .code("standard input", "print(input()); import sys; print(sys.stdin.read())", stdin: .bytes(Array("one\ntwo\nthree".utf8))),
        .code("both streams", "import sys; print('out'); print('err', file=sys.stderr); print(sys.stdout.isatty(), sys.stdin.encoding, sys.stdout.errors, sys.stderr.errors)"),
        .code("an exception", "def f():\n    raise ValueError('wrong')\nf()"),
        .code("a chain of exceptions", "try:\n    1/0\nexcept Exception as e:\n    raise KeyError('k') from e"),
        .code("a syntax error", "x = = 1"),
        .code("an exit code", "import sys; sys.exit(7)"),
        .code("an exit code beyond a byte", "raise SystemExit(256 + 3)"),
        .code("an exit code beyond a long", "raise SystemExit(2 ** 70)"),
        .code("an exit with words that fail", "class B:\n    def __str__(self): raise ValueError\nraise SystemExit(B())"),
        .code("an output that is closed", "import os; print('lost'); os.close(1)"),
        .code("a hook for exceptions that fails", "import sys\ndef hook(*a): 1/0\nsys.excepthook = hook\n{}['k']"),
        .code("signals that are blocked", "import signal, subprocess; print(signal.pthread_sigmask(0, []), subprocess.check_output(['grep', 'SigBlk', '/proc/self/status']))"),
        .code("a child's end by its signal", "import os, signal, time\nended = []\nsignal.signal(signal.SIGCHLD, lambda *a: ended.append('ended'))\nif os.fork() == 0: os._exit(0)\nwhile not ended: time.sleep(.01)\nprint(ended)"),
        .code("an exit with words", "import sys; sys.exit('good bye')"),
        .code("an exit hook", "import atexit; atexit.register(print, 'at exit'); print('body')"),
        .code("no farewell", "import os; print('lost'); os._exit(3)"),
        .code("a thread that outlives the body", "import threading, time\nprinted = threading.Event()\nt = threading.Thread(target=lambda: (printed.wait(), time.sleep(.05), print('thread')))\nt.start()\nprint('body')\nprinted.set()"),
        .code("a hook for exceptions", "import sys; sys.excepthook = lambda *a: print('hook', a[0].__name__); 1/0"),
        .code("the interrupt", "raise KeyboardInterrupt"),
        .code("a deep recursion", "def f(n): return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as e: print(type(e).__name__)"),
        .code("the environment", "import os; print(os.environ['GREETING'], sorted(k for k in os.environ if k[0] == 'G'), os.environ['HOME'])", environment: ["GREETING=h\u{e4}llo"]),
        .code("the environment of a child", "import subprocess; print(subprocess.check_output(['sh', '-c', 'echo $GREETING']))", environment: ["GREETING=hi"]),
        .code("a time zone", "import time; print(time.strftime('%H', time.localtime(0)), time.tzname)", environment: ["TZ=Asia/Tokyo"]),
        .code("a path of one's own", "import sys; print('/tmp/lib' in sys.path, sys.path[1])", environment: ["PYTHONPATH=/tmp/lib"]),
        .code("no buffering", "import sys; print(sys.stdout.write_through); print('a', end=''); import os; os.write(1, b'b')", environment: ["PYTHONUNBUFFERED=1"]),
        .code("a fixed hash", "print(hash('a'))", environment: ["PYTHONHASHSEED=1"]),
        .code("another locale", "import sys; print(sys.stdout.encoding)", environment: ["PYTHONIOENCODING=latin-1"]),
        .code("the main module", "import __main__; print(sorted(vars(__main__)))"),
        .code("a process of its own", "import multiprocessing as m\nif __name__ == '__main__':\n    p = m.get_context('fork').Process(target=print, args=('child',))\n    p.start(); p.join(); print(p.exitcode)"),
        .code("a pickle of a class of its own", "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)"),
        .code("an exit code of a process that closes its memory", "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0); x = bytearray(20 << 20); sys.exit(3)"),
        .code("a signal to a process that closes its memory", "import ctypes, os; ctypes.CDLL(None).prctl(4, 0); os.kill(os.getpid(), 9)"),
        .code("an exit code of a program that can only be executed", "import os, shutil; shutil.copy('/bin/false', 'run'); os.chmod('run', 0o111); os.execv('./run', ['run'])"),
        .code("what was written to files that nobody closed", "import gzip, io, os\nkept = [os.fdopen(os.dup(1), 'w'), io.BufferedWriter(io.FileIO(os.dup(1), 'w'))]\nkept[0].write('text')\nkept[1].write(b'bytes')\nlog = open('log', 'w')\nlog.write('x')"),
        .code("a standard output that is replaced", "import io, sys; print('A'); sys.stdout = io.StringIO(); print('B')"),
        .code("a standard output that is taken away", "import sys; print('A'); del sys.stdout"),
        .code("a standard output of one's own", "import sys\nclass Tee:\n    def __init__(self, to): self.to = to\n    def write(self, text): self.to.write(text)\n    def flush(self): pass\nsys.stdout = Tee(sys.stdout)\nprint('B')"),
        .code("objects that are told of their end", "class A:\n    def __del__(self): print('deleted')\na = A()\ndef steps():\n    try: yield 1\n    finally: print('finally')\ng = steps()\nnext(g)"),
        Program(
            name: "a module of one's own that is called like one of the library's", arguments: ["python3", "-c", "import json; print(json.__file__)"],
            files: [PlacedFile(path: "json.py", bytes: [])]),
        Program(
            name: "a package of one's own beside a script", arguments: ["python3", "sub/main.py"],
            files: [PlacedFile(path: "sub/main.py", bytes: Array("import random; print(random.x)".utf8)), PlacedFile(path: "sub/random/__init__.py", bytes: Array("x = 7".utf8))]),
        .code("its own command line", "print(open('/proc/self/stat').read().split()[3])"),
        .script("a script", "import sys, beside; print(sys.argv, sys.path[0], beside.x, __file__, __name__, __spec__, type(__loader__).__name__)", ["x"]),
        .script("a script with options", "import sys; print(sys.dont_write_bytecode); print(sys.stdout.write_through)", options: ["-Bu"]),
        .script("a script that fails", "def f():\n    import beside\n    beside.nothing\nf()"),
        .script("a script that does not parse", "def f(:\n  pass"),
        Program(name: "a script that is not there", arguments: ["python3", "nowhere.py"]),
        Program(name: "a module", arguments: ["python3", "-m", "calendar", "2024", "2"]),
        Program(name: "a module that is not there", arguments: ["python3", "-m", "nowhere"]),
        Program(
            name: "a module of one's own", arguments: ["python3", "-m", "package", "x"],
            files: [PlacedFile(path: "package/__init__.py", bytes: []), PlacedFile(path: "package/__main__.py", bytes: Array("import sys; print(sys.argv[1:], __package__, sys.path[0]); 1/0".utf8))]),
        Program(name: "an option only a new interpreter has", arguments: ["python3", "-I", "-c", "import sys; print(sys.flags.isolated)"]),
        Program(name: "a program on standard input", arguments: ["python3"], stdin: .bytes(Array("print('from', 'stdin')".utf8))),
        Program(name: "a program called a dash", arguments: ["python3", "-"], stdin: .bytes(Array("import sys; print(sys.argv)".utf8))),
        Program(name: "the version", arguments: ["python3", "--version"]),
    ]

    @Test("the program does the same", arguments: programs)
    func same(_ program: Program) async throws {
        let backend = try await Templates.shared.value
        let spec = Templates.sharedSpec
        func run(fork: Bool) async throws -> StepReport {
            try await Templates.run(program.arguments, on: backend, spec, fork: fork) {
                $0.files = program.files
                $0.stdin = program.stdin
                $0.environment += program.environment
            }
        }
        let (forked, fresh) = (try await run(fork: true), try await run(fork: false))
        #expect(forked.forked && !fresh.forked)
        #expect(forked.outcome == fresh.outcome)
        #expect(forked.stdout.text == fresh.stdout.text)
        #expect(forked.stderr.text == fresh.stderr.text)
    }
}

extension Templates {
    static let sharedSpec = Harness.spec { ($0.template, $0.pool) = (python(), "forks") }

    /// One backend whose template is loaded, for tests that do not count what is left.
    static let shared = Task {
        let backend = try Harness.backend(mostSpare: 4)
        backend.prepare([sharedSpec], pool: sharedSpec.pool)
        _ = await status(of: backend) { $0.state != .loading }
        return backend
    }
}
