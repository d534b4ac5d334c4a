/*
 * init.c - what a manifest asks for (`ringtoll boot --manifest`): there is no shell and no file system, so the
 * instructions are this program's arguments, composed on the host (emulator/instructions.py).
 *
 *     init [processes=N] [ticks=T] NAME[,WORD]... [,WORD]... NAME ...
 *
 *     NAME               register this extension; init is its owner
 *     mode=0|1           ULS_CONTROL_MODE          budget=N      ULS_CONTROL_BUDGET
 *     priority=N         ULS_CONTROL_PRIORITY      ports=P+N     SYS_uls_ioperm
 *     timer=TICKS, uart, exit                      SYS_uls_bind
 *
 * A word that begins with a comma goes on with the extension before it: the kernel's words are short. Init is started
 * first and with the highest priority, so that all is in place before a program runs; then it waits for the others,
 * processes 2 to N + 1, and for at least T ticks, because its extensions end with it. Without either it stays for ever.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syscall.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

static int id = -1;
static const char *name;

static void check(const char *what, long result)
{
	if (result >= 0)
		return;
	printf("init: extension %s: %s: error %ld\n", name, what, -result);
	exit(1);
}

static void control(const char *what, int operation, const char *value)
{
	check(what, syscall_entry(SYS_uls_control, id, operation, atoi(value), 0, 0, 0));
}

static void bind(const char *what, int source, int a)
{
	check(what, syscall_entry(SYS_uls_bind, id, source, a, 0, 0, 0));
}

static void ports(const char *value)
{
	char *end;
	long first = strtol(value, &end, 0), count = *end == '+' ? atoi(end + 1) : 0;

	check("ports", syscall_entry(SYS_uls_ioperm, id, first, count, 1, 0, 0));
}

/* The value of `word` if it is `key=value` */
static const char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return !strncmp(word, key, n) && word[n] == '=' ? word + n + 1 : 0;
}

static void instruction(const char *word)
{
	const char *value;

	if ((value = value_of(word, "mode")))
		control("mode", ULS_CONTROL_MODE, value);
	else if ((value = value_of(word, "priority")))
		control("priority", ULS_CONTROL_PRIORITY, value);
	else if ((value = value_of(word, "budget")))
		control("budget", ULS_CONTROL_BUDGET, value);
	else if ((value = value_of(word, "ports")))
		ports(value);
	else if ((value = value_of(word, "timer")))
		bind("timer", ULS_SOURCE_TIMER, atoi(value));
	else if (!strcmp(word, "uart"))
		bind("uart", ULS_SOURCE_UART, 0);
	else if (!strcmp(word, "exit"))
		bind("exit", ULS_SOURCE_EXIT, 0);
	else
		check(word, -EINVAL);
}

/* Words between commas, in place. */
static void instructions(char *words)
{
	while (*words) {
		char *comma = words;

		while (*comma && *comma != ',')
			comma++;
		int last = !*comma;
		*comma = 0;
		if (id < 0) {
			name = words;
			id = syscall_entry(SYS_uls_register, (long)name, 0, 0, 0, 0, 0);
			check("register", id);
			printf("init: extension %s registered\n", name);
		} else if (*words) {
			instruction(words);
		}
		if (last)
			return;
		words = comma + 1;
	}
}

static int wait_for(int processes)
{
	int failed = 0, status;

	for (int pid = 2; pid < processes + 2; pid++)
		if (waitpid(pid, &status, 0) == pid && status && !failed)
			failed = status & 0x7f ? 128 + (status & 0x7f) : status >> 8;
	return failed;
}

int main(int argc, char **argv)
{
	const struct sched_param ordinary = { 0 };
	int processes = 0, wanted = 0;
	const char *value;

	for (int i = 1; i < argc; i++) {
		if ((value = value_of(argv[i], "processes"))) {
			processes = atoi(value);
		} else if ((value = value_of(argv[i], "ticks"))) {
			wanted = atoi(value);
		} else {
			if (argv[i][0] != ',')
				id = -1;
			instructions(argv[i]);
		}
	}
	sched_setscheduler(0, SCHED_OTHER, &ordinary);
	int status = wait_for(processes);
	long left = wanted - times(0);
	const struct timespec rest = { left / 100, left % 100 * 10000000 };

	if (left > 0)
		nanosleep(&rest, 0);
	while (!processes && !wanted)
		pause();
	return status;
}
