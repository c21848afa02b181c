// `paddock serve`: the daemon.

import ArgumentParser
import Farm
import Foundation
import Logging
import SandboxCore
import ServiceLifecycle
import Synchronization
import Telemetry
import UnixSignals
import Wire

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the farm and answer on a Unix socket.",
        discussion: """
            SIGTERM and SIGINT drain it: no new jobs, those it has get the grace period, \
            exit 0; a second one cancels what is left at once. What this host cannot enforce is in the log's first line and \
            in every result. docs/configuration.md describes the file.

            Examples:
              paddock serve
              paddock serve --socket /tmp/farm.sock --log-level debug
              paddock serve --metrics 9464
              paddock serve --config farm.yaml --check
              paddock serve --config farm.yaml
            """)

    @Option(help: ArgumentHelp("The socket's path (default: the file's, or /run/paddock/paddock.sock for root).", valueName: "path"), completion: .file())
    var socket: String?
    @Option(help: ArgumentHelp("A configuration file.", valueName: "file"), completion: .file(extensions: ["yaml"])) var config: String?
    @Option(help: ArgumentHelp("How much to log (default: the file's, or info).", valueName: "level"))
    var logLevel: Logger.Level?
    @Option(help: ArgumentHelp("Serve Prometheus metrics over HTTP at HOST:PORT, or at a PORT of the loopback (default: the file's, or nowhere).", valueName: "address"))
    var metrics: String?
    @Flag(help: "Check the configuration, the socket's path, the policies and the pools' images, and end.") var check = false

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        var settings = try config.map(ConfigurationReader.load) ?? DaemonSettings()
        if let socket { (settings.socket, settings.lines["socket"]) = (socket, nil) }
        if let metrics {
            guard let address = MetricsAddress(metrics) else {
                throw UserError("--metrics: found \"\(Human.safe(metrics))\", expected \(MetricsAddress.expectation)")
            }
            settings.metrics = address
        }
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
        let path = settings.socket ?? layout.socket
        try settings.check(socket: path, catalog)
        if check { return Console.out("\(settings.file ?? "the configuration"): ok, \(Human.counted(settings.pools.count, "pool"))") }

        try StateLock.take(layout.home)
        // Where the kernel shares processors out by session, each job is one and this daemon is one more: without more
        // weight its answers would wait behind jobs that compute.
        try? "-10".write(toFile: "/proc/self/autogroup", atomically: false, encoding: .utf8)
        let engine = try Engine.start(layout, catalog: catalog, configuration: settings.farm(layout), mostReady: settings.ready, outbound: settings.outbound, logger: logger)
        let daemon = Daemon(engine: engine, path: path, settings: settings, logger: logger)
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
        let connections = { @Sendable in server.withLock { $0?.connectionCount ?? 0 } }
        let router = CallRouter(engine, connections: connections)
        let (logger, tally) = (logger, SocketTally())
        let metrics: MetricsServer?
        let started: Server
        do {
            metrics = try await startMetrics(connections, tally)
        } catch {
            await engine.backend.shutdown()
            throw error
        }
        do {
            started = try await Server.start(path: path, mode: settings.socketMode, handler: router, limits: settings.server) { event in
                tally.count(event)
                logger.debug("\(event)")
            }
        } catch {
            await metrics?.shutdown()
            await engine.backend.shutdown()
            throw error
        }
        server.withLock { $0 = started }
        logger.info("serving", metadata: [
            "socket": "\(path)", "pid": "\(getpid())", "unenforced": "\(engine.backend.unenforced.map(\.rawValue).joined(separator: ","))",
        ])
        try? await gracefulShutdown()
        // Whoever is connected, or comes now, is still served: new jobs are turned away by the farm itself, and those who
        // wait for one, or come back to ask for its result, get that.
        let again = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let impatience = Task { [farm = engine.farm] in
            for await _ in again {
                logger.info("told again to end: cancelling what is left")
                farm.cancelAll()
            }
        }
        let finished = await engine.farm.drain(grace: settings.grace)
        impatience.cancel()
        if !finished { logger.warning("some jobs did not end within the grace period") }
        await started.shutdown()
        await engine.backend.shutdown()
        await metrics?.shutdown()
        logger.info("stopped")
    }

    private func startMetrics(_ connections: @escaping @Sendable () -> Int, _ tally: SocketTally) async throws -> MetricsServer? {
        guard let address = settings.metrics else { return nil }
        let (farm, logger, startedAt) = (engine.farm, logger, Date().timeIntervalSince1970)
        let answers = MetricsServer.Answers {
            FarmMetrics(figures: farm.figures(), process: .now(startedAt: startedAt), connections: connections(), socket: tally.counts).text()
        } illness: {
            let figures = farm.figures()
            return figures.draining ? "draining" : figures.backend?.failure.map { "no sandbox can be made: \($0.message)" }
        }
        do {
            let server = try await MetricsServer.start(host: address.host, port: address.port, answers: answers) {
                logger.error("metrics cannot be asked for, trying again", metadata: ["error": "\($0)"])
            }
            logger.info("serving metrics", metadata: ["address": "\(MetricsAddress(host: server.host, port: server.port))"])
            return server
        } catch {
            throw UserError("cannot serve metrics at \(address): \(error)", hint: "choose another address with --metrics", exit: Exit.farm)
        }
    }
}
