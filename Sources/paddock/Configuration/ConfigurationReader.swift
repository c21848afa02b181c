// The daemon's configuration file → `DaemonSettings`: every key known, every value of its type and in its range, every
// mistake of the file told at once with its line.

import Farm
import Foundation
import Logging
import Policy
import ProcessBackend
import SandboxCore
import StrictYAML

struct ConfigurationReader {
    static let keys = [
        "version", "socket", "socket_mode", "metrics", "home", "run", "policies", "images", "grace", "log_level", "retention", "retained_bytes",
        "held_bytes", "blob_bytes", "keep_output_bytes", "collect_bytes", "compile_cache", "server", "outbound", "ready", "idle_sandboxes",
        "idle_time", "pools",
    ]
    private static let serverKeys = [
        "max_connections", "max_calls_per_connection", "max_line_bytes", "partial_line_timeout", "max_unfinished_bytes", "max_unread_bytes",
        "max_unread_bytes_per_connection",
    ]
    private static let compileCacheKeys = ["bytes", "entries"]
    private static let outboundKeys = ["allow", "resolvers"]
    private static let poolKeys = ["name", "size", "queue", "image", "policy", "templates", "reuse"]

    private var settings: DaemonSettings
    /// Relative paths in the file are relative to it.
    private let directory: String

    /// - Throws: `Mistakes` with all there are; `UserError` when the file cannot be read.
    static func load(_ path: String) throws -> DaemonSettings {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw UserError("--config: \(Human.safe(path)): \(String(cString: strerror(errno)))", hint: "docs/configuration.md describes the file")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw UserError("--config: \(Human.safe(path)) is not a file") }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw UserError("--config: \(Human.safe(path)): \(String(cString: strerror(errno)))", hint: "look at its rights")
        }
        // One byte more than is allowed, for the reader to complain about; nothing at all for an empty file.
        let data = try handle.read(upToCount: Document.maximumBytes + 1) ?? Data()
        return try parse([UInt8](data), file: path)
    }

    /// - Parameter file: how mistakes call it, and where relative paths begin.
    static func parse(_ bytes: [UInt8], file: String) throws -> DaemonSettings {
        let findings = Findings(file: file)
        var reader = ConfigurationReader(file: file)
        if let value = Document.read(bytes, findings: findings) { reader.read(Field(value: value, path: "", findings: findings)) }
        guard findings.errors.isEmpty else { throw Mistakes(findings.errors) }
        return reader.settings
    }

    private init(file: String) {
        settings = DaemonSettings()
        settings.file = file
        let absolute = file.hasPrefix("/") ? file : "\(FileManager.default.currentDirectoryPath)/\(file)"
        directory = (absolute as NSString).deletingLastPathComponent
    }

    private mutating func read(_ top: Field) {
        guard let fields = top.map(known: Self.keys) else { return }
        switch fields["version"]?.value.kind {
        case .scalar("1", plain: true)?: break
        case nil: top.findings.add("the key \"version\" is missing, expected version: 1", line: top.line)
        default: fields["version"]?.expected("1, the only version there is")
        }
        settings.socket = path(fields["socket"])
        settings.lines["socket"] = fields["socket"]?.line
        settings.metrics = fields["metrics"].flatMap(metricsAddress)
        settings.home = path(fields["home"])
        settings.run = path(fields["run"])
        settings.policies = path(fields["policies"])
        settings.images = path(fields["images"])
        if let mode = fields["socket_mode"].flatMap(mode) { settings.socketMode = mode }
        if let grace = fields["grace"].flatMap({ duration($0, 0...86_400_000) }) { settings.grace = grace }
        if let level = fields["log_level"]?.word(Logger.Level.self) { settings.logLevel = level }
        if let time = fields["retention"].flatMap({ duration($0, 0...604_800_000) }) { settings.engine.retention = time }
        if let bytes = fields["retained_bytes"].flatMap({ size($0, 0...1 << 40) }) { settings.engine.retainedBytes = bytes }
        if let bytes = fields["held_bytes"].flatMap({ size($0, 1 << 20...1 << 40) }) { settings.engine.heldBytes = bytes }
        if let bytes = fields["blob_bytes"].flatMap({ size($0, 0...1 << 50) }) { settings.engine.blobBytes = bytes }
        if let bytes = fields["keep_output_bytes"].flatMap({ size($0, 0...64 << 20) }) { settings.engine.keepOutputBytes = bytes }
        if let bytes = fields["collect_bytes"].flatMap({ size($0, 0...1 << 30) }) { settings.engine.collectBytes = bytes }
        if let ready = fields["ready"].flatMap({ count($0, 0...10_000) }) { settings.ready = ready }
        if let cache = fields["compile_cache"] { readCompileCache(cache) }
        if let idle = fields["idle_sandboxes"].flatMap({ count($0, 0...10_000) }) { settings.engine.idleSandboxes = idle }
        if let time = fields["idle_time"].flatMap({ duration($0, 0...86_400_000) }) { settings.engine.idleTime = time }
        if let server = fields["server"] { readServer(server) }
        if let outbound = fields["outbound"] { readOutbound(outbound) }
        if let pools = fields["pools"] { readPools(pools) }
    }

    private mutating func readCompileCache(_ field: Field) {
        guard let fields = field.map(known: Self.compileCacheKeys) else { return }
        if let bytes = fields["bytes"].flatMap({ size($0, 0...1 << 40) }) { settings.engine.compileCacheBytes = bytes }
        if let count = fields["entries"].flatMap({ count($0, 0...10_000_000) }) { settings.engine.compileCacheEntries = count }
    }

    private mutating func readServer(_ field: Field) {
        guard let fields = field.map(known: Self.serverKeys) else { return }
        if let count = fields["max_connections"].flatMap({ count($0, 1...100_000) }) { settings.server.maxConnections = count }
        if let count = fields["max_calls_per_connection"].flatMap({ count($0, 1...10_000_000) }) { settings.server.maxCallsInFlight = count }
        if let bytes = fields["max_line_bytes"].flatMap({ size($0, 1 << 10...1 << 30) }) { settings.server.json.maxBytes = bytes }
        if let time = fields["partial_line_timeout"].flatMap({ duration($0, 100...86_400_000) }) { settings.server.partialLineTimeout = time }
        if let bytes = fields["max_unfinished_bytes"].flatMap({ size($0, 1 << 20...1 << 40) }) { settings.server.maxUnfinishedBytes = bytes }
        if let bytes = fields["max_unread_bytes"].flatMap({ size($0, 1 << 20...1 << 40) }) { settings.server.maxUnreadBytes = bytes }
        if let bytes = fields["max_unread_bytes_per_connection"].flatMap({ size($0, 1 << 20...1 << 40) }) { settings.server.closeAtUnreadBytes = bytes }
    }

    private mutating func readOutbound(_ field: Field) {
        guard let fields = field.map(known: Self.outboundKeys) else { return }
        if let list = fields["allow"]?.list(maximum: 256, "a list of networks") { settings.outbound.allow = list.compactMap(network) }
        if let list = fields["resolvers"]?.list(maximum: 3, "a list of addresses") {
            if list.isEmpty { fields["resolvers"]?.expected("at least one address, or none of this key") }
            settings.outbound.resolvers = list.compactMap(resolver)
        }
    }

    private mutating func readPools(_ field: Field) {
        guard let list = field.list(maximum: 256, "a list of pools") else { return }
        guard !list.isEmpty else { return field.expected("at least one pool, or none of this key") }
        var names: Set<String> = []
        var lines: [String: Int] = [:]
        settings.pools = list.enumerated().compactMap { index, element in
            guard let fields = element.map(known: Self.poolKeys) else { return nil }
            for key in ["image", "policy"] { lines["pools[\(index)].\(key)"] = fields[key]?.line ?? element.line }
            var pool = PoolConfiguration(size: max(2, ProcessInfo.processInfo.activeProcessorCount))
            guard let name = fields["name"] else {
                element.wrong("the key \"name\" is missing, expected the pool's name")
                return nil
            }
            if let text = name.text(maximum: 64) {
                let characters = Set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
                if text.isEmpty || !text.allSatisfy(characters.contains) { name.expected("1 to 64 of a-z, 0-9, '-', '_' and '.'") }
                if !names.insert(text).inserted { name.wrong("found \(quoted(text)), which another pool is called") }
                pool.name = text
            }
            if let size = fields["size"].flatMap({ count($0, 1...100_000) }) { pool.size = size }
            if let queue = fields["queue"].flatMap({ count($0, 0...1_000_000) }) { pool.queue = queue }
            if let image = fields["image"]?.text(maximum: 256, "an image's name") { pool.image = image }
            if let policy = fields["policy"]?.text(maximum: 256, "a policy's name") { pool.policy = policy }
            if let names = fields["templates"]?.list(maximum: 16, "a list of templates' names") {
                pool.templates = names.compactMap { $0.text(maximum: 64, "a template's name") }
            }
            if let reuse = fields["reuse"]?.word(SandboxReuse.self) { pool.reuse = reuse }
            return pool
        }
        settings.lines.merge(lines) { $1 }
    }

    // MARK: One value

    /// A network that may be opened: not the loopback, and not so large that it was hardly meant.
    private func network(_ field: Field) -> IPv4Network? {
        guard let text = field.text(maximum: 64, "a network") else { return nil }
        guard let network = IPv4Network(text) else {
            field.expected("an IPv4 network with no bit set beyond its prefix, such as 10.1.0.0/16")
            return nil
        }
        guard network.prefix >= 8 else {
            field.expected("a network of at least 8 bits, such as 10.0.0.0/8")
            return nil
        }
        guard !Self.unreachable.contains(where: network.overlaps) else {
            field.expected("a network of other machines: no sandbox reaches the loopback, multicast or broadcast")
            return nil
        }
        return network
    }

    private func resolver(_ field: Field) -> IPv4Address? {
        guard let text = field.text(maximum: 64, "an address") else { return nil }
        guard let address = IPv4Address(text), !Self.unreachable.contains(where: { $0.contains(address) }) else {
            field.expected("the IPv4 address of a name server that is not on the loopback, such as 10.0.0.53")
            return nil
        }
        return address
    }

    private static let unreachable = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"].compactMap { IPv4Network($0) }

    private func metricsAddress(_ field: Field) -> MetricsAddress? {
        guard let text = field.text(maximum: 64, "an address") else { return nil }
        guard let address = MetricsAddress(text) else {
            field.expected(MetricsAddress.expectation)
            return nil
        }
        return address
    }

    private func path(_ field: Field?) -> String? {
        guard let field, let text = field.text(maximum: 4095, "a path") else { return nil }
        guard !text.isEmpty, !text.contains("\n") else {
            field.expected("a path")
            return nil
        }
        return text.hasPrefix("/") ? text : "\(directory)/\(text)"
    }

    private func mode(_ field: Field) -> Int? {
        let expectation = "an octal mode in quotes from \"0600\" to \"0777\", such as \"0660\""
        // Unquoted, other YAML readers would take 0660 for a decimal or an octal number, each as it likes.
        guard case .scalar(let text, plain: false) = field.value.kind, let mode = Int(text, radix: 8), text.count <= 4, (0o600...0o777).contains(mode),
            mode & 0o600 == 0o600
        else {
            field.expected(expectation)
            return nil
        }
        return mode
    }

    private func duration(_ field: Field, _ range: ClosedRange<Int>) -> Duration? {
        quantity(field, .milliseconds, range).map { .milliseconds($0) }
    }

    private func size(_ field: Field, _ range: ClosedRange<Int>) -> Int? { quantity(field, .bytes, range) }
    private func count(_ field: Field, _ range: ClosedRange<Int>) -> Int? { quantity(field, .count, range) }

    private func quantity(_ field: Field, _ unit: LimitField.Unit, _ range: ClosedRange<Int>) -> Int? {
        guard case .scalar(let text, plain: _) = field.value.kind, let value = Quantity.parse(text, as: unit) else {
            field.expected(Quantity.expectation(unit))
            return nil
        }
        guard range.contains(value) else {
            field.expected("\(Quantity.format(range.lowerBound, as: unit)) to \(Quantity.format(range.upperBound, as: unit))")
            return nil
        }
        return value
    }
}
