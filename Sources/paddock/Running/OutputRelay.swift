// A running job's output → this process's own streams, as it comes and in its order.

import Foundation
import SandboxCore
import Synchronization

final class OutputRelay: Sendable {
    private let stopped = Atomic<Bool>(false)
    private let lost = Atomic<Bool>(false)
    private let readerGone: @Sendable () -> Void

    /// - Parameter readerGone: called when nobody reads the output any more (`| head`).
    init(readerGone: @escaping @Sendable () -> Void) { self.readerGone = readerGone }

    /// Whether the reader went away before the job had ended.
    var isReaderGone: Bool { lost.load(ordering: .relaxed) }

    func send(_ stream: SandboxCore.OutputStream, _ bytes: [UInt8]) {
        guard !stopped.load(ordering: .relaxed) else { return }
        let written = Console.write(stream == .stdout ? 1 : 2, bytes) { !stopped.load(ordering: .relaxed) }
        guard !written, !stopped.exchange(true, ordering: .relaxed) else { return }
        lost.store(true, ordering: .relaxed)
        readerGone()
    }

    /// What comes from now on is dropped: whoever interrupts does not want to wait for a slow reader.
    func stop() { stopped.store(true, ordering: .relaxed) }
}
