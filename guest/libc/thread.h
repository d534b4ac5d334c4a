/* thread.h - between clone() and context.c: the stacks that threads run on. */
#ifndef THREAD_H
#define THREAD_H

#define MAX_THREADS 64

int  __thread_enter(unsigned long top);     /* -> slot, or -1 if there are too many */
void __thread_leave(int slot);
#endif
