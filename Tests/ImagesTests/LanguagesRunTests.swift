import Foundation
import SandboxCore
import Testing

@testable import Images

/// Each language of the table that the image has, run in that image (`host`, or with PADDOCK_TEST_IMAGE=STORE:NAME one
/// of a store): an overlay of its layers with its binds over it, no network, no capability, another user,
/// HOME=/workspace. What the farm does in its own way is done here with the system's tools, so that it is the image and
/// the table that are tested.
private struct ImageSandbox {
    let place: Place
    let image: ResolvedImageFiles

    /// Runs a command in a fresh sandbox with one file in /workspace.
    func run(_ language: Language, _ text: String, stdin: String = "", arguments: [String] = []) throws -> (status: Int32, out: String, err: String) {
        try place.write("in/source", text)
        try place.write("in/stdin", stdin)
        var mounts = "set -e; mount -t tmpfs tmpfs \(place.path)/top; cd \(place.path)/top; mkdir up work root; chmod 755 . up\n"
        mounts += "mount -t overlay -o lowerdir=\(image.root.layers.joined(separator: ":")),upperdir=up,workdir=work overlay root\n"
        for bind in image.root.binds { mounts += "mount --rbind -o ro \(bind.source) root\(bind.target)\n" }
        mounts += """
            mount -t proc proc root/proc; mount -t tmpfs -o mode=755 tmpfs root/dev; mount -t tmpfs -o mode=1777 tmpfs root/tmp
            for d in null zero urandom random full; do : > root/dev/$d; mount --bind /dev/$d root/dev/$d; done
            ln -s /proc/self/fd root/dev/fd
            mount -t tmpfs -o mode=700,uid=1000,gid=1000 tmpfs root/workspace; cp \(place.path)/in/source root/workspace/\(language.file)
            cp \(place.path)/in/stdin root/stdin; chmod 644 root/workspace/* root/stdin
            cat > root/job; chmod 755 root/job
            # chroot needs a capability, so they are dropped inside.
            exec chroot root /usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set=-all /bin/sh /job
            """
        func quote(_ words: [String]) -> String { words.map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }.joined(separator: " ") }
        var job = "cd /workspace\n"
        if let compile = language.compileCommand() { job += quote(compile) + " </dev/null || exit 99\n" }
        job += "exec " + quote(language.runCommand(arguments: arguments)) + " </stdin\n"
        try place.write("in/job", job)
        try Files.makeDirectories(place.path + "/top")

        var environment = image.environment.merging(language.environment) { $1 }
        environment.merge(["HOME": "/workspace", "TMPDIR": "/tmp"]) { $1 }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = ["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private", "sh", "-c", mounts]
        process.environment = environment
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: place.path + "/in/job"))
        try place.write("out", "")
        try place.write("err", "")
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: place.path + "/out"))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: place.path + "/err"))
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try place.text("out"), try place.text("err"))
    }
}

/// Programs in each language: what it prints and reads, one that fails, and one that is not of the language.
struct Sample: CustomTestStringConvertible {
    var language: String
    /// Prints "hello", the first argument, then its input in upper case.
    var echo: String
    /// Exits with 3 after writing to standard error.
    var fails: String
    var broken: String
    var testDescription: String { language }

    static let all = [
        Sample(
            language: "python", echo: "import sys\nprint('hello', sys.argv[1])\nprint(sys.stdin.read().upper(), end='')",
            fails: "import sys\nprint('oops', file=sys.stderr)\nsys.exit(3)", broken: "def ("),
        Sample(
            language: "bash", echo: "echo hello $1\ntr a-z A-Z", fails: "echo oops >&2\nexit 3", broken: "if then ("),
        Sample(
            language: "c",
            echo: "#include <stdio.h>\n#include <ctype.h>\nint main(int n, char **v) { int c; printf(\"hello %s\\n\", v[1]); while ((c = getchar()) != EOF) putchar(toupper(c)); }",
            fails: "#include <stdio.h>\nint main(void) { fprintf(stderr, \"oops\\n\"); return 3; }", broken: "int main( {"),
        Sample(
            language: "cpp",
            echo: "#include <iostream>\n#include <string>\nint main(int, char **v) { std::cout << \"hello \" << v[1] << \"\\n\"; std::string s; while (std::getline(std::cin, s)) { for (auto &c : s) c = std::toupper(c); std::cout << s << \"\\n\"; } }",
            fails: "#include <iostream>\nint main() { std::cerr << \"oops\\n\"; return 3; }", broken: "class {"),
        Sample(
            language: "java",
            echo: "public class Main { public static void main(String[] a) { System.out.println(\"hello \" + a[0]); var s = new java.util.Scanner(System.in); while (s.hasNextLine()) System.out.println(s.nextLine().toUpperCase()); } }",
            fails: "public class Main { public static void main(String[] a) { System.err.println(\"oops\"); System.exit(3); } }", broken: "public class Main {"),
        Sample(
            language: "javascript",
            echo: "console.log('hello', process.argv[2]); process.stdout.write(require('fs').readFileSync(0, 'utf8').toUpperCase())",
            fails: "console.error('oops'); process.exit(3)", broken: "function ("),
        Sample(
            language: "typescript",
            echo: "import * as fs from 'node:fs';\nconst who: string = process.argv[2];\nconsole.log('hello', who); process.stdout.write(fs.readFileSync(0, 'utf8').toUpperCase())",
            fails: "const code: number = 3; console.error('oops'); process.exit(code)", broken: "let : = ("),
        Sample(
            language: "go",
            echo: "package main\nimport (\"bufio\"; \"fmt\"; \"os\"; \"strings\")\nfunc main() { fmt.Println(\"hello\", os.Args[1]); s := bufio.NewScanner(os.Stdin); for s.Scan() { fmt.Println(strings.ToUpper(s.Text())) } }",
            fails: "package main\nimport \"os\"\nfunc main() { os.Stderr.WriteString(\"oops\\n\"); os.Exit(3) }", broken: "package main\nfunc main( {"),
        Sample(
            language: "rust",
            echo: "use std::io::Read;\nfn main() { println!(\"hello {}\", std::env::args().nth(1).unwrap()); let mut s = String::new(); std::io::stdin().read_to_string(&mut s).unwrap(); print!(\"{}\", s.to_uppercase()); }",
            fails: "fn main() { eprintln!(\"oops\"); std::process::exit(3) }", broken: "fn main( {"),
        Sample(
            language: "swift",
            echo: "print(\"hello\", CommandLine.arguments[1])\nwhile let line = readLine() { print(line.uppercased()) }",
            fails: "import Foundation\nFileHandle.standardError.write(\"oops\\n\".data(using: .utf8)!)\nexit(3)", broken: "func {"),
        Sample(
            language: "perl", echo: "print \"hello $ARGV[0]\\n\"; while (<STDIN>) { print uc }", fails: "print STDERR \"oops\\n\"; exit 3", broken: "sub {{("),
        Sample(language: "ruby", echo: "puts \"hello #{ARGV[0]}\"; print STDIN.read.upcase", fails: "warn 'oops'; exit 3", broken: "def ("),
        Sample(
            language: "php", echo: "<?php echo \"hello $argv[1]\\n\"; echo strtoupper(file_get_contents('php://stdin'));",
            fails: "<?php fwrite(STDERR, \"oops\\n\"); exit(3);", broken: "<?php function ("),
        Sample(
            language: "lua", echo: "print('hello ' .. arg[1]); io.write(io.read('a'):upper())", fails: "io.stderr:write('oops\\n'); os.exit(3)", broken: "function ("),
        Sample(
            language: "r", echo: "cat('hello', commandArgs(TRUE)[1]); cat('\\n'); writeLines(toupper(readLines('stdin')))",
            fails: "message('oops'); quit(status = 3)", broken: "function ("),
    ]
}

@Suite(.serialized) struct LanguagesRunTests {
    @Test("Each language that the image has compiles, runs, reads its input and fails as it should", arguments: Sample.all)
    func language(_ sample: Sample) throws {
        guard Files.isRoot, Tools.find("unshare") else { return print("skipped: needs root and unshare") }
        let table = try LanguageTable.load(imagesFolder + "/languages.yaml")
        let language = try #require(table.find(sample.language))
        let place = try Place()
        try Files.setMode(Files.openDirectory(place.path), 0o755)
        let chosen = ProcessInfo.processInfo.environment["PADDOCK_TEST_IMAGE"].map { $0.split(separator: ":").map(String.init) }
        let image = try ImageStore(root: chosen?[0] ?? place.path + "/store").resolve(chosen?[1] ?? "host")
        let sandbox = ImageSandbox(place: place, image: image)
        let check = try sandbox.run(
            Language(name: "check", extensions: ["x"], file: "x", run: ["sh", "-c", "command -v \"$1\" >/dev/null && { [ $# -lt 2 ] || \"$@\"; }", "sh"], check: []),
            "", arguments: language.check)
        guard check.status == 0 else { return print("skipped: \(sample.language) is not part of the image: \(check.err)") }

        let echo = try sandbox.run(language, sample.echo, stdin: "one\ntwo\n", arguments: ["a b"])
        #expect(echo.out == "hello a b\nONE\nTWO\n" && echo.status == 0, "\(echo)")
        let fails = try sandbox.run(language, sample.fails)
        #expect(fails.status == 3 && fails.out == "" && fails.err.contains("oops"), "\(fails)")
        let broken = try sandbox.run(language, sample.broken)
        #expect(broken.status != 0 && broken.out == "" && !broken.err.isEmpty || broken.status == 99, "\(broken)")
        if language.compile != nil { #expect(broken.status == 99) }
    }
}
