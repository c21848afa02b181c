// What an end said before it went away is heard, whatever it left unread.

import Glibc
import LinuxSystem
import Testing

@testable import Confinement

@Suite("A channel whose other end is gone")
struct ChannelTests {
    @Test("says all that was said, and then that it is gone", arguments: [0, 1, 3])
    func lastWords(unread: Int) throws {
        let (ours, theirs) = try Sockets.pair()
        defer { Files.close(ours) }
        // As a cancel that crosses the report of the step it is for.
        for _ in 0..<unread { try Channel.send(ours, InitCommand.cancel(.client).encoded()) }
        try Channel.send(theirs, InitEvent.ready.encoded())
        try Channel.send(theirs, InitEvent.spent.encoded())
        Files.close(theirs)
        #expect(try Channel.receive(ours, wait: false)?.bytes == InitEvent.ready.encoded())
        #expect(try Channel.receive(ours, wait: false)?.bytes == InitEvent.spent.encoded())
        #expect(try Channel.receive(ours, wait: false)?.bytes == nil)
        #expect(try Channel.receive(ours, wait: true)?.bytes == nil)
    }
}
