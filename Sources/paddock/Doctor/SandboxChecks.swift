// The proof: real sandboxes, made by the engine as every job's is, in which a program runs, is blocked and is stopped.

import Foundation
import Images
import SandboxCore

struct SandboxChecks {
    let farm: LocalFarm
    let languages: LanguageTable

    func findings() async -> [Finding] {
        let first = await runs()
        guard first.state == .ok else { return [first] }
        return [first, await blocks(), await stopsMemory(), await stopsProcesses()] + (await hasWayOut()) + (await hasLanguages())
    }

    private func job(_ script: String, _ limits: Limits = Limits()) -> JobRequest {
        JobRequest(work: .command(["sh", "-c", script]), limits: limits)
    }

    private func runs() async -> Finding {
        await check("runs a program") {
            let result = try await farm.run(job("echo paddock; id -u"))
            let said = String(decoding: result.stdout.head, as: UTF8.self)
            guard result.outcome == .exited(code: 0), said.hasPrefix("paddock\n") else {
                return (.missing, Verdict.sentence(result.outcome) ?? "it said '\(Human.safe(said))'")
            }
            return (.ok, "made in \(Human.time(result.usage.stages.setupMs))")
        }
    }

    private func blocks() async -> Finding {
        await check("blocks a syscall") {
            let result = try await farm.run(job("mount -t tmpfs none /mnt"))
            guard result.outcome != .exited(code: 0) else { return (.missing, "a program in the sandbox could mount") }
            guard let denied = Verdict.denied(result.denied) else { return (.weak, "blocked, but not named in the result") }
            return (.ok, denied)
        }
    }

    private func stopsMemory() async -> Finding {
        await check("stops at memory") {
            // tail keeps all of it, because it looks for the end of a line that never comes.
            let result = try await farm.run(job("tail /dev/zero", Limits(cpuTimeMs: 20_000, wallTimeMs: 20_000, memoryBytes: 64 << 20)))
            if case .limitExceeded(.memory, let asked, _) = result.outcome { return (.ok, "limit exceeded: memory (asked \(Human.bytes(asked)))") }
            return (.weak, "a program that wanted more than 64 MiB: \(Verdict.sentence(result.outcome) ?? "succeeded")")
        }
    }

    private func stopsProcesses() async -> Finding {
        await check("stops at processes") {
            let result = try await farm.run(job("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait", Limits(wallTimeMs: 20_000, processes: 4)))
            if case .limitExceeded(.processes, let asked, _) = result.outcome { return (.ok, "limit exceeded: processes (asked \(asked))") }
            return result.outcome == .exited(code: 0)
                ? (.weak, "8 processes ran where 4 were allowed") : (.ok, "refused beyond 4: \(Verdict.sentence(result.outcome) ?? "")")
        }
    }

    /// That the line is laid and leads out of the sandbox. What it leads to is not asked: the doctor talks to no other machine.
    private func hasWayOut() async -> [Finding] {
        guard farm.engine.backend.lack(of: .outbound) == nil else { return [] }
        return [await check("has a way out") {
            let job = JobRequest(work: .command(["cat", "/proc/net/route", "/etc/resolv.conf"]), policy: "network")
            let said = String(decoding: try await farm.run(job).stdout.head, as: UTF8.self)
            guard said.contains("eth0\t00000000\t") else { return (.weak, "a sandbox of policy network has no default route") }
            let servers = said.split(separator: "\n").filter { $0.hasPrefix("nameserver ") }.map { $0.dropFirst(11) }
            return (.ok, "policy network; names are asked of \(servers.joined(separator: ", "))")
        }]
    }

    private func hasLanguages() async -> [Finding] {
        let programs = languages.languages.compactMap { language in language.check.first.map { (language.name, $0) } }
        let script = programs.map { "command -v '\($0.1)' >/dev/null 2>&1 && echo '\($0.0)'" }.joined(separator: "\n") + "\ntrue"
        guard let result = try? await farm.run(job(script)) else { return [] }
        let there = Set(String(decoding: result.stdout.head, as: UTF8.self).split(separator: "\n").map(String.init))
        let names = programs.map(\.0)
        let lacking = names.filter { !there.contains($0) }
        var findings = [Finding("Languages of the host image", "there", there.isEmpty ? .weak : .ok, names.filter(there.contains).joined(separator: ", "))]
        if !lacking.isEmpty {
            findings.append(Finding(
                "Languages of the host image", "not there", .note, lacking.joined(separator: ", "),
                why: "what lies below a home directory is not part of it", fix: "install them below /usr or /opt, or build an image: paddock image build polyglot"))
        }
        return findings
    }

    private func check(_ name: String, _ work: () async throws -> (Finding.State, String)) async -> Finding {
        do {
            let (state, found) = try await work()
            return Finding("A real sandbox", name, state, found)
        } catch {
            let complaint = Complaint(error)
            return Finding("A real sandbox", name, .missing, complaint.message)
        }
    }
}
