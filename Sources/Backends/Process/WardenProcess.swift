// Starts the warden's spawner and says when it is gone.

import Confinement
import Glibc
import LinuxSystem
import SandboxCore

struct WardenProcess: Sendable {
    let pid: Int32
    let socket: Descriptor

    /// The spawner mounts its workshop on the configuration's directory, in a mount namespace of its own.
    static func start(_ configuration: ProcessBackend.Configuration) throws(FarmError) -> WardenProcess {
        let (executable, directory) = (configuration.warden, configuration.directory)
        guard access(executable, X_OK) == 0 else {
            throw FarmError(.sandboxSetup, "paddock-warden is not at \(executable): build it, or name it with PADDOCK_WARDEN")
        }
        let (ours, theirs): (Int32, Int32)
        do {
            (ours, theirs) = try Sockets.pair()
            Sockets.setSendBuffer(ours, bytes: 1 << 20)
        } catch { throw FarmError(.sandboxSetup, "socketpair: \(error)") }
        defer { Files.close(theirs) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, theirs, Warden.controlDescriptor)
        pd_spawn_close_from(&actions, Warden.controlDescriptor + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A session of its own: a terminal's signals are for the daemon, which then ends the warden in good order.
        var all = sigset_t()
        sigfillset(&all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | Int32(PD_SPAWN_SETSID)))

        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [executable, "spawner", directory].map { (text: String) in strdup(text) }
        defer { arguments.forEach { free($0) } }
        arguments.append(nil)
        // An environment of nothing: its copy would be in every sandbox's init.
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        let r = posix_spawn(&pid, executable, &actions, &attributes, &arguments, &environment)
        guard r == 0 else {
            Files.close(ours)
            throw FarmError(.sandboxSetup, "\(executable): \(Errno(r))")
        }
        return WardenProcess(pid: pid, socket: Descriptor(ours))
    }

    /// Ends the spawner, and with it every sandbox. To be called once.
    func end() {
        // A spawner whose daemon goes away kills its sandboxes and waits until they are gone: that is the good order.
        shutdown(socket.raw, Int32(SHUT_RDWR))
        if let process = try? Processes.descriptor(of: pid) {
            var poll = PollSet()
            poll.add(process)
            try? poll.wait(nanoseconds: 5_000_000_000)
            Files.close(process)
        }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
    }
}
