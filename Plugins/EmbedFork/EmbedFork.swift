// Compiles the sources of `CFork` to a shared library that needs nothing of the machine it was built on, and
// writes its bytes as Swift: so it travels inside `paddock`, and is laid into each template's own file system.

import PackagePlugin

@main
struct EmbedFork: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let room = context.package.directoryURL.appending(path: "Sources/CFork")
        let sources = ["fork.c", "rehearsal.c", "ahead.c", "text.c", "maps.c"].map { room.appending(path: $0) }
        let headers = [room.appending(path: "kernel.h"), room.appending(path: "ahead.h"), room.appending(path: "include/CFork.h")]
        let call = context.package.directoryURL.appending(path: "Sources/CLinux/include/SystemCall.h")
        let output = context.pluginWorkDirectoryURL.appending(path: "ForkLibrary.swift")
        return [
            .buildCommand(
                displayName: "Embedding the fork library",
                executable: try context.tool(named: "embed-fork").url,
                arguments: [try context.tool(named: "clang").url.path, room.appending(path: "include").path, output.path] + sources.map(\.path),
                inputFiles: sources + headers + [call],
                outputFiles: [output])
        ]
    }
}
