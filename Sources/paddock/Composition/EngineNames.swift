// The engine's words where the protocol has the same ones. (A file that imports both cannot say which it means: the
// module Farm has a class of its own name.)

import Farm

typealias EngineJobState = JobState
typealias EngineJobStatus = JobStatus
typealias EnginePoolStatus = PoolStatus
typealias EnginePoolChange = PoolChange
