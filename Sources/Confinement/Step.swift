// The steps of making a sandbox and starting a job. A failure in a child comes back as one of these and an errno:
// a fixed-size record that needs no allocation where none is possible.

/// Where something failed. The raw value travels; the case's name is what people read.
public enum Step: UInt8, Sendable, CaseIterable {
    case decode = 1
    case clone
    case idMap
    case setID
    case mountScratch
    case makeDirectories
    case mountOverlay
    case bindHost
    case mountDevices
    case mountPty
    case mountProc
    case maskProc
    case bindScratch
    case resizeScratch
    case renew
    case networkNamespace
    case initClone
    case pivotRoot
    case hostname
    case outboundLink
    case resolvers
    case loopback
    case capabilityBounds
    case prepare
    case placeFiles
    case cgroupLimits
    case childClone
    case childCgroupJoin
    case childCgroupNamespace
    case childSession
    case childSignals
    case childLimits
    case childDirectory
    case childStandardStreams
    case childIDs
    case childCapabilities
    case childNoNewPrivileges
    case childCloseDescriptors
    case childSeccomp
    case childExec
    case supervise
    case templateIDs
    case templateExec

    // Of a fork of a template; the numbers are those of `CFork.h`.
    case forkNamespaces = 64
    case forkClone
    case forkCgroupJoin
    case forkCgroupNamespace
    case forkSession
    case forkIDs
    case forkCapabilities
    case forkDescriptors
    case forkJob
    case forkLimits
    case forkStandardStreams
    case forkDirectory
    case forkSeccomp
    /// No fork came, or it went away.
    case forkWait

    public var name: String { String(describing: self) }
}
