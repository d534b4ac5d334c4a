/* pages.S (bench_ipc) - the working set of bench_uls, with up to 1 MB of code. */
#define PAGES 256
#define SPREAD
#include "../bench_uls/pages.S"
