// One line of a jobs file → a request. The line is the protocol's job object, with one key more: `id`, the file's own
// name for the job, which comes back beside its result.

import SandboxCore
import Wire

struct JobLine: Sendable {
    var number: Int
    /// A JSON string or number.
    var id: [UInt8]?
    var request: JobRequest
    var bytes: Int

    /// A line that is no job.
    struct Bad: Error {
        var number: Int
        var id: [UInt8]?
        var error: ErrorObject
    }

    /// The protocol's own decoder judges the job, so that a file and a socket follow the same rules.
    static func read(_ line: [UInt8], number: Int) throws(Bad) -> JobLine {
        do throws(Bare.Job.Invalid) {
            let job = try Bare.Job.decode(line)
            var request = job.request
            request.stream = false
            return JobLine(number: number, id: job.id, request: request, bytes: line.count)
        } catch {
            throw Bad(number: number, id: error.id, error: error.error)
        }
    }
}
