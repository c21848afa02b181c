// Counts what the socket's server reports, for operators. Told on its threads, so nothing here waits.

import Synchronization
import Wire

final class SocketTally: Sendable {
    enum Event: String, CaseIterable, Sendable {
        case connected, refused
        case badRequest = "bad_request"
        case closedByServer = "closed_by_server"
        case acceptFailed = "accept_failed"
    }

    private let connected = Atomic(0)
    private let refused = Atomic(0)
    private let badRequest = Atomic(0)
    private let closedByServer = Atomic(0)
    private let acceptFailed = Atomic(0)

    func count(_ event: ServerEvent) {
        switch event {
        case .connected: connected.add(1, ordering: .relaxed)
        case .refused: refused.add(1, ordering: .relaxed)
        case .badRequest: badRequest.add(1, ordering: .relaxed)
        case .closedByServer: closedByServer.add(1, ordering: .relaxed)
        case .acceptFailed: acceptFailed.add(1, ordering: .relaxed)
        case .disconnected: break
        }
    }

    var counts: [Event: Int] {
        [
            .connected: connected.load(ordering: .relaxed), .refused: refused.load(ordering: .relaxed),
            .badRequest: badRequest.load(ordering: .relaxed), .closedByServer: closedByServer.load(ordering: .relaxed),
            .acceptFailed: acceptFailed.load(ordering: .relaxed),
        ]
    }
}
