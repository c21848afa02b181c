// Any error → what a person reads on standard error and the exit code: `error: …`, and `Hint: …` where there is one.

import ArgumentParser
import Foundation
import Images
import SandboxCore
import StrictYAML
import Wire

/// Something the person at the terminal can mend.
struct UserError: Error, CustomStringConvertible {
    var message: String
    var hint: String?
    var exit: Int32

    init(_ message: String, hint: String? = nil, exit: Int32 = Exit.usage) {
        self.message = message
        self.hint = hint
        self.exit = exit
    }
    var description: String { message }
}

/// An error as it is told.
struct Complaint {
    var message: String
    var hint: String?
    var code: Int32

    init(_ message: String, hint: String? = nil, code: Int32) {
        self.message = message
        self.hint = hint
        self.code = code
    }

    init(_ error: any Error) {
        switch error {
        case let error as UserError: self.init(error.message, hint: error.hint, code: error.exit)
        case let error as Rejected: self.init(error)
        case let error as FarmError: self.init(error)
        case let error as ClientError: self.init(error)
        case let error as Mistakes: self.init(error.description, code: Exit.usage)
        case let error as DefinitionError: self.init(error.description, code: Exit.usage)
        case let error as ImageError: self.init(error)
        case let error as ServerError: self.init("\(error)", code: Exit.farm)
        case is CancellationError: self.init("interrupted", code: Exit.failed)
        default: self.init(Self.reason(error), code: Exit.farm)
        }
    }

    private init(_ rejected: Rejected) {
        let option = rejected.field.map(Self.option)
        // The room's own words often begin with the field already.
        var text = rejected.message
        if let field = rejected.field, text.hasPrefix("\(field): ") { text.removeFirst(field.count + 2) }
        if let field = rejected.field, field.hasPrefix("limits."), let limit = LimitField.named(String(field.dropFirst(7))) {
            // The protocol counts in bytes and milliseconds, people do not.
            text = text.replacing(/\b[0-9]+\b/) { match in Int(match.output).map { Human.limit($0, limit.unit) } ?? String(match.output) }
        }
        let hint: String? = switch rejected.code {
        case .unknownImage: "'paddock image list' shows the images there are, 'paddock image build' makes them"
        case .unknownPolicy: "policies are files; 'paddock policy check' shows those there are"
        case .unknownPool: "'paddock pool list' shows the pools, 'paddock pool set' makes one"
        case .unknownJob: "a result is kept for some minutes only; 'paddock jobs list' shows the jobs there are"
        case .notPermitted: "only the daemon's own user and root may do this"
        case .queueFull, .draining: rejected.retryAfterMs.map { "try again in \(Human.time($0))" }
        default: nil
        }
        self.init(option.map { "\($0): \(text)" } ?? text, hint: hint, code: Exit.usage)
    }

    private init(_ error: FarmError) {
        let hint: String? = switch error.code {
        case .sandboxSetup, .hostLacks, .launch: "'paddock doctor' says what this host lacks and how to mend it"
        case .storage: "look at the space and the rights in PADDOCK_HOME"
        case .sandboxLost, .internal: error.retryable ? "the same job may succeed when tried again" : String?.none
        }
        self.init("the farm failed (\(error.code.rawValue)): \(Human.safe(error.message, limit: 2000))", hint: hint, code: Exit.farm)
    }

    private init(_ error: ClientError) {
        switch error {
        case .rejected(let rejected): self.init(rejected)
        case .farm(let error): self.init(error)
        case .unreachable(let path, let reason, let hint): self.init("socket \(path): \(reason)", hint: hint, code: Exit.farm)
        case .disconnected(let reason):
            self.init("the connection to the farm ended: \(reason)", hint: "the daemon's log says why", code: Exit.farm)
        case .badAnswer(let problem):
            self.init(
                "the farm's answer cannot be understood: \(Human.safe(problem))",
                hint: "compare 'paddock --version' with the daemon's", code: Exit.farm)
        case .cancelled: self.init("interrupted", code: Exit.failed)
        }
    }

    private init(_ error: ImageError) {
        switch error {
        case .toolMissing(let tool, let hint): self.init("\(tool) is missing", hint: hint, code: Exit.farm)
        case .toolFailed, .system: self.init("\(error)", code: Exit.farm)
        default: self.init("\(error)", code: Exit.usage)
        }
    }

    /// Foundation's errors in the kernel's words: `No such file or directory` rather than a domain and a number.
    static func reason(_ error: any Error) -> String {
        let error = error as NSError
        if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(error.code))) }
        if let below = error.userInfo[NSUnderlyingErrorKey] as? NSError, below.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(below.code)))
        }
        return error.localizedDescription
    }

    /// The protocol's field in the words of the command line.
    private static func option(_ field: String) -> String {
        if field.hasPrefix("limits."), let limit = LimitField.named(String(field.dropFirst(7))) { return "--limit \(limit.name)" }
        return switch field {
        case "policy", "image", "socket", "size", "queue": "--\(field)"
        case "source.language": "--language"
        case "tests.framework": "--framework"
        case "tests.report": "--report"
        default: field
        }
    }

    func tell() {
        let style = Style(2)
        // Folded for people; in a pipe each message stays one line.
        let width = isatty(2) == 1 ? Console.width(2) : .max
        func lines(_ text: String, indent: Int) -> String {
            text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { Human.wrap(String($0), width: width - indent) }
                .joined(separator: "\n" + String(repeating: " ", count: indent))
        }
        Console.note(style.red(style.bold("error:")) + " " + lines(message, indent: 7))
        if let hint { Console.note(style.bold("Hint:") + " " + lines(hint, indent: 6)) }
    }

    /// The one way out for errors. Help and completions are not errors.
    static func endProcess(with error: any Error) -> Never {
        if let code = error as? ExitCode { exit(code.rawValue) }
        let isParser = Paddock.exitCode(for: error)
        if isParser == .success {
            Console.out(Paddock.fullMessage(for: error))
            exit(Exit.succeeded)
        }
        if isParser == .validationFailure {
            // The parser's message is one line, its usage many: `--help` has those.
            (unknownVerb() ?? Complaint(Paddock.message(for: error), hint: "'\(typed().words.joined(separator: " ")) --help' shows the options and examples", code: Exit.usage))
                .tell()
            exit(Exit.usage)
        }
        let complaint = Complaint(error)
        complaint.tell()
        exit(complaint.code)
    }

    /// The verbs of what was typed (`paddock pool set`), and the command they name.
    private static func typed() -> (words: [String], command: any ParsableCommand.Type) {
        var command: any ParsableCommand.Type = Paddock.self
        var words = ["paddock"]
        for word in CommandLine.arguments.dropFirst() {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
            words.append(word)
            command = next
        }
        return (words, command)
    }

    /// For a word where a verb should be.
    private static func unknownVerb() -> Complaint? {
        let (words, command) = typed()
        let verbs = command.configuration.subcommands.map { $0._commandName }
        guard !verbs.isEmpty, let word = CommandLine.arguments.dropFirst(words.count).first, !word.hasPrefix("-") else { return nil }
        let near = nearestName(to: word, among: verbs).map { "did you mean '\(words.joined(separator: " ")) \($0)'?" }
        return Complaint(
            "unknown verb '\(Human.safe(word))', expected one of \(verbs.joined(separator: ", "))",
            hint: near ?? "'\(words.joined(separator: " ")) --help' has examples", code: Exit.usage)
    }
}
