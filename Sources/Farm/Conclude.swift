// StepReports -> JobResult: the verdict. Says of which part of the job the outcome speaks, judges the tests, and adds
// up what was used.

import SandboxCore

/// - Parameter stages: where the job's time went, as far as it came.
func conclude(_ job: AdmittedJob, _ steps: StepsRun, _ stages: Stages) -> JobResult {
    let resolved = job.resolved
    let deciding = steps.run ?? steps.compile?.report
    // Without a report of its own step a job was ended by someone, or by its compile step.
    let failedCompile = steps.run == nil && steps.compile.map { $0.report.outcome != .exited(code: 0) } ?? false
    let outcome: Outcome =
        if let run = steps.run {
            run.outcome
        } else if failedCompile, let compile = steps.compile {
            compile.report.outcome
        } else {
            .cancelled(by: steps.cancelledBy ?? .client)
        }

    var result = JobResult(job: job.id, outcome: outcome, phase: failedCompile ? .compile : .run, labels: resolved.labels)
    result.usage = deciding?.usage ?? Usage()
    result.usage.stages = stages
    result.unenforced = resolved.terms.unenforced.map(\.rawValue)
    result.denied = addedUp((steps.compile?.report.denied ?? []) + (steps.run?.denied ?? []))
    result.sandbox = steps.sandbox
    result.compile = steps.compile.map { compileReport($0.report, milliseconds: $0.milliseconds, cached: $0.cached) }
    if let run = steps.run {
        result.stdout = run.stdout
        result.stderr = run.stderr
        result.files = run.files
        result.filesSkipped = run.filesSkipped
        result.filesTruncated = run.filesTruncated
        result.template = run.forked ? resolved.terms.spec.template?.name : nil
    }
    if let suite = resolved.suite { judgeTests(&result, suite, resolved, steps.run) }
    return result
}

private func judgeTests(_ result: inout JobResult, _ suite: TestSuite, _ job: ResolvedJob, _ run: StepReport?) {
    let (request, step) = (suite.request, suite.step)
    guard let run else {
        let expects = request.failToPass != nil || request.passToPass != nil
        result.tests = TestReport(
            framework: request.framework, completion: .endedEarly(reason: "the job was cancelled before its tests began"),
            tests: [], resolved: expects ? false : nil)
        return
    }
    var report = step.judge(run.outcome, run.stdout, run.files)
    if run.filesTruncated || !run.filesSkipped.isEmpty, report.completion == .complete, step.collect.contains(where: \.isPattern) {
        // A report that was not brought back may be the one with the failure.
        report.completion = .unreadable(reason: "more report files may match than were brought back")
        report.resolved = report.resolved.map { _ in false }
    }
    result.tests = report
    if step.keepOutputBytes != nil {
        // The judge needed all of it; the result has as much as any other.
        result.stdout = run.stdout.cut(to: job.terms.keepOutputBytes)
    }
    // What was brought back for the judge alone is not the client's.
    result.files.removeAll { file in
        step.collect.contains { $0.matches(file.path) } && !job.collect.contains { $0.matches(file.path) }
    }
}

private func compileReport(_ report: StepReport, milliseconds: Double, cached: Bool) -> CompileReport {
    var usage = report.usage
    usage.stages = Stages()
    usage.stages.runMs = milliseconds
    return CompileReport(outcome: report.outcome, stdout: report.stdout, stderr: report.stderr, usage: usage, cached: cached)
}

/// One entry per syscall, in the order they were first met.
private func addedUp(_ denied: [DeniedSyscall]) -> [DeniedSyscall] {
    var sums: [DeniedSyscall] = []
    for one in denied {
        if let index = sums.firstIndex(where: { $0.syscall == one.syscall }) {
            sums[index].count += one.count
        } else {
            sums.append(one)
        }
    }
    return sums
}
