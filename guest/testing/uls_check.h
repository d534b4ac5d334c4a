/* uls_check.h - what the tests of extensions share. */
#ifndef ULS_CHECK_H
#define ULS_CHECK_H
#include "check.h"
#include <uls.h>

struct uls_info info_of(int id);
/* raised = delivered + faulted + dropped + queued + in progress */
void check_adds_up(const char *name, int id);
/* Sleep until `delivered` has reached n, at most 2 s; -> delivered */
unsigned wait_delivered(int id, unsigned n);
void wait_state(int id, unsigned state);
#define fails_with(call, error) ((call) == -1 && errno == (error))
#endif
