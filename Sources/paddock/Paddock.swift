// The one executable: each verb is a file in Commands, and Composition puts the rooms together.

import ArgumentParser

@main
struct Paddock: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "paddock",
        abstract: "Runs code nobody has read yet, isolated, with a verdict that can be trusted.",
        discussion: """
            One job, here and now:      paddock run solution.py
            The same with its tests:    paddock run --tests tests/
            A farm for many clients:    paddock serve
            What this host can enforce: paddock doctor
            """,
        version: Version.text,
        subcommands: [Run.self, Serve.self])
}

enum Version {
    static let text = "0.1.0"
}
