// Policies, images and languages as the engine asks for them: by name, resolved, compiled once.

import Farm
import Foundation
import Images
import Policy
import SandboxCore
import Synchronization
import TemplateRuntime

final class FarmCatalog: Catalog {
    private struct Cached: Sendable {
        var stamp: FileStamp?
        var image: ResolvedImage
    }

    private let policies: PolicySource
    /// `nil` for a farm, which compiles once for thousands of jobs.
    private let kept: PolicyCache?
    private let compiled = Mutex<[String: ResolvedPolicy]>([:])
    private let languages: LanguageSource
    private let store: ImageStore
    private let templates: TemplateCatalog
    /// Holds stay for the daemon's life: a rebuilt image's old layers may still be under running sandboxes.
    private let images = Mutex<(cached: [String: Cached], holds: [ImageHold])>(([:], []))

    enum WhenToRead { case now, whenAsked }

    /// - Parameter reading: when policies and the language table are read. Now, and a mistake in either shows here, not with the
    ///   first job; or each when it is asked for, for who will not ask for most of it.
    init(_ layout: Layout, reading: WhenToRead = .now) throws {
        policies = PolicySource(directory: layout.policies)
        kept = reading == .now ? nil : PolicyCache(directory: layout.compiledPolicies, policies: layout.policies)
        languages = LanguageSource(path: layout.languages)
        if reading == .now {
            try policies.all()
            try languages.read()
        }
        store = try ImageStore(root: layout.store)
        templates = TemplateCatalog(definitions: layout.images)
    }

    /// Compiles policies now, so that no job waits for it, and what cannot be compiled is told here.
    /// - Parameter names: all where `nil`; a name there is no policy of is for the job to meet.
    func prepare(policies names: [String]? = nil) throws {
        for name in try names ?? policies.all().names { _ = try compile(name) }
    }

    private func compile(_ name: String) throws -> ResolvedPolicy? {
        if let known = compiled.withLock({ $0[name] }) { return known }
        if let before = kept?.find(name) {
            compiled.withLock { $0[name] = before }
            return before
        }
        guard let (policy, files) = try policies.policy(named: name) else { return nil }
        let resolved = ResolvedPolicy(
            network: policy.network, proc: policy.proc, pty: policy.pty, defaults: policy.limits,
            ceiling: policy.ceiling, environment: policy.environment, seccomp: try policy.compile(),
            tolerateMissing: policy.tolerateMissing)
        compiled.withLock { $0[name] = resolved }
        kept?.keep(name, resolved, madeOf: files)
        return resolved
    }

    /// What keeps a pool from running jobs that name nothing themselves, by the pool's key.
    func problems(of pool: PoolConfiguration) -> [(key: String, message: String)] {
        var problems: [(key: String, message: String)] = []
        if let store = try? policies.all() {
            do throws(Rejected) { _ = try store.policy(named: pool.policy) } catch { problems.append(("policy", error.message)) }
        }
        do throws(Rejected) { _ = try image(named: pool.image) } catch { problems.append(("image", error.message)) }
        return problems
    }

    var policyNames: [String] { (try? policies.all().names) ?? [] }
    var imageNames: [String] { ["host"] + ((try? store.list().map(\.name)) ?? []) }
    var languageNames: [String] { languages.table?.languages.map(\.name) ?? [] }

    func policy(named name: String) -> ResolvedPolicy? { try? compile(name) }

    func image(named name: String) throws(Rejected) -> ResolvedImage {
        let stamp = name == "host" ? nil : FileStamp("\(store.root)/images/\(name).json")
        if let known = images.withLock({ $0.cached[name] }), known.stamp == stamp { return known.image }
        do {
            let files = name == "host" ? try HostImage().resolve(store) : try store.resolve(name)
            let image = ResolvedImage(root: files.root, environment: files.environment)
            images.withLock {
                $0.cached[name] = Cached(stamp: stamp, image: image)
                $0.holds.append(files.hold)
            }
            return image
        } catch {
            throw Rejected(.unknownImage, "\(error)", field: "image")
        }
    }

    func language(named name: String) -> ResolvedLanguage? {
        languages.table?.find(name).map {
            ResolvedLanguage(
                fileName: $0.file, compile: $0.compileCommand(), output: $0.output, run: $0.runCommand(),
                environment: $0.environment, limits: $0.limits)
        }
    }

    func template(named name: String, image: String, policy: String) -> ResolvedTemplate? {
        templates.template(named: name, image: image, policy: policy) {
            guard let rules = self.policy(named: policy), let files = try? self.image(named: image) else { return nil }
            return (files.environment.merging(rules.environment) { $1 }, rules.seccomp != nil)
        }
    }

    func templateNames(image: String) -> [String] { templates.names(image: image) }

    /// Layers of the store stay as they are while they are held, so what is left is what the machine's own image binds.
    func state(of program: String, path: String, in image: ResolvedImage) -> String {
        image.root.binds.isEmpty ? "" : HostToolchain().state(of: program, path: path)
    }

    func language(forFile path: String) -> String? { languages.table?.forFile(path)?.name }
}

/// The language table, read once: at the start, or when somebody asks for a language.
private final class LanguageSource: Sendable {
    private let path: String
    private let known = Mutex<LanguageTable?>(nil)

    init(path: String) { self.path = path }

    func read() throws {
        let read = try LanguageTable.load(path)
        known.withLock { $0 = read }
    }

    /// `nil` where it cannot be read.
    var table: LanguageTable? {
        if let table = known.withLock({ $0 }) { return table }
        try? read()
        return known.withLock { $0 }
    }
}

/// Enough of a file's metadata to see that it was replaced.
private struct FileStamp: Equatable, Sendable {
    var inode: UInt64
    var seconds: Int
    var nanoseconds: Int

    init?(_ path: String) {
        var s = stat()
        guard stat(path, &s) == 0 else { return nil }
        inode = UInt64(s.st_ino)
        seconds = s.st_mtim.tv_sec
        nanoseconds = s.st_mtim.tv_nsec
    }
}
