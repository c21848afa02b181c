// Colour and emphasis, used sparingly: only on a terminal, and not where NO_COLOR or TERM=dumb asks for none.

import Foundation

/// How text is set off on one stream.
struct Style: Sendable {
    let isOn: Bool

    init(isOn: Bool) { self.isOn = isOn }

    /// For the stream behind a descriptor.
    init(_ descriptor: Int32) {
        func variable(_ name: String) -> String { getenv(name).map { String(cString: $0) } ?? "" }
        isOn = isatty(descriptor) == 1 && variable("NO_COLOR").isEmpty && variable("TERM") != "dumb"
    }

    static let plain = Style(isOn: false)

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func red(_ text: String) -> String { wrap(text, "31") }
    func green(_ text: String) -> String { wrap(text, "32") }
    func yellow(_ text: String) -> String { wrap(text, "33") }

    private func wrap(_ text: String, _ code: String) -> String {
        isOn && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
