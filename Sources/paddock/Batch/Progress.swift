// How far a batch is: a bar that redraws itself on a terminal, a plain line now and then elsewhere. On standard error.

import Foundation

struct Progress {
    private let isTerminal = isatty(2) == 1
    private let style = Style(2)
    private let began = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private var isShown = false

    /// - Parameter size: of the input in bytes, where it is known.
    mutating func draw(_ tally: BatchTally, size: Int?) {
        let now = ContinuousClock.now
        let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
        guard now - (lastDrawn ?? (isTerminal ? now - pause : began)) >= pause else { return }
        lastDrawn = now
        let seconds = max(0.001, (now - began).seconds)
        let failed = tally.failed + tally.bad + tally.lost
        var text = "\(Human.count(tally.done)) done, \(Human.count(failed)) not ok, \(Human.fixed(Double(tally.done) / seconds, 1)) per second"
        guard isTerminal else { return Console.note(text) }
        if let size, size > 0 {
            let share = min(1, Double(tally.bytes) / Double(size))
            let full = Int(share * 20)
            let bar = String(repeating: "█", count: full) + style.dim(String(repeating: "░", count: 20 - full))
            let left = share > 0.01 ? ", \(Human.time(seconds / share * (1 - share) * 1000)) left" : ""
            text = "\(bar) \(Int(share * 100)) %  " + Self.cut(text + left, Console.width(2) - 29)
        } else {
            text = Self.cut(text, Console.width(2) - 1)
        }
        isShown = true
        _ = Console.write(2, Array("\r\u{1B}[K\(text)".utf8))
    }

    /// Takes the bar away, so that something else can be written.
    mutating func clear() {
        if isShown { _ = Console.write(2, Array("\r\u{1B}[K".utf8)) }
        isShown = false
        lastDrawn = nil
    }

    private static func cut(_ text: String, _ width: Int) -> String { text.count > width ? String(text.prefix(max(0, width - 1))) + "…" : text }
}
