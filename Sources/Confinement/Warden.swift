// Where the warden's executable begins.

import Glibc
import LinuxSystem

public enum Warden {
    /// The daemon's socket.
    public static let controlDescriptor: Int32 = 3

    /// `paddock-warden spawner DIRECTORY`.
    public static func main(_ arguments: [String]) -> Never {
        guard arguments.count == 3, arguments[1] == "spawner" else {
            try? Files.writeAll(2, "usage: paddock-warden spawner DIRECTORY\nStarted by paddock, with its socket as descriptor 3.\n")
            Processes.exit(2)
        }
        Spawner.serve(control: controlDescriptor, directory: arguments[2])
    }
}
