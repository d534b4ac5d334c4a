/* errno.c - one errno for each thread, or extension. */
#include <errno.h>
#include "context.h"

int *__errno_location(void) { return &__context()->error; }
