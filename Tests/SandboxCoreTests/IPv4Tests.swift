// Addresses and networks: what is written is read in one way or not at all.

import SandboxCore
import Testing

@Suite("IPv4 addresses and networks")
struct IPv4Tests {
    @Test("an address is four numbers, written as it is printed", arguments: ["0.0.0.0", "10.1.2.3", "255.255.255.255"])
    func address(text: String) { #expect(IPv4Address(text)?.description == text) }

    @Test("anything else is none", arguments: ["", "10.1", "10.1.2.3.4", "10.1.2.256", "010.1.2.3", "10.1.2.+3", "10.1.2.-1", "10.1.2.3 ", "0x0a.1.2.3", "::1", "a.b.c.d", "10..2.3"])
    func noAddress(text: String) { #expect(IPv4Address(text) == nil) }

    @Test("a network has no bit beyond its prefix", arguments: ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.1/32"])
    func network(text: String) { #expect(IPv4Network(text)?.description == text) }

    @Test("anything else is none", arguments: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/", "/8", "10.0.0.0/8/8", "fd00::/8"])
    func noNetwork(text: String) { #expect(IPv4Network(text) == nil) }

    @Test("an address alone is a network of one")
    func one() { #expect(IPv4Network("192.0.2.1")?.description == "192.0.2.1/32" && IPv4Network("192.0.2.1")?.count == 1) }

    @Test("networks overlap where one holds the other")
    func overlap() throws {
        let (large, small, beside) = (try #require(IPv4Network("10.0.0.0/8")), try #require(IPv4Network("10.9.0.0/16")), try #require(IPv4Network("11.0.0.0/8")))
        #expect(large.overlaps(small) && small.overlaps(large) && large.overlaps(large))
        #expect(!large.overlaps(beside) && !small.overlaps(beside))
        #expect(try #require(IPv4Network("0.0.0.0/0")).overlaps(beside))
    }

    @Test("the addresses of a network are counted from its first")
    func places() throws {
        let network = try #require(IPv4Network("198.18.64.0/18"))
        #expect(network.count == 16_384 && network[0].description == "198.18.64.0" && network[16_383].description == "198.18.127.255")
    }
}
