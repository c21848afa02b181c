// One job of a batch to the farm and back, however often that has to be tried: a full queue is waited for, and with
// `--retry` what may pass on its own is tried again under the same idempotency key, so that no job ever runs twice.

import Foundation
import SandboxCore
import Wire

actor BatchConnection {
    private let path: String
    private let retries: Bool
    private var client: Client
    private var generation = 0
    private var reconnecting: Task<Client, any Error>?

    init(path: String, retries: Bool) async throws {
        self.path = path
        self.retries = retries
        client = try await Client.connect(path: path)
    }

    func close() async { await client.close() }

    nonisolated func run(_ request: JobRequest) async throws(ClientError) -> JobResult {
        var attempt = 0
        while true {
            let (client, generation) = await current()
            do throws(ClientError) {
                guard case .result(let result) = try await client.call(.jobRun(request)) else { throw .badAnswer("an answer to another question") }
                return result
            } catch {
                switch error {
                case .rejected(let rejected) where rejected.code == .queueFull:
                    try await pause(milliseconds: min(max(rejected.retryAfterMs ?? 100, 10), 60_000), error)
                // A daemon that ends has another one after it, as often as not; a pool that is drained may be resumed.
                case .rejected(let rejected) where retries && rejected.code == .draining && attempt < 5:
                    attempt += 1
                    try await pause(milliseconds: min(max(rejected.retryAfterMs ?? 1_000, 10), 60_000), error)
                case .farm(let failure) where retries && failure.retryable && attempt < 5:
                    attempt += 1
                    try await pause(milliseconds: 100 << attempt, error)
                case .disconnected where retries && attempt < 5:
                    attempt += 1
                    try await reconnect(after: generation, error)
                default: throw error
                }
            }
        }
    }

    private nonisolated func pause(milliseconds: Int, _ error: ClientError) async throws(ClientError) {
        // Not all at once: a thousand jobs were turned away at the same moment.
        do { try await Task.sleep(for: .milliseconds(milliseconds + Int.random(in: 0...milliseconds / 4))) } catch { throw .cancelled }
    }

    private func current() -> (Client, Int) { (client, generation) }

    /// One new connection for all who lost the same old one.
    private func reconnect(after lost: Int, _ error: ClientError) async throws(ClientError) {
        guard lost == generation else { return }
        let task = reconnecting ?? Task { [path] in
            for attempt in 0..<30 {
                if let client = try? await Client.connect(path: path) { return client }
                try await Task.sleep(for: .milliseconds(min(2000, 50 << min(attempt, 6))))
            }
            throw error
        }
        reconnecting = task
        do {
            let new = try await task.value
            if lost == generation {
                client = new
                generation += 1
                reconnecting = nil
            }
        } catch {
            reconnecting = nil
            throw (error as? ClientError) ?? .cancelled
        }
    }
}
