// Network namespaces for cells, made by the spawner where it is root. One costs as much to make and to take apart as all
// the rest of a sandbox together, and waits for locks that every other's end holds. They belong to the host's user
// namespace, so that nobody in a cell has power over them; and one that comes back as it was serves again.

import Glibc
import LinuxSystem
import SandboxCore

struct NetworkPool {
    struct Place {
        fileprivate let namespace: Int32
        fileprivate let traces: NetworkTraces
        fileprivate let hasLoopback: Bool
    }

    private let home: Int32
    private var free: [Place] = []
    private var lent: [Int32: Place] = [:]
    /// Beyond what comes and goes there is no use in keeping them.
    private static let mostFree = 256

    init() throws(Failure) {
        do { home = try Files.open("/proc/self/ns/net", O_RDONLY) } catch { throw Failure(.prepare, error.code, "network namespace") }
    }

    /// Takes this process, which has to have one thread, into a namespace that nothing went through yet; `leave` has to
    /// follow. A process cloned in between is in it too.
    mutating func enter(loopback: Bool) throws(Failure) -> Place {
        if let index = free.lastIndex(where: { $0.hasLoopback == loopback }) {
            let place = free.remove(at: index)
            try attempt(.networkNamespace, "entering") { () throws(Errno) in try Processes.enter(place.namespace, .network) }
            return place
        }
        do throws(Failure) {
            try attempt(.networkNamespace) { () throws(Errno) in
                try Processes.unshare(.network)
                if loopback { try Processes.loopbackUp() }
            }
            NetworkTraces.settleGroups()
            let namespace: Int32
            do { namespace = try Files.open("/proc/self/ns/net", O_RDONLY) } catch { throw Failure(.networkNamespace, error.code) }
            do throws(Failure) { return Place(namespace: namespace, traces: try NetworkTraces(), hasLoopback: loopback) } catch {
                Files.close(namespace)
                throw error
            }
        } catch {
            leave()
            throw error
        }
    }

    /// Back to the host's. A spawner that stayed would make the next cell's way out from the wrong side.
    func leave() {
        if (try? Processes.enter(home, .network)) == nil { Processes.exit(1) }
    }

    mutating func lend(_ place: Place, to keeper: Int32) { lent[keeper] = place }

    /// - Parameter inOrder: whether every process of the cell is gone for certain.
    mutating func takeBack(from keeper: Int32, inOrder: Bool) {
        guard let place = lent.removeValue(forKey: keeper) else { return }
        if inOrder, free.count < Self.mostFree, place.traces.isBlank() { free.append(place) } else { discard(place) }
    }

    func discard(_ place: Place) {
        place.traces.close()
        Files.close(place.namespace)
    }
}
