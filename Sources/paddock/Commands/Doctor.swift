// `paddock doctor`: what this host can enforce, what it cannot, and how to mend that.

import ArgumentParser
import Foundation
import Images
import SandboxCore

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find out what this host can enforce, and prove it in a real sandbox.",
        discussion: """
            Every mechanism is tried, not guessed from versions. Nothing stays changed on \
            the host.

            Exit codes: 0 jobs run here (perhaps without some mechanism, which is then \
            named), 1 they do not.

            Examples:
              paddock doctor
              paddock doctor --json
            """)

    @Flag(help: "Print {\"healthy\", \"unenforced\", \"findings\"} as JSON.") var json = false

    func run() async throws {
        let layout = try Layout.find()
        var findings = HostChecks(facts: ThisMachine.facts(cgroup: "")).findings()
        var unenforced: [Mechanism] = []
        var healthy = false
        do {
            let farm = try await LocalFarm.start(layout, reading: .now)
            let backend = farm.engine.backend
            unenforced = backend.unenforced
            findings += PlaceChecks(layout: layout, cgroup: backend.cgroupVersion, unenforced: unenforced, outbound: backend.lack(of: .outbound)).findings()
            let proof = await SandboxChecks(farm: farm, languages: try LanguageTable.load(layout.languages)).findings()
            findings += proof
            healthy = proof.first?.state == .ok
            await farm.stop()
        } catch {
            findings += PlaceChecks(layout: layout, cgroup: "none", unenforced: Mechanism.allCases, outbound: nil).findings()
            let complaint = Complaint(error)
            findings.append(Finding("A real sandbox", "runs a program", .missing, complaint.message, fix: complaint.hint))
        }
        let diagnosis = Diagnosis(healthy: healthy, unenforced: unenforced.map(\.rawValue), findings: findings)
        if json {
            Console.out(try MachineForm.json(diagnosis))
        } else {
            diagnosis.lines(style: Style(1), width: Console.width()).forEach(Console.out)
        }
        if !healthy { throw ExitCode(Exit.failed) }
    }
}
