#ifndef SIGNAL_H
#define SIGNAL_H
#include <ringtoll/abi.h>

typedef abi_u32 sigset_t;     /* signals 1..31: bit n-1 */
typedef struct abi_siginfo siginfo_t;
typedef struct abi_ucontext ucontext_t;

struct sigaction {
	union {
		void (*sa_handler)(int sig);
		void (*sa_sigaction)(int sig, siginfo_t *info, ucontext_t *context);     /* SA_SIGINFO */
	};
	sigset_t sa_mask;
	abi_u32 sa_flags;
};

#define SIG_DFL ((void (*)(int))SIG_DFL_ADDR)
#define SIG_IGN ((void (*)(int))SIG_IGN_ADDR)
#define sigmask(sig) (1u << ((sig) - 1))

int sigaction(int sig, const struct sigaction *action, struct sigaction *old);
int sigprocmask(int how, const sigset_t *set, sigset_t *old);
int sigsuspend(const sigset_t *mask);
int kill(int pid, int sig);
int raise(int sig);
#endif
