/*
 * worker.c - makes the system calls that its creator asks for, and answers through shared memory.
 *
 * The event's value is the id of a segment in the protected area (SHM_SANDBOX); struct work in extensions.h lies at
 * its start.
 */
#include <errno.h>
#include <ringtoll/extensions.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define PAGE 4096

static char *map(abi_u32 pages) { return mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

/* Runs of pages come zeroed, do not overlap, and can be had again once they are given back. -> 0, or what went wrong */
static int use_heap(void)
{
	char *a = map(3), *b = map(2), *top = sbrk(0);

	if (a == MAP_FAILED || b == MAP_FAILED || a == b)
		return 1;
	for (int i = 0; i < 3 * PAGE; i++)
		if (a[i])
			return 2;
	for (int i = 0; i < 3 * PAGE; i++)
		a[i] = 1;
	if (b[0] || b[2 * PAGE - 1])
		return 3;
	if (munmap(a, 3 * PAGE) || map(3) != a || a[0] || a[3 * PAGE - 1])
		return 4;
	if (sbrk(100) != top || top[0] || top[99])
		return 5;
	top[0] = 1;
	if (sbrk(-100) != top + 100 || sbrk(100) != top || top[0])
		return 6;
	return munmap(a, 3 * PAGE) || munmap(b, 2 * PAGE) || sbrk(-100) == (void *)-1 ? 7 : 0;
}

static int pages_until_full(void)
{
	int n = 0;

	while (map(1) != MAP_FAILED)
		n++;
	return errno == ENOMEM ? n : -1;
}

static int do_work(struct work *w)
{
	switch (w->op) {
	case WORK_NOTHING:    return 0;
	case WORK_HEAP:       return use_heap();
	case WORK_FILL:       return pages_until_full();
	case WORK_WRITE:      return write(w->argument, w->bytes, w->length);
	case WORK_READ:       return read(w->argument, w->bytes, w->length);
	case WORK_CLOSE:      return close(w->argument);
	case WORK_GETUID:     return getuid();
	case WORK_GETPID:     return getpid();
	case WORK_KILL:       return kill(w->argument, 0);
	case WORK_FORK:       return fork();
	case WORK_ATTACH:     return shmat(w->argument, 0, 0) == (void *)-1 ? -1 : 0;
	case WORK_MAKE:       return shmget(IPC_PRIVATE, PAGE, 0600);
	case WORK_MUNMAP_ALL: return munmap((void *)ULS_PROTECTED_BASE, ULS_AREA_SIZE);
	}
	return -1;
}

void handler(const struct uls_event *event)
{
	struct work *w = shmat((int)event->value, 0, 0);

	if (w == (void *)-1)
		return;
	w->result = do_work(w);
	w->error = w->result < 0 ? errno : 0;
	w->done = 1;
	shmdt(w);
}
