// A batch under way: lines in, results out, one of each at a time for the outside.

import Foundation
import SandboxCore
import Synchronization
import Wire

final class Batch: Sendable {
    enum Next {
        case job(JobLine)
        /// A line that is no job, already reported.
        case skipped
        case end
    }

    private struct State {
        var tally = BatchTally()
        var progress = Progress()
        var complaints = 0
        var interrupts = 0
        /// Why there is no use in going on: the results cannot be written.
        var trouble: UserError?
    }

    private let connection: BatchConnection
    private let output: ResultFile
    private let name: String
    private let size: Int?
    private let state = Mutex(State())
    private static let maxComplaints = 20

    init(connection: BatchConnection, output: ResultFile, name: String, size: Int?) {
        self.connection = connection
        self.output = output
        self.name = name
        self.size = size
    }

    var isInterrupted: Bool { state.withLock { $0.interrupts > 0 || $0.trouble != nil } }
    var trouble: UserError? { state.withLock { $0.trouble } }

    /// - Returns: how often it has been called.
    func interrupt() -> Int {
        state.withLock { state in
            state.interrupts += 1
            return state.interrupts
        }
    }

    func next(_ reader: inout LineReader) -> Next {
        do {
            switch try reader.next() {
            case nil: return .end
            case .tooLong(let length):
                let message = "found a line of \(Human.bytes(length)), expected at most \(Human.bytes(LineReader.maxLine))"
                settleBad(.init(number: reader.number, error: ErrorObject(code: -32700, message: message, kind: .rejected, reason: "parse_error")), bytes: length)
                return .skipped
            case .text(let text):
                do throws(JobLine.Bad) {
                    return .job(try JobLine.read(text, number: reader.number))
                } catch {
                    settleBad(error, bytes: text.count)
                    return .skipped
                }
            }
        } catch {
            fail(error as? UserError ?? UserError(Complaint.reason(error), exit: Exit.farm))
            return .end
        }
    }

    func carryOut(_ job: JobLine) async {
        let answer: Result<JobResult, ClientError>
        do throws(ClientError) {
            answer = .success(try await connection.run(job.request))
        } catch {
            answer = .failure(error)
        }
        switch answer {
        case .success(let result):
            write(job.number, job.id, key: "result", Bare.result(.result(result)))
            state.withLock { $0.tally.add(result, bytes: job.bytes) }
        case .failure(.rejected(let rejected)):
            settleBad(.init(number: job.number, id: job.id, error: ErrorObject(.rejected(rejected))), bytes: job.bytes)
        case .failure(let error): settleLost(job, error)
        }
    }

    private func settleBad(_ bad: JobLine.Bad, bytes: Int) {
        let error = bad.error
        write(bad.number, bad.id, key: "error", Bare.error(error))
        let field = error.field.map { error.message.hasPrefix($0) ? "" : "\($0): " } ?? ""
        complain("\(name):\(bad.number): \(field)\(Human.safe(error.message))")
        state.withLock { $0.tally.addBad(error.reason == "parse_error" ? "not JSON" : error.reason, bytes: bytes) }
    }

    private func settleLost(_ job: JobLine, _ error: ClientError) {
        // A connection that this process has closed itself needs no complaint for each job on it.
        guard !isInterrupted else { return }
        let failure = if case .farm(let failure) = error { failure } else { FarmError(.internal, Complaint(error as any Error).message, retryable: true) }
        write(job.number, job.id, key: "error", Bare.error(ErrorObject(.farm(failure))))
        complain("\(name):\(job.number): \(Complaint(error as any Error).message)")
        let word = if case .farm(let failure) = error { "farm: \(failure.code.rawValue)" } else { "farm: connection lost" }
        state.withLock { $0.tally.addLost(word, bytes: job.bytes) }
    }

    private func write(_ number: Int, _ id: [UInt8]?, key: String, _ value: [UInt8]) {
        var line = Array("{\"line\":\(number)".utf8)
        if let id { line += Array(",\"id\":".utf8) + id }
        line += Array(",\"\(key)\":".utf8) + value + Array("}\n".utf8)
        if let reason = output.write(line) { fail(UserError("--out: \(reason)", exit: Exit.farm)) }
    }

    private func fail(_ error: UserError) { state.withLock { $0.trouble = $0.trouble ?? error } }

    private func complain(_ text: String) {
        state.withLock { state in
            state.complaints += 1
            guard state.complaints <= Self.maxComplaints else { return }
            state.progress.clear()
            Console.note(text)
        }
    }

    func draw() {
        state.withLock { state in
            // A copy, because the two are parts of one state.
            let tally = state.tally
            state.progress.draw(tally, size: size)
        }
    }

    func finish() -> BatchTally {
        state.withLock { state in
            state.progress.clear()
            let more = state.complaints - Self.maxComplaints
            if more > 0 { Console.note("… and \(Human.counted(more, "complaint")) more; the results have them all") }
            return state.tally
        }
    }
}

/// Where the results go, one whole line at a time.
final class ResultFile: Sendable {
    private let descriptor: Int32?
    private let lock = Mutex(())

    /// - Parameters:
    ///   - path: `-` for standard output, `nil` for nowhere.
    ///   - input: a file that must not be overwritten.
    init(_ path: String?, notOver input: String) throws {
        guard let path else {
            descriptor = nil
            return
        }
        guard path != "-" else {
            descriptor = 1
            return
        }
        if input != "-", FileGatherer.real(path) == FileGatherer.real(input) {
            throw UserError("--out: \(Human.safe(path)) is the file of jobs itself", hint: "give another name")
        }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw UserError("--out: \(Human.safe(path)): \(String(cString: strerror(errno)))") }
        descriptor = file
    }

    /// - Returns: why it could not be written.
    func write(_ line: [UInt8]) -> String? {
        guard let descriptor else { return nil }
        return lock.withLock { _ in Console.write(descriptor, line) ? nil : String(cString: strerror(errno)) }
    }
}
