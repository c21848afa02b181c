// The right to answer one call, once. It cannot be lost: a responder that goes away unused answers for itself.

import SandboxCore
import Synchronization

/// Answers one call, from any thread. The first answer counts; later ones are ignored.
public final class Responder: Sendable {
    /// What the client calls the request.
    public let id: RequestID
    private let connection: ClientConnection
    private let used = Atomic<Bool>(false)

    init(id: RequestID, connection: ClientConnection) {
        self.id = id
        self.connection = connection
        connection.outbox.callBegan()
    }

    deinit { fail(FarmError(.internal, "the farm lost this request without an answer", retryable: true)) }

    public func answer(_ answer: Answer) {
        guard take() else { return }
        connection.outbox.send(Line.answer(id, answer), endsCall: true)
    }

    public func reject(_ rejected: Rejected) { fail(.rejected(rejected)) }
    public func fail(_ error: FarmError) { fail(.farm(error)) }

    public func fail(_ failure: Failure) {
        guard take() else { return }
        let error = ErrorObject(failure)
        connection.outbox.send(Line.error(id, error), endsCall: true)
    }

    private func take() -> Bool { !used.exchange(true, ordering: .relaxed) }
}
