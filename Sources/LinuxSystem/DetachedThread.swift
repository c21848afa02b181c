// A thread with a body of its own, for what waits in the kernel all its life.

import Glibc

public enum DetachedThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    public static func start(_ body: @escaping @Sendable () -> Void) throws(Errno) {
        var thread = pthread_t()
        let kept = Unmanaged.passRetained(Body(body))
        let r = pthread_create(&thread, nil, { raw in
            Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue().run()
            return nil
        }, kept.toOpaque())
        guard r == 0 else {
            kept.release()
            throw Errno(r)
        }
        pthread_detach(thread)
    }
}
