// A build step: `embed-fork CLANG INCLUDE OUTPUT SOURCE…` compiles the sources and writes the library's bytes as Swift.

import Foundation

let arguments = CommandLine.arguments
guard arguments.count > 4 else { fatalError("usage: embed-fork CLANG INCLUDE OUTPUT SOURCE…") }
let library = NSTemporaryDirectory() + "/paddock-fork-\(getpid()).so"
defer { try? FileManager.default.removeItem(atPath: library) }

let compiler = Process()
compiler.executableURL = URL(fileURLWithPath: arguments[1])
// Without libc: what it takes of it, `fork` and `vfork`, it finds in whatever libc its image has. -O2 in any build, as
// unoptimised code would call for more.
compiler.arguments = [
    "-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu17", "-shared", "-fPIC", "-nostdlib", "-fuse-ld=lld", "-fno-stack-protector", "-fno-builtin", "-fvisibility=default",
    "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-s", "-I", arguments[2], "-o", library,
] + arguments[4...]
try compiler.run()
compiler.waitUntilExit()
guard compiler.terminationStatus == 0 else { exit(compiler.terminationStatus) }

// As text: a literal of thousands of numbers takes the compiler minutes.
let text = try Data(contentsOf: URL(fileURLWithPath: library)).base64EncodedString()
try """
// Made by the build from CFork's sources.
let forkLibraryText: StaticString = "\(text)"

""".write(toFile: arguments[3], atomically: true, encoding: .utf8)
