// `paddock policy`: what policies say, in the words of who answers for them.

import ArgumentParser
import Foundation
import Policy
import SandboxCore

struct Policies: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Check, explain and dump policies.",
        discussion: """
            A policy is named, or given as a file: anything with a '/' or ending in .yaml \
            is a file. What a file extends is looked for beside it, then among the shipped \
            policies.

            Examples:
              paddock policy check
              paddock policy check my-policy.yaml
              paddock policy explain default
              paddock policy dump network > network-whole.yaml
            """,
        subcommands: [Check.self, Explain.self, Dump.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether policies are right, and what is wrong with them.",
            discussion: "Exit codes: 0 all are right, 1 some are not.\n\nExample:\n  paddock policy check my-policy.yaml --json")
        @OptionGroup var place: PolicyPlace
        @Argument(help: "Names or files (default: every policy of the directory).") var policies: [String] = []
        @Flag(help: "Print [{\"name\", \"ok\", \"instructions\", \"notes\", \"errors\"}].") var json = false

        struct Finding: Encodable {
            var name: String
            var ok: Bool
            var instructions: Int?
            var notes: [String] = []
            var errors: [String] = []
        }

        func run() async throws {
            let findings = try policies.isEmpty ? checkAll() : policies.map { name in try check(name) { try place.find(name) } }
            if json {
                Console.out(try MachineForm.json(findings))
            } else {
                show(findings)
            }
            if findings.contains(where: { !$0.ok }) { throw ExitCode(Exit.failed) }
        }

        private func checkAll() throws -> [Finding] {
            let directory = try place.directory()
            do {
                let store = try PolicyStore.load(directory: directory)
                return try store.names.map { name in try check(name) { try store.policy(named: name) } }
            } catch let errors as PolicyErrors {
                return [Finding(name: directory, ok: false, errors: errors.errors.map(\.description))]
            }
        }

        private func check(_ name: String, _ find: () throws -> Policy) throws -> Finding {
            do {
                let policy = try find()
                return Finding(name: policy.name, ok: true, instructions: try policy.compile().bpf.count / 8, notes: policy.notes)
            } catch let errors as PolicyErrors {
                return Finding(name: name, ok: false, errors: errors.errors.map(\.description))
            }
        }

        private func show(_ findings: [Finding]) {
            let style = Style(1)
            let width = findings.reduce(0) { max($0, $1.ok ? $1.name.count : 0) }
            for finding in findings {
                if finding.ok {
                    Console.out("\(style.green("ok"))     \(finding.name.padding(to: width))  \(style.dim("\(Human.count(finding.instructions ?? 0)) instructions"))")
                } else {
                    Console.out("\(style.red("wrong"))  \(Human.safe(finding.name))")
                }
                for note in finding.notes { Console.out("       " + style.dim(note)) }
                for error in finding.errors { Console.out("       " + error) }
            }
        }
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say in prose what a policy grants and why.", discussion: "Example:\n  paddock policy explain default")
        @OptionGroup var place: PolicyPlace
        @Argument(help: "A name or a file.") var policy: String

        func run() async throws { Console.out(bytes: Array(try place.find(policy).explain().utf8)) }
    }

    struct Dump: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a policy with all it inherits and includes, as one file.",
            discussion: "Example:\n  paddock policy dump network > network-whole.yaml")
        @OptionGroup var place: PolicyPlace
        @Argument(help: "A name or a file.") var policy: String

        func run() async throws { Console.out(bytes: Array(try place.find(policy).dump().utf8)) }
    }
}

/// Where policies are looked for.
struct PolicyPlace: ParsableArguments {
    @Option(help: ArgumentHelp("The directory of policies (default: the shipped ones).", valueName: "dir"), completion: .directory)
    var policies: String?

    func directory() throws -> String { try policies ?? Layout.find().policies }

    func find(_ name: String) throws -> Policy {
        guard name.contains("/") || name.hasSuffix(".yaml") else { return try PolicyStore.load(directory: directory()).policy(named: name) }
        return try PolicyFileReader(file: name, shipped: directory()).read()
    }
}
