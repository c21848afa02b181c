// What is kept of a compile step, and of which: only what the same step would bring about again.

import SandboxCore

/// Enough of a compile step that was run to answer, and to run the program, as if it had just been run once more.
struct CompiledStep: Sendable, Equatable {
    /// Without its files.
    var report: StepReport
    /// The program, where there is one: what the run step finds besides the job's own files.
    var files: [PlacedFile]
    /// What the farm waited for it.
    var milliseconds: Double

    /// - Parameter mostBytes: an output that is larger is not kept.
    /// - Returns: `nil` for a step that is not to be kept. One that a limit, the policy or somebody ended says nothing of
    ///   its source; an output of which something is missing is not the program.
    init?(_ report: StepReport, milliseconds: Double, mostBytes: Int) {
        guard case .exited(let code) = report.outcome else { return nil }
        if code == 0 {
            guard !report.files.isEmpty, !report.filesTruncated, report.files.allSatisfy({ $0.size == $0.bytes.count }) else {
                return nil
            }
            files = report.files.map { PlacedFile(path: $0.path, bytes: $0.bytes, mode: $0.mode & 0o777) }
        } else {
            files = []
        }
        self.report = report
        self.report.files = []
        self.milliseconds = milliseconds
        guard bytes <= mostBytes else { return nil }
    }

    var succeeded: Bool { report.outcome == .exited(code: 0) }

    /// About what it takes to keep it.
    var bytes: Int {
        files.reduce(1_024 + report.stdout.keptBytes + report.stderr.keptBytes) { $0 + $1.bytes.count + $1.path.utf8.count + 64 }
    }
}
