// The command line of `paddock run` → a `JobRequest`. Files are read here; only which test framework the image has is
// left for later, because the sandbox has to be asked.

import Foundation
import Images
import SandboxCore
import StrictYAML

struct JobDescription: Sendable {
    private enum Kind {
        case command([String])
        case source(text: String, language: String, arguments: [String])
        case tests(TestProject, framework: TestFramework?, words: [String], report: String?)
    }

    private let kind: Kind
    private var base: JobRequest

    init(_ options: LocalJob, _ layout: Layout) throws {
        base = JobRequest(work: .testsOnly)
        base.image = options.image
        base.policy = options.policy
        base.limits = try JobOptions.limits(options.limit)
        base.environment = try JobOptions.environment(options.env)
        base.files = try JobOptions.files(options.file)
        base.workingDirectory = options.cwd
        base.collect = options.collect.map { FileOut(pattern: $0, maxBytes: 16 << 20) }
        let (before, after) = JobOptions.split(passthrough: options.words)

        if let tests = options.tests {
            guard before.isEmpty else {
                throw UserError(
                    "found '\(Human.safe(before[0]))' beside --tests, expected nothing, or arguments after --",
                    hint: "for example paddock run --tests tests/ -- -k fast")
            }
            kind = .tests(try TestProject.find(tests), framework: try options.framework.map(Self.framework), words: after ?? [], report: options.report)
        } else if let file = before.first {
            let language = try Self.language(of: file, options.language, layout)
            // `paddock run solution.py -- x` gives the program what follows, dashes and all.
            kind = .source(text: try Self.text(of: file), language: language, arguments: Array(options.words.dropFirst()))
        } else if let command = after, !command.isEmpty {
            guard options.language == nil else { throw UserError("--language: expected a source file, found a command after --") }
            kind = .command(command)
        } else {
            throw UserError(
                "nothing to run: expected -- COMMAND, a source file, or --tests PATH",
                hint: "for example paddock run -- echo hello; 'paddock run --help' has more")
        }
    }

    /// - Parameter farm: asked for its frameworks; without one, pytest is assumed.
    func request(in farm: LocalFarm?, streams: Bool) async throws -> JobRequest {
        var request = base
        request.stream = streams
        switch kind {
        case .command(let command): request.work = .command(command)
        case .source(let text, let language, let arguments):
            request.work = .source(text: text, language: language, arguments: arguments)
        case .tests(let project, let chosen, let words, let report):
            request.files = project.files + base.files
            let framework: TestFramework
            if let chosen {
                framework = chosen
            } else if project.isGo {
                framework = .goJSON
            } else if let farm {
                framework = try await TestProject.pythonFramework(in: farm, image: base.image, policy: base.policy)
            } else {
                framework = .pytest
            }
            let isPython = framework == .pytest || framework == .unittest
            request.tests = TestRequest(
                framework: framework, paths: isPython ? [project.path] : [], arguments: isPython ? words : [], report: report)
            if !isPython {
                let command = words.isEmpty && framework == .goJSON ? ["go", "test", "-json", "./\(project.path == "." ? "" : project.path + "/")..."] : words
                guard !command.isEmpty else {
                    throw UserError(
                        "--framework \(framework.rawValue): expected the command that runs the tests, after --",
                        hint: "for example paddock run --tests . --framework tap -- prove -v t/")
                }
                request.work = .command(command)
            }
        }
        return request
    }

    private static func framework(_ name: String) throws -> TestFramework {
        if let framework = TestFramework(rawValue: name) { return framework }
        let names = TestFramework.allCases.map(\.rawValue)
        throw UserError(
            "--framework: found '\(Human.safe(name))', expected one of \(names.joined(separator: ", "))",
            hint: nearestName(to: name, among: names).map { "did you mean '\($0)'?" })
    }

    private static func language(of file: String, _ asked: String?, _ layout: Layout) throws -> String {
        let table = try LanguageTable.load(layout.languages)
        if let asked {
            if let language = table.find(asked) { return language.name }
            let names = table.languages.map(\.name)
            throw UserError(
                "--language: found '\(Human.safe(asked))', expected one of \(names.joined(separator: ", "))",
                hint: table.nearest(to: asked).map { "did you mean '\($0)'?" })
        }
        guard FileManager.default.fileExists(atPath: file) else {
            throw UserError(
                "\(Human.safe(file)): no such file", hint: "to run a command, put -- before it: paddock run -- \(Human.safe(file))")
        }
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory), isDirectory.boolValue {
            throw UserError(
                "\(Human.safe(file)): found a directory, expected a source file",
                hint: "to run the tests in it: paddock run --tests \(Human.safe(file)); to take it along: --file \(Human.safe(file))")
        }
        if let language = table.forFile(file) { return language.name }
        throw UserError(
            "\(Human.safe(file)): its ending names no language",
            hint: "say which with --language, one of \(table.languages.map(\.name).joined(separator: ", "))")
    }

    private static func text(of file: String) throws -> String {
        var status = stat()
        guard stat(file, &status) == 0 else { throw UserError("\(Human.safe(file)): \(String(cString: strerror(errno)))") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw UserError("\(Human.safe(file)) is not a file", hint: "for a directory of tests there is --tests") }
        guard status.st_size <= 16 << 20 else { throw UserError("\(Human.safe(file)): found \(Human.bytes(Int(status.st_size))), expected source text of at most 16 MiB") }
        guard let data = FileManager.default.contents(atPath: file) else { throw UserError("\(Human.safe(file)) cannot be read") }
        guard let text = String(validating: [UInt8](data), as: UTF8.self) else {
            throw UserError("\(Human.safe(file)): found bytes that are not UTF-8, expected source text", hint: "a program is run with --file PATH -- ./NAME")
        }
        return text
    }
}
