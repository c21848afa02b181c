// The pipes of a step's two output streams, made like its child while nobody waits.

import Glibc
import LinuxSystem
import SandboxCore

struct StepPipes {
    let stdout: (read: Int32, write: Int32)
    let stderr: (read: Int32, write: Int32)

    init(for sandbox: Init) throws(Failure) {
        do throws(Errno) {
            stdout = try Self.make(for: sandbox)
            do throws(Errno) { stderr = try Self.make(for: sandbox) } catch {
                Self.close(stdout)
                throw error
            }
        } catch { throw Failure(.prepare, error.code, "pipes") }
    }

    private static func make(for sandbox: Init) throws(Errno) -> (read: Int32, write: Int32) {
        let pipe = try Files.pipe()
        do throws(Errno) {
            // So that a job can open its streams again by name, as /dev/stderr.
            if !sandbox.singleID { try Files.changeOwner(pipe.write, uid: sandbox.spec.user.uid, gid: sandbox.spec.user.gid) }
            try Files.setNonBlocking(pipe.read)
        } catch {
            close(pipe)
            throw error
        }
        return pipe
    }

    private static func close(_ pipe: (read: Int32, write: Int32)) {
        Files.close(pipe.read)
        Files.close(pipe.write)
    }

    func close() {
        Self.close(stdout)
        Self.close(stderr)
    }
}
