// Who asks the farm, and what holds a place for them.

import SandboxCore

/// Who submitted a job; one per connection. Numbers are the caller's to choose and never reused.
public struct ClientID: Sendable, Hashable {
    public let number: UInt64
    public init(_ number: UInt64) { self.number = number }
}

/// A place among those who wait for a job; see `Farm.wait`.
public struct WaitID: Sendable, Hashable {
    let job: JobID
    let number: UInt64
}
