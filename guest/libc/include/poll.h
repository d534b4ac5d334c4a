#ifndef POLL_H
#define POLL_H
#include <ringtoll/abi.h>

#define pollfd abi_pollfd
int poll(struct pollfd *fds, unsigned n, int milliseconds);
#endif
