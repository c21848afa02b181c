// Ends a connection by its age. One that sends a byte now and then is never idle, and would keep its place for good.

import NIOCore
import NIOExtras

final class ConnectionAge: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    private let age: TimeAmount
    /// What one that is being answered has left.
    private static let grace = TimeAmount.seconds(10)
    private var end: Scheduled<Void>?

    init(_ age: Duration) { self.age = TimeAmount(age) }

    func handlerAdded(context: ChannelHandlerContext) {
        let (loop, channel, pipeline) = (context.eventLoop.assumeIsolated(), context.channel, context.pipeline)
        end = loop.scheduleTask(in: age) {
            pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            self.end = loop.scheduleTask(in: Self.grace) { channel.close(promise: nil) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end?.cancel()
        context.fireChannelInactive()
    }
}
