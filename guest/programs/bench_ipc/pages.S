/* pages.S (bench_ipc) - the working set of bench_uls, with up to 1 MB of code. */
#define PAGES 256
#include "../bench_uls/pages.S"
