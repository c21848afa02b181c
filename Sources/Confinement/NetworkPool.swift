// Network namespaces for cells, made by the spawner where it is root. One costs as much to make and to take apart as all
// the rest of a sandbox together, and waits for locks that every other's end holds. They belong to the host's user
// namespace, so that nobody in a cell has power over them; and one that comes back as it was serves again. Cells whose
// jobs can make no socket at all are in one that is empty for ever.

import Glibc
import LinuxSystem
import SandboxCore

struct NetworkPool {
    /// One that belongs to a single cell. Of thousands that are lent, each holds no more than its descriptor.
    struct Place {
        fileprivate let namespace: Int32
        fileprivate let blank: NetworkTraces.Reading
        fileprivate let hasLoopback: Bool
        /// What `NetworkTraces.settleGroups` said of it.
        let tellsAll: Bool
    }

    private let home: Int32
    private var free: [Place] = []
    private var lent: [Int32: Place] = [:]
    /// The empty one.
    private var empty: Int32?
    /// What a new one says of itself; nearly always the same.
    private var lastBlank: NetworkTraces.Reading?
    /// Beyond what comes and goes there is no use in keeping them.
    private static let mostFree = 256

    init() throws(Failure) {
        do { home = try Files.open("/proc/self/ns/net", O_RDONLY) } catch { throw Failure(.prepare, error.code, "network namespace") }
    }

    /// Takes this process, which has to have one thread, into a namespace that nothing went through yet; `leave` has to
    /// follow. A process cloned in between is in it too.
    /// - Returns: what is to be lent to the cell or discarded; `nil` for the one that is nobody's.
    mutating func enter(for spec: SandboxSpec) throws(Failure) -> Place? {
        if spec.mayShareNetwork {
            if let empty {
                try attempt(.networkNamespace, "entering") { () throws(Errno) in try Processes.enter(empty, .network) }
            } else {
                empty = try make(loopback: false).namespace
            }
            return nil
        }
        let loopback = spec.network != .none
        if let index = free.lastIndex(where: { $0.hasLoopback == loopback }) {
            let place = free.remove(at: index)
            try attempt(.networkNamespace, "entering") { () throws(Errno) in try Processes.enter(place.namespace, .network) }
            return place
        }
        return try makePlace(loopback: loopback)
    }

    /// One with a loopback, while nobody waits for it: the first cell's birth is half as long then.
    mutating func makeAhead() {
        guard let place = try? makePlace(loopback: true) else { return }
        leave()
        free.append(place)
    }

    /// Makes a namespace that this process is in afterwards.
    private mutating func makePlace(loopback: Bool) throws(Failure) -> Place {
        let (namespace, tellsAll) = try make(loopback: loopback)
        do throws(Failure) {
            var blank = try NetworkTraces.read()
            if let lastBlank, lastBlank == blank { blank = lastBlank } else { lastBlank = blank }
            return Place(namespace: namespace, blank: blank, hasLoopback: loopback, tellsAll: tellsAll)
        } catch {
            Files.close(namespace)
            leave()
            throw error
        }
    }

    private func make(loopback: Bool) throws(Failure) -> (namespace: Int32, tellsAll: Bool) {
        do throws(Errno) {
            try Processes.unshare(.network)
            if loopback { try Processes.loopbackUp() }
            let tellsAll = NetworkTraces.settleGroups()
            return (try Files.open("/proc/self/ns/net", O_RDONLY), tellsAll)
        } catch {
            leave()
            throw Failure(.networkNamespace, error.code)
        }
    }

    /// Back to the host's. A spawner that stayed would make the next cell's way out from the wrong side.
    func leave() {
        if (try? Processes.enter(home, .network)) == nil { Processes.exit(1) }
    }

    mutating func lend(_ place: Place, to cell: Int32) { lent[cell] = place }

    /// To be called when every process of the cell has ended.
    /// - Parameter isUntouched: whether its init says that no job did anything in it.
    mutating func takeBack(from cell: Int32, isUntouched: Bool) {
        guard let place = lent.removeValue(forKey: cell) else { return }
        if free.count < Self.mostFree, isUntouched || isBlank(place) { free.append(place) } else { discard(place) }
    }

    private func isBlank(_ place: Place) -> Bool {
        guard place.tellsAll, (try? Processes.enter(place.namespace, .network)) != nil else { return false }
        defer { leave() }
        return (try? NetworkTraces.read())?.shows(place.blank) ?? false
    }

    func discard(_ place: Place) { Files.close(place.namespace) }
}

extension SandboxSpec {
    /// Whether it may be in one network namespace with others: there is nothing in it, not even a loopback, and its jobs
    /// can make no socket. Without a socket nothing can be sent, and no name be taken that another would find.
    var mayShareNetwork: Bool { network == .none && !(seccomp?.permitsSockets ?? true) }

    /// Whether it may be in one ipc namespace with others: its jobs can make nothing there, so there is never anything in it.
    var mayShareIPC: Bool { !(seccomp?.permitsIPC ?? true) }
}
