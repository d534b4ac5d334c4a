"""The benchmark `ipc`: what a 4-byte message to another protection domain and back costs, by mechanism and working set."""

BENCHMARK = "ipc"
