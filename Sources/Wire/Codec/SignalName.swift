// Signals by name: numbers differ between architectures, names do not. These are x86-64's and arm64's numbers.

/// What results and people call a signal.
public enum SignalName {
    private static let names = [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
        "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
        "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
        "SIGSYS",
    ]
    /// The first real-time signal a program can use; the two before it are the C library's own.
    private static let realTimeMinimum = 34

    public static func text(_ number: Int) -> String {
        if (1...names.count).contains(number) { return names[number - 1] }
        if number == realTimeMinimum { return "SIGRTMIN" }
        if (realTimeMinimum...64).contains(number) { return "SIGRTMIN+\(number - realTimeMinimum)" }
        return "SIG\(number)"
    }

    static func number(_ text: String) -> Int? {
        if let index = names.firstIndex(of: text) { return index + 1 }
        if text == "SIGRTMIN" { return realTimeMinimum }
        if text.hasPrefix("SIGRTMIN+") { return Int(text.dropFirst(9)).map { $0 + realTimeMinimum } }
        return text.hasPrefix("SIG") ? Int(text.dropFirst(3)) : nil
    }
}
