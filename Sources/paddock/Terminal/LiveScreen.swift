// The terminal as a screen that is redrawn in place and given back as it was, whatever ends the command.

import Foundation
import Synchronization

final class LiveScreen: Sendable {
    private let before: termios
    private let interrupted = Mutex(false)
    private let interrupts = Mutex<Interrupts?>(nil)

    /// `nil` where there is no terminal to draw on.
    init?() {
        var settings = termios()
        guard isatty(1) == 1, tcgetattr(0, &settings) == 0 else { return nil }
        before = settings
        // Keys one by one, and not shown; ^C stays a signal.
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        tcsetattr(0, TCSANOW, &settings)
        // The other screen, without a cursor.
        _ = Console.write(1, Array("\u{1B}[?1049h\u{1B}[?25l".utf8))
        interrupts.withLock { $0 = Interrupts { [weak self] _ in self?.interrupted.withLock { $0 = true } } }
    }

    func draw(_ lines: [String], rows: Int) {
        // Line by line over what was there: clearing first would flicker.
        let text = lines.prefix(rows - 1).map { $0 + "\u{1B}[K\r\n" }.joined()
        _ = Console.write(1, Array("\u{1B}[H\(text)\u{1B}[J".utf8))
    }

    /// - Returns: whether to go on.
    func wait(seconds: Double) -> Bool {
        let until = ContinuousClock.now + .seconds(seconds)
        while true {
            if interrupted.withLock({ $0 }) { return false }
            let left = (until - ContinuousClock.now).seconds
            if left <= 0 { return true }
            // In short steps, so that ^C is seen soon.
            var input = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard poll(&input, 1, Int32(min(left, 0.1) * 1000) + 1) > 0 else { continue }
            var key: UInt8 = 0
            guard read(0, &key, 1) == 1 else { return false }
            if key == UInt8(ascii: "q") || key == UInt8(ascii: "Q") || key == 27 || key == 3 { return false }
            return true
        }
    }

    func close() {
        _ = Console.write(1, Array("\u{1B}[?25h\u{1B}[?1049l".utf8))
        var settings = before
        tcsetattr(0, TCSANOW, &settings)
    }
}
