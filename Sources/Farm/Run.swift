// Lease -> StepReports: makes the sandbox, or takes the one that stayed with the job's group, runs the job's steps in it
// one after the other, and destroys it, or leaves it to the group. The one place where the farm waits for a backend. Ends
// with the job's end in the records, whatever happened.

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
    /// What it was run in, when it came to that.
    var sandbox: SandboxUse?
}

/// What a started job came to.
private struct Conclusion {
    var end: JobEnd
    /// What it was run in, when there is such a one.
    var sandbox: (any Sandbox)?
    /// Whether the next job of a group may have that: every step in it has come to its report.
    var isIntact = false
}

extension Farm {
    /// A started job's whole life. There is one task for each, and it ends here.
    func run(_ lease: Lease) async {
        var times = JobTimes(submitted: lease.job.submittedAt, granted: lease.grantedAt)
        debug(lease.job.id, "job started", ["queued_ms": "\(times.stages.queuedMs)"])
        let conclusion = await carryOut(lease, &times)
        let (end, sandbox) = (conclusion.end, conclusion.sandbox)
        report(end, of: lease.job.id)
        // The answer goes now. Every process of the job was gone before its report came, nobody else can reach what it
        // wrote, and the rest of its sandbox's end is not the client's to wait for. Its place in the pool is: only a
        // sandbox that is gone, or nobody's but its group's, makes room for the next job.
        let stays = lease.group != nil && conclusion.isIntact
        update { [times] (state, now) in
            if case .result = end { state.counters.record(times, pool: lease.job.resolved.pool) }
            state.answer(lease, with: end, now: now)
            guard stays, let sandbox else { return }
            state.keep(sandbox, of: lease, now: now)
            state.release(lease, now: now)
        }
        if stays, sandbox != nil { return }
        let concluded = time.now
        await sandbox?.destroy()
        update { [time] (state, now) in
            if case .result = end, sandbox != nil { state.counters.recordTeardown(time.now - concluded, pool: lease.job.resolved.pool) }
            state.release(lease, now: now)
        }
    }

    private func carryOut(_ lease: Lease, _ times: inout JobTimes) async -> Conclusion {
        if let canceller = lease.canceller {
            let result = conclude(lease.job, StepsRun(cancelledBy: canceller), times.stages)
            return Conclusion(end: .result(result), sandbox: lease.kept, isIntact: true)
        }
        let begun = time.now
        var launch: Launch
        do throws(FarmError) { launch = try prepare(lease.job, isLast: lease.group == nil) } catch {
            return Conclusion(end: .failed(error), sandbox: lease.kept, isIntact: true)
        }
        // What earlier jobs left can change what comes of a compile: then it is nobody else's, nor another's this one's.
        if lease.kept == nil { await reuseCompile(in: &launch, for: lease) }
        defer { dropCompile(of: launch) }
        times.preparing = time.now - begun
        // A compile that is known to fail, or that was waited for in vain, needs no sandbox.
        guard !launch.steps.isEmpty, lease.canceller == nil else {
            let result = conclude(lease.job, launch.begin(cancelledBy: lease.canceller), times.stages)
            return Conclusion(end: .result(result), sandbox: lease.kept, isIntact: true)
        }
        if let sandbox = lease.kept {
            do throws(FarmError) { return try await complete(launch, in: sandbox, .reused, lease, &times) } catch {
                // One that does not take the job, because a directory lies where a file of it is to go or because it was
                // lost, is no reason to fail it: a fresh one takes it. But never where its program may have run.
                guard error.code == .launch else { return Conclusion(end: .failed(error), sandbox: sandbox) }
                await sandbox.destroy()
            }
        }
        let sandbox: any Sandbox
        do throws(FarmError) { sandbox = try await backend.makeSandbox(launch.spec) } catch { return Conclusion(end: .failed(error)) }
        do throws(FarmError) { return try await complete(launch, in: sandbox, .fresh, lease, &times) } catch {
            return Conclusion(end: .failed(error), sandbox: sandbox)
        }
    }

    private func complete(
        _ launch: Launch, in sandbox: any Sandbox, _ use: SandboxUse, _ lease: Lease, _ times: inout JobTimes
    ) async throws(FarmError) -> Conclusion {
        times.leased = time.now
        var steps = try await runSteps(of: launch, in: sandbox, lease)
        steps.sandbox = use
        times.add(steps, ended: time.now)
        let result = conclude(lease.job, steps, times.stages)
        times.concluded = time.now
        return Conclusion(end: .result(result), sandbox: sandbox, isIntact: true)
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
                let took = milliseconds(time.now - begun) - report.waitedMs
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
        debug(lease.job.id, "job is being cancelled", ["by": "\(canceller.rawValue)"])
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

    /// A line that is rarely wanted: unless it is, nothing is made for it.
    func debug(_ job: JobID, _ message: Logger.Message, _ metadata: @autoclosure () -> Logger.Metadata) {
        if logger.logLevel <= .debug { logger(for: job).debug(message, metadata: metadata()) }
    }

    private func report(_ end: JobEnd, of job: JobID) {
        switch end {
        case .result(let result):
            debug(job, "job ended", ["outcome": "\(result.outcome)", "run_ms": "\(result.usage.stages.runMs)"])
        case .failed(let error):
            logger(for: job).error("job failed", metadata: ["code": "\(error.code.rawValue)", "error": "\(error.message)"])
        }
    }
}
