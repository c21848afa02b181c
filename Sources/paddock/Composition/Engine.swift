// Puts an engine together: a farm over the process backend with the catalog of this machine.

import Farm
import Foundation
import Logging
import Policy
import ProcessBackend
import SandboxCore

struct Engine: Sendable {
    let farm: Farm
    let catalog: FarmCatalog
    let backend: ProcessBackend

    /// - Parameter mostReady: how many sandboxes of a kind may be kept ready ahead of need.
    static func start(
        _ layout: Layout, catalog: FarmCatalog, configuration: FarmConfiguration, mostReady: Int,
        outbound: OutboundSettings = OutboundSettings(), logger: Logger
    ) throws -> Engine {
        try Engine(processBackend(layout, logger, mostReady: mostReady, outbound: outbound), catalog: catalog, configuration: configuration, logger: logger)
    }

    /// Over a backend that is there already.
    init(_ backend: ProcessBackend, catalog: FarmCatalog, configuration: FarmConfiguration, logger: Logger) throws {
        farm = try Farm(configuration: configuration, backend: backend, catalog: catalog, judge: FarmJudge(), logger: logger)
        self.catalog = catalog
        self.backend = backend
    }

    static func processBackend(
        _ layout: Layout, _ logger: Logger, isForOneSandbox: Bool = false, mostReady: Int = 0, outbound: OutboundSettings = OutboundSettings()
    ) throws -> ProcessBackend {
        try ProcessBackend(
            .init(
                warden: layout.warden, directory: layout.wardenDirectory, isForOneSandbox: isForOneSandbox, mostSpare: mostReady, outbound: outbound
            ) { _, number in syscallName(number: Int(number)) ?? "syscall_\(number)" },
            logger: logger)
    }
}
