"""The client of a Paddock farm: jobs and unit tests in isolated sandboxes, sync and asyncio. See docs/python.md."""

from .aio import AsyncClient
from .aio_handle import AsyncJobHandle
from .calls import OutputChunk
from .client import Client
from .completed import Completed
from .errors import ConnectionLost, FarmError, PaddockError, ProtocolError, Rejected, TimedOut
from .handle import JobHandle
from .job import Blob, Collect, File, Job, Labels, Limits, Source, Tests
from .outcome import Cancelled, Exited, LimitExceeded, Outcome, Signaled, SyscallDenied
from .output import Output
from .result import CollectedFile, CompileReport, DeniedSyscall, Result, TestCase, TestReport, Usage
from .retry import RetryPolicy
from .status import CompileCacheStats, FarmInfo, FarmStats, HostFacts, JobList, JobStatus, PoolStatus, StageTimes

__version__ = "0.1.0"

__all__ = [
    "AsyncClient", "AsyncJobHandle", "Blob", "Cancelled", "Client", "Collect", "CollectedFile",
    "CompileCacheStats", "CompileReport", "Completed", "ConnectionLost", "DeniedSyscall", "Exited", "FarmError", "FarmInfo", "FarmStats", "File", "HostFacts",
    "Job", "JobHandle", "JobList", "JobStatus", "Labels", "LimitExceeded", "Limits", "Outcome", "Output", "OutputChunk",
    "PaddockError", "PoolStatus", "ProtocolError", "Rejected", "Result", "RetryPolicy", "Signaled", "Source",
    "StageTimes", "SyscallDenied", "TestCase", "TestReport", "Tests", "TimedOut", "Usage",
]
