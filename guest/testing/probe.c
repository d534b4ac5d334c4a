/* probe.c - access an address and tell which fault came of it. */
#include "check.h"

#include <signal.h>

int probe_read_raw(uint32_t address), probe_write_raw(uint32_t address), probe_jump_raw(uint32_t address);
void probe_recover(void);

static volatile struct fault last;

static void on_fault(int sig, siginfo_t *info, ucontext_t *context)
{
	last.signal = sig;
	last.trap = context->mcontext.trapno;
	last.error = context->mcontext.err;
	last.cr2 = context->mcontext.cr2;
	last.si_addr = info->si_addr;
	last.si_code = info->si_code;
	context->mcontext.eip = (uint32_t)probe_recover;
}

void probe_setup(void)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &a, 0);
	sigaction(SIGILL, &a, 0);
	sigaction(SIGBUS, &a, 0);
}

static struct fault probe(int (*access)(uint32_t), uint32_t address)
{
	last = (struct fault){ 0 };
	access(address);
	return last;
}

struct fault probe_read(uint32_t address) { return probe(probe_read_raw, address); }
struct fault probe_write(uint32_t address) { return probe(probe_write_raw, address); }
struct fault probe_jump(uint32_t address) { return probe(probe_jump_raw, address); }

void check_fault(const char *name, struct fault f, uint32_t error, uint32_t cr2)
{
	check(name, f.signal == SIGSEGV && f.trap == 14 && f.error == error && f.cr2 == cr2 && f.si_addr == cr2,
	      "signal %d trap %u error %u cr2 0x%08x si_addr 0x%08x", f.signal, f.trap, f.error, f.cr2, f.si_addr);
}
