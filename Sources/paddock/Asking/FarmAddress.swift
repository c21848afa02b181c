// Which daemon a verb speaks to, and the questions of more than one verb.

import ArgumentParser
import Foundation
import SandboxCore
import Wire

struct FarmAddress: ParsableArguments {
    @Option(
        help: ArgumentHelp("The daemon's socket (default: $PADDOCK_SOCKET, or where 'paddock serve' of the same user listens).", valueName: "path"),
        completion: .file())
    var socket: String?

    var path: String { socket ?? Layout.clientSocket }

    func connect() async throws -> Client { try await Client.connect(path: path) }
}

/// The wire's answers, each as the one case its question can have.
extension Client {
    func farmInfo() async throws -> FarmInfo {
        guard case .info(let info) = try await call(.farmInfo) else { throw Self.surprise }
        return info
    }

    func farmStats() async throws -> FarmStats {
        guard case .stats(let stats) = try await call(.farmStats) else { throw Self.surprise }
        return stats
    }

    func pools() async throws -> [PoolStatus] {
        guard case .pools(let pools) = try await call(.poolList) else { throw Self.surprise }
        return pools
    }

    func pool(_ question: Call) async throws -> PoolStatus {
        guard case .pool(let pool) = try await call(question) else { throw Self.surprise }
        return pool
    }

    func jobs(_ filter: JobFilter) async throws -> JobList {
        guard case .jobs(let list) = try await call(.jobList(filter)) else { throw Self.surprise }
        return list
    }

    func job(_ id: JobID) async throws -> JobStatus {
        guard case .status(let status) = try await call(.jobGet(id)) else { throw Self.surprise }
        return status
    }

    /// - Returns: the state the job was in.
    func cancelJob(_ id: JobID) async throws -> JobState {
        guard case .state(_, let state) = try await call(.jobCancel(id)) else { throw Self.surprise }
        return state
    }

    func runJob(_ request: JobRequest) async throws -> JobResult {
        guard case .result(let result) = try await call(.jobRun(request)) else { throw Self.surprise }
        return result
    }

    private static var surprise: ClientError { .badAnswer("an answer to another question") }
}
