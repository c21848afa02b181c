// Lines from any thread → few writes on the event loop. However many answers come in one turn of the loop, they leave
// in one write, and the last that is asked for leaves at once; what a client does not read is counted here, so that it stays
// bounded.

import NIOCore
import Synchronization

final class Outbox: Sendable {
    /// Passed through the pipeline when bytes have left, so that a connection that was paused looks again.
    enum Progress { case written }

    fileprivate struct State {
        var buffer = ByteBuffer()
        /// Accepted here and not yet taken by the kernel.
        var unread = 0
        /// Calls whose answer has not been sent. Counted here, under the lock that sends them, so that whoever sees
        /// none knows that every answer is in the buffer.
        var calls = 0
        var drainScheduled = false
        /// Takes no more lines; the channel closes when the last has left.
        var finishing = false
        var closed = false
    }

    private let state = Mutex(State())
    private let channel: any Channel
    private let closeAt: Int
    private let budget: ByteBudget
    private let onOverflow: @Sendable (String) -> Void

    /// - Parameter onOverflow: called once, with the reason, when the channel is closed for what it does not read.
    init(
        channel: any Channel, closeAtUnreadBytes: Int, budget: ByteBudget,
        onOverflow: @escaping @Sendable (String) -> Void
    ) {
        self.channel = channel
        self.closeAt = closeAtUnreadBytes
        self.budget = budget
        self.onOverflow = onOverflow
    }

    /// Bytes that were not read by the other end, and calls that were not answered.
    var load: (unread: Int, calls: Int) { state.withLock { ($0.unread, $0.calls) } }

    func callBegan() { state.withLock { $0.calls += 1 } }

    /// - Parameter endsCall: whether the line answers a call that was begun here.
    /// - Returns: whether the line will be written as long as the connection lives.
    @discardableResult
    func send(_ line: [UInt8], endsCall: Bool = false) -> Bool {
        enum Next { case drain(now: Bool), nothing, refused, overflow(String) }
        let next: Next = state.withLock { state in
            if endsCall { state.calls -= 1 }
            if state.closed || state.finishing { return .refused }
            guard state.unread + line.count <= closeAt else {
                state.discard()
                return .overflow("\(state.unread) bytes are not read, and another \(line.count) are too much")
            }
            guard budget.take(line.count) else {
                state.discard()
                return .overflow("all connections together have too many bytes that are not read")
            }
            state.buffer.writeBytes(line)
            state.unread += line.count
            // Where nobody waits for another answer nothing is to come that could leave with it.
            return state.takeTurn() ? .drain(now: endsCall && state.calls == 0) : .nothing
        }
        switch next {
        case .drain(now: true) where channel.eventLoop.inEventLoop: drain()
        case .drain: channel.eventLoop.execute { self.drain() }
        case .nothing: break
        case .refused: return false
        case .overflow(let reason):
            onOverflow(reason)
            channel.close(promise: nil)
            return false
        }
        return true
    }

    /// Writes what is there, then closes the channel: when the other end has read nothing for `patience`, or is not done after twelve times
    /// as long, what is left is lost.
    func finish(patience: TimeAmount = .seconds(5)) {
        let (closed, drainNow) = state.withLock { state in
            state.finishing = true
            return (state.closed, state.takeTurn())
        }
        // A closed channel's loop may be gone too.
        if closed { return }
        if drainNow { channel.eventLoop.execute { self.drain() } }
        giveTime(patience, periods: 12, left: .max)
    }

    /// - Parameter left: what was not written at the beginning of the period.
    private func giveTime(_ period: TimeAmount, periods: Int, left: Int) {
        let timer = channel.eventLoop.scheduleTask(in: period) {
            // Of an answer that is being written the channel has a part.
            let now = (try? self.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
            guard periods > 1, now < left, now > 0 else { return self.channel.close(promise: nil) }
            self.giveTime(period, periods: periods - 1, left: now)
        }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
    }

    /// The channel is gone: what was not written is dropped.
    func close() {
        state.withLock { state in
            state.discard()
            budget.give(state.unread)
            state.unread = 0
        }
    }

    private func drain() {
        let (chunk, finishing) = state.withLock { state in
            state.drainScheduled = false
            defer { state.buffer = ByteBuffer() }
            return (state.buffer, state.finishing)
        }
        guard chunk.readableBytes > 0 else {
            if finishing { closeIfEmpty() }
            return
        }
        let count = chunk.readableBytes
        channel.writeAndFlush(chunk).whenSuccess { self.wrote(count) }
    }

    private func wrote(_ count: Int) {
        let finishing = state.withLock { state in
            // After `close` everything has been given back already.
            if state.closed { return false }
            state.unread -= count
            budget.give(count)
            return state.finishing
        }
        if finishing { return closeIfEmpty() }
        channel.pipeline.fireUserInboundEventTriggered(Progress.written)
    }

    private func closeIfEmpty() {
        if state.withLock({ $0.unread == 0 }) { channel.close(promise: nil) }
    }
}

extension Outbox.State {
    fileprivate mutating func discard() {
        closed = true
        buffer = ByteBuffer()
    }

    /// Whether the caller is the one to schedule the next drain.
    fileprivate mutating func takeTurn() -> Bool {
        if drainScheduled || closed { return false }
        drainScheduled = true
        return true
    }
}
