// Runs the real executable as its users do, in a place of its own, and reads what it says.

import Foundation
import Synchronization
import Testing

/// How a command ended and what it said.
struct Said: Sendable {
    var code: Int32
    var out: String
    var error: String

    var json: Any? { try? JSONSerialization.jsonObject(with: Data(out.utf8), options: .fragmentsAllowed) }
    var object: [String: Any] { json as? [String: Any] ?? [:] }
}

/// A place with its own store, sockets and working directory; gone with the last reference.
final class Place: Sendable {
    let path: String

    init() throws {
        // Short, because a socket's path may have 107 bytes.
        path = "/tmp/pdk-\(getpid())-\(UInt32.random(in: .min ... .max))"
        for name in ["home", "run", "work"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var work: String { "\(path)/work" }
    var socket: String { "\(path)/farm.sock" }

    /// Writes a file below the working directory.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(work)/\(name)"
        try FileManager.default.createDirectory(atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }

    func read(_ name: String) -> String? { try? String(contentsOfFile: "\(work)/\(name)", encoding: .utf8) }

    /// A command that has been started.
    func start(_ arguments: [String], input: FileHandle? = nil, environment: [String: String] = [:]) throws -> Running {
        try Running(arguments, in: self, input: input, environment: environment)
    }

    /// Runs a command to its end.
    func run(_ arguments: String..., input: String? = nil, environment: [String: String] = [:]) async throws -> Said {
        var handle: FileHandle?
        if let input {
            let file = "\(path)/input-\(UInt32.random(in: .min ... .max))"
            try input.write(toFile: file, atomically: true, encoding: .utf8)
            handle = FileHandle(forReadingAtPath: file)
        }
        return try await start(arguments, input: handle, environment: environment).end()
    }
}

final class Running: Sendable {
    static let executable = beside("paddock")

    private struct State {
        var out = Data()
        var error = Data()
        var open = 2
        var waiting: [(in: KeyPath<State, Data> & Sendable, text: String, resume: CheckedContinuation<Bool, Never>)] = []
        var code: Int32?
        var ends: [CheckedContinuation<Said, Never>] = []
    }

    private let process = Process()
    private let state = Mutex(State())

    var pid: Int32 { process.processIdentifier }
    /// What it has said on standard error so far.
    var errorSoFar: String { state.withLock { String(decoding: $0.error, as: UTF8.self) } }

    init(_ arguments: [String], in place: Place, input: FileHandle?, environment: [String: String]) throws {
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: place.work)
        process.environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": place.path, "PADDOCK_HOME": "\(place.path)/home", "PADDOCK_RUN": "\(place.path)/run", "PADDOCK_SOCKET": place.socket,
        ].merging(Self.share) { _, share in share }.merging(environment) { _, given in given }
        process.standardInput = input ?? FileHandle.nullDevice
        let (out, error) = (Pipe(), Pipe())
        process.standardOutput = out
        process.standardError = error
        try process.run()
        collect(out, \.out)
        collect(error, \.error)
    }

    /// Reads a stream to its end, on a thread of its own.
    private func collect(_ pipe: Pipe, _ part: WritableKeyPath<State, Data> & Sendable) {
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread {
            while true {
                let data = handle.availableData
                if data.isEmpty { break }
                self.state.withLock { state in
                    state[keyPath: part] += data
                    let waiting = state.waiting
                    state.waiting = []
                    for one in waiting {
                        if String(decoding: state[keyPath: one.in], as: UTF8.self).contains(one.text) {
                            one.resume.resume(returning: true)
                        } else {
                            state.waiting.append(one)
                        }
                    }
                }
            }
            let isLast = self.state.withLock { state in
                state.open -= 1
                return state.open == 0
            }
            if isLast { self.finish() }
        }
    }

    private func finish() {
        process.waitUntilExit()
        state.withLock { state in
            state.code = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
            for one in state.waiting { one.resume.resume(returning: false) }
            state.waiting = []
            for one in state.ends { one.resume(returning: Self.said(state)) }
            state.ends = []
        }
    }

    private static func said(_ state: State) -> Said {
        Said(code: state.code ?? -1, out: String(decoding: state.out, as: UTF8.self), error: String(decoding: state.error, as: UTF8.self))
    }

    /// Waits for its end.
    func end() async -> Said {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                if state.code != nil { continuation.resume(returning: Self.said(state)) } else { state.ends.append(continuation) }
            }
        }
    }

    /// Waits until it has said something; false when it ended without.
    func says(_ text: String, onError: Bool = false) async -> Bool {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                let part: KeyPath<State, Data> & Sendable = onError ? \.error : \.out
                if String(decoding: state[keyPath: part], as: UTF8.self).contains(text) { return continuation.resume(returning: true) }
                if state.code != nil { return continuation.resume(returning: false) }
                state.waiting.append((part, text, continuation))
            }
        }
    }

    /// The environment without which the executable does not find its parts.
    static var share: [String: String] { ["PADDOCK_SHARE": repository, "PADDOCK_WARDEN": beside("paddock-warden")] }

    func send(_ signal: Int32) { kill(pid, signal) }

    static let repository: String = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// An executable of the build, beside the test bundle.
    private static func beside(_ name: String) -> String {
        let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        for directory in [bundle, bundle.deletingLastPathComponent(), URL(fileURLWithPath: "\(FileManager.default.currentDirectoryPath)/.build/debug")] {
            let path = directory.appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return name
    }
}

/// A daemon in a place, ended when let go of.
final class TestDaemon: Sendable {
    let place: Place
    let running: Running

    init(_ arguments: String..., in place: Place) async throws {
        self.place = place
        running = try place.start(["serve", "--socket", place.socket] + arguments)
        try #require(await running.says("socket=\(place.socket)", onError: true), "\(running.errorSoFar)")
    }

    deinit { running.send(SIGKILL) }

    /// Drains it.
    func stop() async -> Said {
        running.send(SIGTERM)
        return await running.end()
    }
}

/// Whether a process with this among its arguments lives.
func lives(_ marker: String) -> Bool {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] where Int32(name) != nil {
        guard let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else { continue }
        if String(decoding: line, as: UTF8.self).contains(marker), Int32(name) != getpid() { return true }
    }
    return false
}

/// Asks until the answer is the one that is awaited; a minute at most.
func eventually<Answer>(_ ask: () async throws -> Answer, until isAwaited: (Answer) -> Bool) async throws -> Answer {
    let end = ContinuousClock.now + .seconds(60)
    while true {
        let answer = try await ask()
        if isAwaited(answer) { return answer }
        try #require(.now < end, "still \(answer)")
    }
}
