// The farm at a glance: what `paddock status` prints once and `paddock top` again and again.

import SandboxCore
import Wire

struct FarmScreen {
    var info: FarmInfo
    /// `nil` where the farm does not tell them to this user.
    var stats: FarmStats?
    var pools: [PoolStatus]?
    var socket: String
    /// Whose stages are shown; of all pools together where `nil`.
    var pool: String?
    var style: Style
    var width: Int

    static func ask(_ client: Client, socket: String, pool: String? = nil, style: Style, width: Int) async throws -> FarmScreen {
        var screen = FarmScreen(info: try await client.farmInfo(), stats: nil, pools: nil, socket: socket, pool: pool, style: style, width: width)
        do {
            screen.stats = try await client.farmStats()
            screen.pools = try await client.pools()
        } catch ClientError.rejected(let rejected) where rejected.code == .notPermitted {}
        if let pool, let stats = screen.stats, stats.stagesByPool[pool] == nil {
            throw UserError("--pool: found \"\(Human.safe(pool))\", expected one of \(stats.stagesByPool.keys.sorted().map { Human.safe($0) }.joined(separator: ", "))")
        }
        return screen
    }

    func lines() -> [String] {
        var lines = header()
        guard let stats, let pools else {
            lines += ["", style.yellow("Figures and pools are shown to the daemon's own user and to root only.")]
            return lines
        }
        lines += [""] + jobs(stats)
        // Before the first job has ended there is nothing to see in them.
        if !stats.outcomes.isEmpty { lines += [""] + stages(stats) }
        lines += [""] + Self.table(of: pools, width: width, style: style)
        return lines
    }

    func header() -> [String] {
        let host = info.host
        var lines = [style.bold("paddock \(Human.safe(info.version))") + "  up \(Human.time(info.uptimeMs)), pid \(info.pid)"]
        lines += folded("socket", [Human.safe(socket)])
        lines += folded("host", [
            "Linux \(Human.safe(host.kernel))", Human.safe(host.architecture), Human.counted(host.cpus, "cpu"), Human.bytes(host.memoryBytes),
            host.cgroup == "none" ? "no cgroups" : "cgroup \(Human.safe(host.cgroup))", host.root ? "root" : "not root",
        ])
        if !info.unenforced.isEmpty { lines += folded("lacks", info.unenforced.map { Human.safe($0) }, paint: style.yellow) }
        return lines
    }

    func jobs(_ stats: FarmStats) -> [String] {
        let order = ["exited", "signaled", "limit_exceeded", "syscall_denied", "cancelled"]
        let outcomes = stats.outcomes.sorted { (order.firstIndex(of: $0.key) ?? 9, $0.key) < (order.firstIndex(of: $1.key) ?? 9, $1.key) }
        var lines = folded("jobs", [
            "\(Human.count(stats.running)) running", "\(Human.count(stats.queued)) queued", "\(Human.fixed(stats.jobsPerSecond, 1)) per second",
            "\(Human.count(stats.submitted)) submitted", "\(Human.count(stats.rejected)) turned away",
        ])
        if !outcomes.isEmpty { lines += folded("ended", outcomes.map { "\(Human.count($0.value)) \(Human.safe($0.key))" }) }
        if !stats.farmErrors.isEmpty {
            let errors = stats.farmErrors.sorted { $0.key < $1.key }.map { "\(Human.count($0.value)) \(Human.safe($0.key))" }
            lines += folded("failures", errors, paint: style.red)
        }
        let cache = stats.compileCache
        if cache.hits + cache.shared + cache.misses > 0 {
            lines += folded("compiles", [
                "\(Human.count(cache.misses)) run", "\(Human.count(cache.hits + cache.shared)) cached",
                "\(Human.count(cache.entries)) kept (\(Human.bytes(cache.bytes)))",
            ])
        }
        lines += folded("daemon", [
            "memory \(Human.bytes(stats.memoryBytes))", Human.counted(stats.connections, "connection"),
            "\(Human.counted(stats.keptResults, "result")) kept (\(Human.bytes(stats.keptResultBytes)))",
            "\(Human.counted(stats.blobs, "blob")) (\(Human.bytes(stats.blobBytes)))",
        ])
        return lines
    }

    /// A row for each stage, with a drawing of its histogram where there is room for one.
    func stages(_ stats: FarmStats) -> [String] {
        let stages = pool.flatMap { stats.stagesByPool[$0] } ?? stats.stages
        let shown = Stage.allCases.compactMap { stage in stages[stage.rawValue].map { (stage.rawValue, $0) } }
        let drawing = StageDrawing(shown.map(\.1))
        var table = Table([
            .init("STAGE"), .init("COUNT", .right), .init("P50", .right), .init("P90", .right), .init("P99", .right), .init("MAX", .right),
        ])
        for (name, times) in shown {
            let figures = [times.p50Ms, times.p90Ms, times.p99Ms, times.maxMs].map { times.count > 0 ? StageDrawing.time($0) : "-" }
            table.add([.init(name), .init(Human.count(times.count))] + figures.map { .init($0) })
        }
        let lines = table.lines(width: width, style: style)
        // What a drawing shows is told by the figures, too: it is left out rather than cut.
        let plain = table.lines(width: width, style: Style.plain).map(\.count).max() ?? 0
        guard let drawing, plain + 2 + drawing.title.count <= width else { return lines }
        return zip(lines, [style.dim(drawing.title)] + shown.map { drawing.line($0.1) }).map { $0 + "  " + $1 }
    }

    static func table(of pools: [PoolStatus], width: Int, style: Style) -> [String] {
        var table = Table([
            .init("POOL", shrinks: true), .init("STATE"), .init("BACKEND"), .init("IMAGE", shrinks: true), .init("POLICY", shrinks: true),
            .init("REUSE"), .init("SIZE", .right), .init("RUNNING", .right), .init("QUEUED", .right), .init("QUEUE", .right),
        ])
        for pool in pools {
            table.add([
                .init(Human.safe(pool.name), style.bold), .init(pool.state.rawValue, pool.state == .open ? nil : style.yellow),
                .init(Human.safe(pool.backend)), .init(Human.safe(pool.image)), .init(Human.safe(pool.policy)),
                .init(pool.reuse.rawValue), .init(Human.count(pool.size)),
                .init(Human.count(pool.running)), .init(Human.count(pool.queued)), .init(Human.count(pool.queue)),
            ])
        }
        let templates = Self.templates(of: pools, width: width, style: style)
        return table.lines(width: width, style: style) + (templates.isEmpty ? [] : [""] + templates)
    }

    /// A row for each template of each pool; nothing where no pool keeps any.
    private static func templates(of pools: [PoolStatus], width: Int, style: Style) -> [String] {
        guard pools.contains(where: { !$0.templates.isEmpty }) else { return [] }
        var table = Table([.init("TEMPLATE"), .init("POOL", shrinks: true), .init("STATE"), .init("FORKS", .right), .init("LOADS", .right), .init("ERROR", shrinks: true)])
        for pool in pools {
            for template in pool.templates {
                let paint: (@Sendable (String) -> String)? = switch template.state {
                case .ready: nil
                case .loading: style.yellow
                case .failed: style.red
                }
                table.add([
                    .init(Human.safe(template.name), style.bold), .init(Human.safe(pool.name)), .init(template.state.rawValue, paint),
                    .init(Human.count(template.forks)), .init(Human.count(template.loads)), .init(template.state == .failed ? Human.safe(template.error ?? "") : ""),
                ])
            }
        }
        return table.lines(width: width, style: style)
    }

    /// `label  a, b, c`, in as many lines as the width asks for.
    private func folded(_ label: String, _ parts: [String], paint: (String) -> String = { $0 }) -> [String] {
        let indent = 9
        var lines: [String] = []
        var line = ""
        for (index, part) in parts.enumerated() {
            let piece = part + (index < parts.count - 1 ? "," : "")
            if !line.isEmpty, indent + line.count + 1 + piece.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + piece
        }
        lines.append(line)
        return lines.enumerated().map { index, line in
            let head = index == 0 ? style.dim(label) + String(repeating: " ", count: max(1, indent - label.count)) : String(repeating: " ", count: indent)
            return head + paint(line)
        }
    }
}
