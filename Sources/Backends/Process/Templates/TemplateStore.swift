// The templates of the process backend, one for each kind of sandbox that has one: loads them, hears when they are ready,
// and sees to it that there is always one that serves.

import Confinement
import Glibc
import LinuxSystem
import Logging
import SandboxCore
import Synchronization

final class TemplateStore: Sendable {
    private struct State {
        var templates: [SandboxSpec: Template] = [:]
        /// Those that a pool wants loaded, whether anybody asks for them or not.
        var kept: [String: Set<SandboxSpec>] = [:]
        var isOver = false
    }

    /// Each is a process with an interpreter and its libraries in memory.
    private static let most = 64

    private let state = Mutex(State())
    private let reactor: Reactor
    private let warden: WardenLink
    private let cgroups: CgroupPool
    private let logger: Logger
    private let nextID: @Sendable () -> UInt32
    private let nextSandbox: @Sendable () -> UInt64
    private let slots = Mutex<[UInt64: CgroupSlot]>([:])

    /// - Parameters:
    ///   - nextID: a host id that nothing else has.
    ///   - nextSandbox: the warden's number for one more process.
    init(
        reactor: Reactor, warden: WardenLink, cgroups: CgroupPool, logger: Logger, nextID: @escaping @Sendable () -> UInt32,
        nextSandbox: @escaping @Sendable () -> UInt64
    ) {
        (self.reactor, self.warden, self.cgroups, self.logger) = (reactor, warden, cgroups, logger)
        (self.nextID, self.nextSandbox) = (nextID, nextSandbox)
    }

    /// The template of such sandboxes, which begins to load if it is new; `nil` for sandboxes without one, and where no
    /// more can be had.
    func template(for spec: SandboxSpec) -> Template? {
        guard spec.template != nil else { return nil }
        let (template, isNew): (Template?, Bool) = state.withLock { s in
            if let known = s.templates[spec] {
                known.isWanted()
                return (known, false)
            }
            guard !s.isOver, s.templates.count < Self.most, let new = Template(spec, id: nextID()) else { return (nil, false) }
            s.templates[spec] = new
            return (new, true)
        }
        if let template, isNew, case .load = template.due(.now) { load(template) }
        return template
    }

    /// These, and no others of the pool, stay loaded from now on.
    func keep(_ specs: [SandboxSpec], pool: String) {
        state.withLock { $0.kept[pool] = specs.isEmpty ? nil : Set(specs) }
        for spec in specs { _ = template(for: spec) }
    }

    func statuses(pool: String) -> [TemplateStatus] {
        let all = state.withLock { $0.templates.values.filter { $0.spec.pool == pool } }
        return all.map { $0.status() }.sorted { $0.name < $1.name }
    }

    /// For tests.
    var pids: [Int32] { state.withLock { Array($0.templates.values) }.flatMap(\.pids) }

    /// Longer than sandboxes are kept ready for nobody: none is left that would ask for a fork.
    private static let unwanted = Duration.seconds(400)

    /// Once a second: what has failed is tried again, what is old is replaced, what nobody wants any more ends.
    func tick(_ now: ContinuousClock.Instant) {
        let ending = state.withLock { s in
            let ending = s.templates.filter { s.kept[$0.key.pool]?.contains($0.key) != true && now - $0.value.lastWanted > Self.unwanted }
            for spec in ending.keys { s.templates[spec] = nil }
            return Array(ending.values)
        }
        for template in ending {
            for (sandbox, number) in template.processes { warden.kill(sandbox, of: number) }
            logger.info("template is not needed", metadata: ["template": "\(template.template.name)", "pool": "\(template.spec.pool)"])
        }
        for template in state.withLock({ Array($0.templates.values) }) {
            switch template.due(now) {
            case .nothing: break
            case .load: load(template)
            case .end(let sandbox, let number):
                warden.kill(sandbox, of: number)
                over(template, sandbox, "it was not ready in time")
            }
        }
    }

    func close() { state.withLock { $0.isOver = true } }

    // MARK: loading

    private func load(_ template: Template) {
        Task {
            do throws(FarmError) { try await start(template) } catch {
                template.couldNotBegin(error.message)
                logger.error("template cannot be loaded", metadata: ["template": "\(template.template.name)", "error": "\(error.message)"])
            }
        }
    }

    private func start(_ template: Template) async throws(FarmError) {
        let number = try await warden.admit()
        do throws(FarmError) { try start(template, number) } catch {
            warden.giveUp()
            throw error
        }
    }

    private func start(_ template: Template, _ number: Int) throws(FarmError) {
        let slot = try cgroups.take()
        let status: (ours: Int32, theirs: Int32)
        let output: Int32
        do throws(Errno) {
            status = try Sockets.pair()
            output = try Files.memory("paddock-template")
        } catch {
            if let slot { cgroups.giveBack(slot) }
            throw FarmError(.sandboxSetup, "template: \(error)", retryable: true)
        }
        let (ours, theirs, words) = (Descriptor(status.ours), Descriptor(status.theirs), Descriptor(output))
        let sandbox = nextSandbox()
        template.begin(sandbox: sandbox, warden: number, status: ours, output: words)
        if let slot { slots.withLock { $0[sandbox] = slot } }
        do throws(Errno) {
            template.listens(try reactor.register(ours.raw) { [weak self, weak template] in
                if let template { self?.hear(template, sandbox, ours) }
            }, sandbox: sandbox)
        } catch { over(template, sandbox, "reactor: \(error)") }
        let request = TemplateRequest(
            sandbox: sandbox, id: template.id, cgroupVersion: cgroups.hierarchy.version, cgroupFiles: slot?.roles ?? [], root: template.spec.root,
            template: template.template)
        warden.make(WardenLink.Birth(
            sandbox: sandbox, warden: number, message: SpawnerCommand.makeTemplate(request).encoded(), before: [template.asked, theirs, words], slot: slot))
    }

    /// Its runtime says that it is ready, or the warden why it never will be.
    private func hear(_ template: Template, _ sandbox: UInt64, _ socket: Descriptor) {
        // One word is all there is to hear. Nothing at all means that its process has ended, which the warden tells too.
        guard let token = template.takeToken(sandbox) else { return }
        reactor.unregister(token, socket.raw)
        guard let message = try? Channel.receive(socket.raw, wait: false) else { return }
        for d in message.descriptors { Files.close(d) }
        if message.bytes == Array("ready".utf8) { return becameReady(template, sandbox) }
        if case .failed(let failure)? = try? InitEvent(decoding: message.bytes) { over(template, sandbox, "\(failure)") }
    }

    private func becameReady(_ template: Template, _ sandbox: UInt64) {
        let memory = template.loadingPid.flatMap { TemplateMemory(of: $0) }
        if let objection = memory.map(\.objection) ?? "its memory cannot be looked at" {
            if let number = template.warden(of: sandbox) { warden.kill(sandbox, of: number) }
            return over(template, sandbox, objection)
        }
        memory?.collapse()
        let (old, isReady) = template.becameReady(sandbox)
        if let old { warden.kill(old.sandbox, of: old.warden) }
        if isReady { logger.info("template is ready", metadata: ["template": "\(template.template.name)", "pool": "\(template.spec.pool)"]) }
    }

    // MARK: what the warden says

    func made(_ sandbox: UInt64, pid: Int32) {
        for template in state.withLock({ Array($0.templates.values) }) { template.made(sandbox, pid: pid) }
    }

    /// - Returns: false when it is none of the templates' processes.
    func ended(_ sandbox: UInt64, _ failure: Failure?) -> Bool {
        let slot = slots.withLock { $0.removeValue(forKey: sandbox) }
        if let slot { cgroups.discard(slot) }
        guard let template = state.withLock({ $0.templates.values.first { $0.warden(of: sandbox) != nil } }) else { return slot != nil }
        over(template, sandbox, failure.map { "\($0)" } ?? "it ended")
        return true
    }

    func lost(warden number: Int) {
        for template in state.withLock({ Array($0.templates.values) }) {
            for sandbox in template.lives(of: number) { _ = ended(sandbox, Failure(.clone, ESRCH, "the warden ended")) }
        }
    }

    private func over(_ template: Template, _ sandbox: UInt64, _ reason: String) {
        guard let end = template.ended(sandbox, reason), !state.withLock({ $0.isOver }) else { return }
        if let token = end.token { reactor.unregister(token, end.socket.raw) }
        logger.error("template is gone", metadata: [
            "template": "\(template.template.name)", "pool": "\(template.spec.pool)", "reason": "\(template.status().error ?? reason)",
        ])
    }
}
