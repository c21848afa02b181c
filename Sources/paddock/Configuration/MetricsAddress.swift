// Where metrics are served: `--metrics`, and the file's key `metrics`.

import Foundation

struct MetricsAddress: Sendable, Equatable {
    /// An address, never a name: what is opened must not depend on what a name server says.
    var host: String
    /// 0 for one that is free.
    var port: Int

    static let expectation = "HOST:PORT, :PORT or PORT, with an address such as 127.0.0.1 or [::1]; without one it is the loopback"

    init(host: String, port: Int) { (self.host, self.port) = (host, port) }

    init?(_ text: String) {
        let (host, port): (Substring, Substring)
        if let colon = text.lastIndex(of: ":") {
            (host, port) = (text[..<colon], text[text.index(after: colon)...])
        } else {
            (host, port) = ("", text[...])
        }
        guard port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(port), (0...65_535).contains(number) else { return nil }
        self.port = number
        switch host {
        case "", "localhost": self.host = "127.0.0.1"
        case let host where host.hasPrefix("[") && host.hasSuffix("]"):
            self.host = String(host.dropFirst().dropLast())
            var address = in6_addr()
            guard inet_pton(AF_INET6, self.host, &address) == 1 else { return nil }
        default:
            self.host = String(host)
            var address = in_addr()
            guard inet_pton(AF_INET, self.host, &address) == 1 else { return nil }
        }
    }
}

extension MetricsAddress: CustomStringConvertible {
    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
