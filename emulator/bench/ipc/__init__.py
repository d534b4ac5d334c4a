"""The benchmark `ipc`: a 4-byte message to another protection domain and back, and what that costs."""

BENCHMARK = "ipc"
