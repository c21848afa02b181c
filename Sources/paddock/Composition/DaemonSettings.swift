// The daemon's configuration file.

import Farm
import Foundation

struct DaemonSettings: Sendable {
    var socket: String?
    var socketMode = 0o600
    var policies: String?
    var grace: Duration = .seconds(30)
    var pools: [PoolConfiguration] = [PoolConfiguration(size: max(2, ProcessInfo.processInfo.activeProcessorCount))]

    static func load(_ path: String) throws -> DaemonSettings { DaemonSettings() }

    func farm(_ layout: Layout) -> FarmConfiguration {
        FarmConfiguration(pools: pools, blobDirectory: layout.blobs)
    }
}
