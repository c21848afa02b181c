// Lease -> StepReports: makes the sandbox, runs the job's steps in it one after the other, and destroys it. The one
// place where the farm waits for a backend. Ends with the job's end in the records, whatever happened.

import Logging
import SandboxCore

/// What was run of a job.
struct StepsRun: Sendable {
    /// The compile step's report and the time it took, when there was one; and whether that was an earlier job's.
    var compile: (report: StepReport, milliseconds: Double, cached: Bool)?
    /// The report of the job's own step, when it came to that.
    var run: StepReport?
    /// Who ended it, when neither step says so itself.
    var cancelledBy: Canceller?
}

extension Farm {
    /// A started job's whole life. There is one task for each, and it ends here.
    func run(_ lease: Lease) async {
        let log = logger(for: lease.job.id)
        var times = JobTimes(submitted: lease.job.submittedAt, granted: lease.grantedAt)
        log.debug("job started", metadata: ["queued_ms": "\(times.stages.queuedMs)"])
        let (end, sandbox) = await carryOut(lease, &times)
        report(end, log)
        // The answer goes now. Every process of the job was gone before its report came, nobody else can reach what it
        // wrote, and the rest of its sandbox's end is not the client's to wait for. Its place in the pool is: only a
        // sandbox that is gone makes room for the next job.
        update { [times] (state, now) in
            if case .result = end { state.counters.record(times, pool: lease.job.resolved.pool) }
            state.answer(lease, with: end, now: now)
        }
        let concluded = time.now
        await sandbox?.destroy()
        update { [time] (state, now) in
            if case .result = end, sandbox != nil { state.counters.recordTeardown(time.now - concluded, pool: lease.job.resolved.pool) }
            state.release(lease, now: now)
        }
    }

    /// - Returns: also the sandbox, when there is one to destroy.
    private func carryOut(_ lease: Lease, _ times: inout JobTimes) async -> (JobEnd, (any Sandbox)?) {
        if let canceller = lease.canceller {
            return (.result(conclude(lease.job, StepsRun(cancelledBy: canceller), times.stages)), nil)
        }
        let begun = time.now
        var launch: Launch
        do throws(FarmError) { launch = try prepare(lease.job) } catch { return (.failed(error), nil) }
        await reuseCompile(in: &launch, for: lease)
        defer { dropCompile(of: launch) }
        times.preparing = time.now - begun
        // A compile that is known to fail, or that was waited for in vain, needs no sandbox.
        guard !launch.steps.isEmpty, lease.canceller == nil else {
            return (.result(conclude(lease.job, launch.begin(cancelledBy: lease.canceller), times.stages)), nil)
        }
        let sandbox: any Sandbox
        do throws(FarmError) { sandbox = try await backend.makeSandbox(launch.spec) } catch { return (.failed(error), nil) }
        times.leased = time.now
        do throws(FarmError) {
            let steps = try await runSteps(of: launch, in: sandbox, lease)
            times.add(steps, ended: time.now)
            let result = conclude(lease.job, steps, times.stages)
            times.concluded = time.now
            return (.result(result), sandbox)
        } catch { return (.failed(error), sandbox) }
    }

    private func runSteps(
        of launch: Launch, in sandbox: any Sandbox, _ lease: Lease
    ) async throws(FarmError) -> StepsRun {
        var done = launch.begin()
        for (phase, plan) in launch.steps {
            guard lease.beginStep(in: sandbox) else { break }
            defer { lease.endStep() }
            let begun = time.now
            let report = try await sandbox.run(plan, onOutput: plan.stream ? listener(of: lease.job) : nil)
            switch phase {
            case .compile:
                let took = milliseconds(time.now - begun)
                done.compile = (report, took, false)
                keepCompile(report, milliseconds: took, launch)
            case .run: done.run = report
            }
            guard report.outcome == .exited(code: 0) else { break }
        }
        done.cancelledBy = lease.canceller
        return done
    }

    private func listener(of job: AdmittedJob) -> (@Sendable (OutputStream, [UInt8]) -> Void)? {
        guard let onOutput = job.onOutput else { return nil }
        return { [id = job.id] stream, bytes in onOutput(id, stream, bytes) }
    }

    /// Ends what a job runs right now.
    func stop(_ lease: Lease, by canceller: Canceller) {
        logger(for: lease.job.id).debug("job is being cancelled", metadata: ["by": "\(canceller.rawValue)"])
        guard lease.cancel(by: canceller) else { return }
        // A backend that was told between our decision to run a step and its start of it had nothing to end yet: so it
        // is told again until the step is over.
        Task { [time] in
            repeat {
                try? await time.sleep(until: time.now + 100_000_000)
            } while lease.cancel(by: canceller)
        }
    }

    func logger(for job: JobID) -> Logger {
        var logger = logger
        logger[metadataKey: "job"] = "\(job)"
        return logger
    }

    private func report(_ end: JobEnd, _ log: Logger) {
        switch end {
        case .result(let result):
            log.debug("job ended", metadata: ["outcome": "\(result.outcome)", "run_ms": "\(result.usage.stages.runMs)"])
        case .failed(let error):
            log.error("job failed", metadata: ["code": "\(error.code.rawValue)", "error": "\(error.message)"])
        }
    }
}
