// What an operator decides about a daemon, with the defaults that hold where nothing is said. docs/configuration.md
// describes every key; ConfigurationReader fills this in from a file.

import Farm
import Foundation
import Logging
import ProcessBackend
import SandboxCore
import Wire

struct DaemonSettings: Sendable {
    /// The file it was read from, for messages.
    var file: String?
    /// Where in it things are said that only the machine can tell to be wrong, by key: `socket`, `pools[1].image`.
    var lines: [String: Int] = [:]
    var socket: String?
    var socketMode = 0o600
    /// Where metrics are served; nowhere where `nil`.
    var metrics: MetricsAddress?
    var home: String?
    var run: String?
    var policies: String?
    var images: String?
    var grace: Duration = .seconds(30)
    var logLevel: Logger.Level = .info
    /// The engine's own bounds; its directories and pools are decided in `farm(_:)`.
    var engine = FarmConfiguration(blobDirectory: "")
    var server = ServerLimits()
    /// The most sandboxes of one kind that are kept ready ahead of need.
    var ready = 64
    var outbound = OutboundSettings()
    var pools: [PoolConfiguration] = [PoolConfiguration(size: max(2, ProcessInfo.processInfo.activeProcessorCount))]

    func farm(_ layout: Layout) -> FarmConfiguration {
        var configuration = engine
        configuration.pools = pools
        configuration.blobDirectory = layout.blobs
        return configuration
    }

    /// The machine's layout, with the places the file names in place of the usual ones.
    func layout() throws -> Layout {
        var layout = try Layout.find()
        if let home { layout.home = home }
        if let run { layout.run = run }
        if let policies { layout.policies = policies }
        if let images { layout.images = images }
        return layout
    }
}
