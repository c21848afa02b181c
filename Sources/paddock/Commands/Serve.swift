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
            SIGTERM and SIGINT drain it: no new jobs, the running ones get the grace period, exit 0.

            Examples:
              paddock serve
              paddock serve --socket /tmp/farm.sock --config farm.yaml
            """)

    @Option(name: .long, help: "The socket's path (default: /run/paddock/paddock.sock for root).")
    var socket: String?
    @Option(name: .long, help: "A configuration file; docs/configuration.md describes it.")
    var config: String?
    @Option(name: .long, help: "trace, debug, info, notice, warning or error.")
    var logLevel: Logger.Level = .info

    func run() async throws {
        let layout = try Layout.find()
        var settings = try config.map(DaemonSettings.load) ?? DaemonSettings()
        if let socket { settings.socket = socket }
        let level = logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "paddock")
        let engine = try Engine.start(
            layout, configuration: settings.farm(layout), policies: settings.policies, logger: logger)
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
            started = try await Server.start(path: path, mode: settings.socketMode, handler: router) { event in
                logger.debug("\(event)")
            }
        } catch {
            await engine.backend.shutdown()
            throw UserError("\(error)")
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
