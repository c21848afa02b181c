// Compiles `CFork/fork.c` to a shared library that needs nothing of the machine it was built on, and writes its bytes as
// Swift: so it travels inside `paddock`, and is laid into each template's own file system.

import PackagePlugin

@main
struct EmbedFork: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let source = context.package.directoryURL.appending(path: "Sources/CFork/fork.c")
        let header = context.package.directoryURL.appending(path: "Sources/CFork/include/CFork.h")
        let call = context.package.directoryURL.appending(path: "Sources/CLinux/include/SystemCall.h")
        let output = context.pluginWorkDirectoryURL.appending(path: "ForkLibrary.swift")
        return [
            .buildCommand(
                displayName: "Embedding the fork library",
                executable: try context.tool(named: "embed-fork").url,
                arguments: [try context.tool(named: "clang").url.path, source.path, header.deletingLastPathComponent().path, output.path],
                inputFiles: [source, header, call],
                outputFiles: [output])
        ]
    }
}
