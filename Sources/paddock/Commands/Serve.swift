// `paddock serve`: the daemon.

import ArgumentParser
import Farm
import Foundation
import Logging
import SandboxCore
import ServiceLifecycle
import Synchronization
import Wire

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the farm and answer on a Unix socket.",
        discussion: """
            SIGTERM and SIGINT drain it: no new jobs, the running ones get the grace \
            period, exit 0. What this host cannot enforce is in the log's first line and \
            in every result. docs/configuration.md describes the file.

            Examples:
              paddock serve
              paddock serve --socket /tmp/farm.sock --log-level debug
              paddock serve --config farm.yaml --check
              paddock serve --config farm.yaml
            """)

    @Option(help: ArgumentHelp("The socket's path (default: the file's, or /run/paddock/paddock.sock for root).", valueName: "path"), completion: .file())
    var socket: String?
    @Option(help: ArgumentHelp("A configuration file.", valueName: "file"), completion: .file(extensions: ["yaml"])) var config: String?
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning or error (default: the file's, or info).", valueName: "level"))
    var logLevel: Logger.Level?
    @Flag(help: "Check the configuration, the policies and the pools' images, and end.") var check = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        var settings = try config.map(ConfigurationReader.load) ?? DaemonSettings()
        if let socket { settings.socket = socket }
        let layout = try settings.layout()
        let level = logLevel ?? settings.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "paddock")
        try layout.makeDirectories()
        let catalog = try FarmCatalog(layout)
        try catalog.prepare()
        for (index, pool) in settings.pools.enumerated() {
            do throws(Rejected) {
                try catalog.check(pool, "pools[\(index)]")
            } catch {
                throw UserError("\(settings.file.map { "\($0): " } ?? "")\(error.field ?? "pools[\(index)]"): \(error.message)")
            }
        }
        if check { return Console.out("\(settings.file ?? "the configuration"): ok, \(Human.counted(settings.pools.count, "pool"))") }

        try StateLock.take(layout.home)
        let engine = try Engine.start(layout, catalog: catalog, configuration: settings.farm(layout), mostReady: settings.ready, outbound: settings.outbound, logger: logger)
        let daemon = Daemon(engine: engine, path: settings.socket ?? layout.socket, settings: settings, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: daemon, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }))
        try await group.run()
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// The daemon as a service: up until told to stop, then drained.
struct Daemon: Service {
    let engine: Engine
    let path: String
    let settings: DaemonSettings
    let logger: Logger

    func run() async throws {
        let server = Mutex<Server?>(nil)
        let router = CallRouter(engine, connections: { server.withLock { $0?.connectionCount ?? 0 } })
        let logger = logger
        let started: Server
        do {
            started = try await Server.start(path: path, mode: settings.socketMode, handler: router, limits: settings.server) { event in
                logger.debug("\(event)")
            }
        } catch {
            await engine.backend.shutdown()
            throw error
        }
        server.withLock { $0 = started }
        logger.info("serving", metadata: [
            "socket": "\(path)", "pid": "\(getpid())", "unenforced": "\(engine.backend.unenforced.map(\.rawValue).joined(separator: ","))",
        ])
        try? await gracefulShutdown()
        await started.stopAccepting()
        let finished = await engine.farm.drain(grace: settings.grace)
        if !finished { logger.warning("some jobs did not end within the grace period") }
        await started.shutdown()
        await engine.backend.shutdown()
        logger.info("stopped")
    }
}
