/* test_libc.c - the libc: the same list outside and inside the sandbox, and what only one side has. */
#include <check.h>
#include <libc_checks.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <uls.h>

static int constructed;

static void __attribute__((constructor(200))) second(void) { constructed = constructed * 10 + 2; }
static void __attribute__((constructor(101))) first(void) { constructed = constructed * 10 + 1; }

static void expect(const char *name, int ok) { check(name, ok, "broken"); }

/* Runs f in a child with descriptors 0 and 1 on pipes; what it writes goes to `said`. -> its status */
static int in_child(void (*f)(void), const char *input, char *said, int n)
{
	int in[2], out[2], status = -1, length = 0, got;

	pipe(in);
	pipe(out);
	fflush(stdout);
	int pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(in[1]);
		f();
		_exit(9);
	}
	write(in[1], input, strlen(input));
	close(in[0]);
	close(in[1]);
	close(out[1]);
	while (length < n - 1 && (got = read(out[0], said + length, n - 1 - length)) > 0)
		length += got;
	said[length] = 0;
	close(out[0]);
	waitpid(pid, &status, 0);
	return status;
}

static void say_bye(void) { printf("bye"); }
static void say_good(void) { printf("good"); }

static void leave(void)
{
	atexit(say_bye);
	atexit(say_good);
	printf("held ");
	exit(3);
}

static void break_promise(void)
{
	printf("line\nheld");
	assert(1 + 1 == 3);
}

static void free_twice(void)
{
	void *p = malloc(10);

	free(p);
	free(p);
}

static void echo(void)
{
	char line[16];

	printf("%c", ungetc(getchar(), stdin));
	while (fgets(line, sizeof line, stdin))
		printf("<%s>", line);
	errno = EINVAL;
	perror(feof(stdin) ? "end" : "?");
	exit(0);
}

static void check_ends(void)
{
	char said[200];

	check_equal("constructors", constructed, 12);
	int status = in_child(leave, "", said, sizeof said);
	check("exit", status == 3 << 8 && !strcmp(said, "held goodbye"), "0x%x %s", status, said);
	status = in_child(break_promise, "", said, sizeof said);
	check("assert", WTERMSIG(status) == SIGABRT && strstr(said, "assertion `1 + 1 == 3' failed") && !strncmp(said, "line\n", 5),
	      "0x%x %s", status, said);
	status = in_child(free_twice, "", said, sizeof said);
	check("free.twice", WTERMSIG(status) == SIGABRT && strstr(said, "free of what is not allocated"), "0x%x %s", status, said);
	status = in_child(echo, "ab\nlonger than that\nz", said, sizeof said);
	check("stdin", status == 0 && !strcmp(said, "a<ab\n><longer than tha><t\n><z>end: Invalid argument\n"), "0x%x %s", status, said);
}

/* ---- threads: each has its own arena; one frees what another has allocated ---- */
static char stacks[3][16384];
static volatile int results[3], done;
static void *volatile made[64];

static int allocate(void *number)
{
	int i = (int)number;

	errno = i;
	results[i] = malloc_model(10 + i, 150);
	for (int j = 0; i == 0 && j < 64; j++)
		made[j] = malloc(j * 40);
	if (errno != i)
		results[i] = -errno;
	__sync_add_and_fetch(&done, 1);
	return 0;
}

static void check_threads(void)
{
	int started = 1;

	for (int i = 0; i < 3; i++)
		started &= clone(allocate, stacks[i] + sizeof *stacks, CLONE_THREAD_FLAGS, (void *)i) > 0;
	int own = malloc_model(2, 150);
	while (done < 3)
		sleep_ms(10);
	check("threads.malloc", started && !own && !results[0] && !results[1] && !results[2], "%d %d %d %d", own, results[0],
	      results[1], results[2]);
	for (int j = 0; j < 64; j++)
		free(made[j]);
	check_equal("threads.malloc_of_another", (long)mallinfo().uordblks, 0);
}

/* ---- the sandbox ---- */
static void wait_idle(int id, unsigned delivered)
{
	struct uls_info info;

	for (int i = 0; i < 3000; i++) {
		uls_info(id, &info);
		if (info.delivered >= delivered || info.faulted)
			return;
		sleep_ms(10);
	}
}

static void leave_memory(void)
{
	int id = uls_register("libc_user");

	_exit(id < 0 || uls_post(id, LIBC_KEEP) ? 1 : 0);
}

static void check_sandbox(void)
{
	char said[100];
	int user = uls_register("libc_user"), peer = uls_register("libc_peer");
	static struct libc_peer_record record;
	struct uls_info info;

	if (!check("extensions", user >= 0 && peer >= 0, "%d %d", user, peer))
		return;
	uls_control(user, ULS_CONTROL_BUDGET, 0);
	fflush(stdout);
	uls_post(user, LIBC_CHECKS);
	wait_idle(user, 1);
	uls_control(user, ULS_CONTROL_MODE, ULS_MODE_THREADED);
	uls_bind(peer, ULS_SOURCE_TIMER, 1);
	uls_post(user, LIBC_SHARE);
	wait_idle(user, 2);
	uls_bind(peer, ULS_SOURCE_TIMER, 0);
	uls_info(user, &info);
	check("sandbox.handlers_end", info.delivered == 2 && info.faulted == 0, "%u %u eip %x cr2 %x", info.delivered, info.faulted,
	      info.last_eip, info.last_cr2);
	uls_post(peer, (abi_u32)&record);
	check("sandbox.peer", record.freed > 0 && record.ticks > 0 && !record.damaged && !record.in_use, "%u %u %u %u", record.freed,
	      record.ticks, record.damaged, record.in_use);
	check("sandbox.break_is_of_one", record.without_break > 0, "never without it");
	uls_unregister(user);
	check_equal("sandbox.creator_ends", in_child(leave_memory, "", said, sizeof said), 0);
	check("sandbox.creators_memory", !strcmp(said, "PASS sandbox.kept\n"), "%s", said);
	user = uls_register("libc_user");
	fflush(stdout);
	uls_post(user, LIBC_FRESH);
	uls_control(user, ULS_CONTROL_BUDGET, 0);
	uls_post(user, LIBC_CHECKS);
	wait_idle(user, 2);
	uls_info(user, &info);
	check("sandbox.again", info.delivered == 2 && info.faulted == 0, "%u %u", info.delivered, info.faulted);
	uls_unregister(user);
	uls_unregister(peer);
}

int main(void)
{
	libc_checks();
	check_ends();
	check_threads();
	check_sandbox();
	return check_failures() != 0;
}
