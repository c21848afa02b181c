// A running job's output → this process's own streams, as it comes and in its order.

import Foundation
import LinuxSystem
import SandboxCore
import Synchronization

final class OutputRelay: Sendable {
    private let stopped = Atomic<Bool>(false)
    private let failure = Atomic<Int32>(0)
    private let failed: @Sendable () -> Void

    /// - Parameter failed: called when the output cannot be passed on any more, because nobody reads it (`| head`) or there is no room for it.
    init(failed: @escaping @Sendable () -> Void) { self.failed = failed }

    /// Why it could not be passed on; EPIPE where nobody reads it any more.
    var loss: Errno? {
        let code = failure.load(ordering: .relaxed)
        return code == 0 ? nil : Errno(code)
    }

    func send(_ stream: SandboxCore.OutputStream, _ bytes: [UInt8]) {
        guard !stopped.load(ordering: .relaxed) else { return }
        let written = Console.write(stream == .stdout ? 1 : 2, bytes) { !stopped.load(ordering: .relaxed) }
        let code = errno
        guard !written, !stopped.exchange(true, ordering: .relaxed) else { return }
        failure.store(code, ordering: .relaxed)
        failed()
    }

    /// What comes from now on is dropped: whoever interrupts does not want to wait for a slow reader.
    func stop() { stopped.store(true, ordering: .relaxed) }
}
