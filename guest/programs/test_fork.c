/* test_fork.c - copy-on-write, waiting, pipes between processes, users, limits. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syscall.h>
#include <time.h>
#include <uls.h>
#include <unistd.h>

static int fails_with(int result, int error) { return result == -1 && errno == error; }

/* Run `body` in a child; its status. */
static int in_child(int (*body)(void))
{
	int status = -1, pid = fork();

	if (pid == 0)
		_exit(body());
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* ---- memory ---- */
static volatile int global = 1;
static int zeroed[4096];

static int change_everything(void)
{
	int ok = global == 1;

	global = 2;
	for (int i = 0; i < 4096; i++) {
		ok &= zeroed[i] == i;
		zeroed[i] = -1;
	}
	return !(ok && global == 2 && zeroed[4095] == -1);
}

static int read_into_shared_page(void)
{
	static char page[4096] __attribute__((aligned(4096)));
	int fd[2];

	pipe(fd);
	page[0] = 'a';
	int status = fork();
	if (status == 0) {                       /* ring 0 writes to a page that is still the parent's, too */
		write(fd[1], "child", 5);
		read(fd[0], page, 5);
		_exit(memcmp(page, "child", 5) != 0);
	}
	waitpid(status, &status, 0);
	return status == 0 && page[0] == 'a' && page[1] == 0 ? 0 : 1;
}

static void test_memory(void)
{
	for (int i = 0; i < 4096; i++)
		zeroed[i] = i;
	check_equal("cow.child_sees_and_changes", in_child(change_everything), 0);
	int ok = global == 1;
	for (int i = 0; i < 4096; i++)
		ok &= zeroed[i] == i;
	check("cow.parent_unchanged", ok, "global %d", global);
	int before = global, pid = fork();
	if (pid == 0) {
		sleep_ms(30);                    /* the parent has written by then */
		_exit(global != before);
	}
	global = 77;
	int status = -1;
	waitpid(pid, &status, 0);
	check_equal("cow.child_unchanged", status, 0);
	check_equal("cow.write_from_ring_0", in_child(read_into_shared_page), 0);
}

static int write_to_code(void)
{
	*(volatile int *)(long)write_to_code = 0;
	return 0;
}

static int store_through(void)
{
	int *shared = uls_shm("test_fork", 4096);

	shared[0] = 42;
	return 0;
}

static void test_shared_and_read_only(void)
{
	int *shared = uls_shm("test_fork", 4096), status = in_child(write_to_code);

	check("cow.code_stays_read_only", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "0x%x", status);
	check_equal("fork.maps_named_memory_again", in_child(store_through), 0);
	check_equal("fork.shared_stays_shared", shared[0], 42);
	if (fork() == 0) {
		shared[1] = 43;
		_exit(0);
	}
	wait(0);
	check_equal("fork.inherited_shared_memory", shared[1], 43);
}

/* ---- waiting ---- */
static volatile int children_ended, last_code, last_pid;

static void on_child(int sig, siginfo_t *info, ucontext_t *context)
{
	(void)sig;
	(void)context;
	children_ended++;
	last_code = info->si_code;
	last_pid = info->si_pid;
}

static int parent_is_one(void) { return getppid() == 1 && getpid() == gettid() ? 0 : 1; }

static void test_waiting(void)
{
	struct sigaction a = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART };
	int status, pid, other;

	check("wait.no_children", fails_with(wait(&status), ECHILD), "errno %d", errno);
	check("wait.self", fails_with(waitpid(getpid(), &status, 0), ECHILD), "errno %d", errno);
	check_equal("getppid", in_child(parent_is_one), 0);
	check_equal("getppid.boot", getppid(), 0);
	sigaction(SIGCHLD, &a, 0);
	pid = fork();
	if (pid == 0) {
		sleep_ms(30);
		_exit(7);
	}
	check_equal("wait.nohang", waitpid(-1, &status, WNOHANG), 0);
	check_equal("wait.any", wait(&status), pid);
	check("wait.status", WIFEXITED(status) && WEXITSTATUS(status) == 7, "0x%x", status);
	check("sigchld", children_ended == 1 && last_pid == pid && last_code == CLD_EXITED, "%d %d %d", children_ended,
	      last_pid, last_code);
	check("wait.reaped", fails_with(waitpid(pid, &status, 0), ECHILD), "errno %d", errno);
	check("kill.reaped", fails_with(kill(pid, 0), ESRCH), "errno %d", errno);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	other = fork();
	if (other == 0)
		_exit(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGTERM ? 9 : 1);
	sleep_ms(20);
	kill(pid, SIGTERM);
	int first = wait(&status), code = status, second = wait(&status);
	if (first == other) {
		int swap = code;
		code = status;
		status = swap;
		swap = first, first = second, second = swap;
	}
	check("wait.both", first == pid && second == other, "%d %d", first, second);
	check("wait.signal", WIFSIGNALED(code) && WTERMSIG(code) == SIGTERM, "0x%x", code);
	check("wait.any_process_may_wait", WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 1, "0x%x", status);
	a.sa_sigaction = (void *)SIG_IGN;
	sigaction(SIGCHLD, &a, 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	sleep_ms(20);
	check("sigchld.ignored_leaves_no_zombie", fails_with(kill(pid, 0), ESRCH), "errno %d", errno);
	a.sa_sigaction = (void *)SIG_DFL;
	sigaction(SIGCHLD, &a, 0);
}

static void test_orphans(void)
{
	int fd[2], grandchild[2], status;

	pipe(fd);
	int pid = fork();
	if (pid == 0) {
		int mine = fork();
		if (mine == 0) {
			sleep_ms(40);
			int told[2] = { getpid(), getppid() };
			write(fd[1], told, sizeof told);
			_exit(0);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	check_equal("orphan.lives", read(fd[0], grandchild, sizeof grandchild), sizeof grandchild);
	check_equal("orphan.parent", grandchild[1], 0);
	sleep_ms(20);
	check("orphan.leaves_no_zombie", fails_with(kill(grandchild[0], 0), ESRCH), "errno %d", errno);
	check("orphan.is_no_child", fails_with(wait(0), ECHILD), "errno %d", errno);
	close(fd[0]);
	close(fd[1]);
}

/* 40 children of 2 MB each: more than the machine has. */
static int memory_is_given_back(void)
{
	for (int i = 0; i < 40; i++) {
		int status = -1, pid = fork();
		if (pid == 0) {
			char *p = mmap(0, 0x200000, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (int at = 0; at < 0x200000; at += 4096)
				p[at] = 1;
			_exit(0);
		}
		if (wait(&status) != pid || status)
			return 1;
	}
	return 0;
}

/* Every kind of memory that fork() needs runs out at some time; nothing may be lost then. */
static int fork_until_memory_is_full(void)
{
	int n = 0, first = 0, pid;

	while ((pid = fork()) > 0) {
		first = first ? first : pid;
		n++;
	}
	if (pid == 0)
		for (;;)
			pause();
	if (errno != ENOMEM || n < 100)
		return 1;
	for (int i = 0; i < n; i++)
		if (kill(first + i, SIGKILL))
			return 2;
	while (n > 0 && wait(0) > 0)
		n--;
	return n;
}

/* ---- pipes ---- */
static void test_pipe(void)
{
	static char data[20000], in[20000];
	int down[2], up[2], status = -1, got = 0, n;

	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (char)(i * 13 + (i >> 8));
	pipe(down);
	pipe(up);
	int pid = fork();
	if (pid == 0) {                          /* an echo, with small reads: the writer blocks again and again */
		char part[700];
		close(down[1]);
		while ((n = read(down[0], part, sizeof part)) > 0)
			write(up[1], part, n);
		_exit(n);
	}
	int writer = fork();
	if (writer == 0) {
		close(down[0]);
		_exit(write(down[1], data, sizeof data) != sizeof data);
	}
	close(down[0]);
	close(down[1]);
	close(up[1]);
	while ((n = read(up[0], in + got, sizeof in - got)) > 0)
		got += n;
	check("pipe.twenty_kilobytes", got == sizeof data && !memcmp(in, data, sizeof data), "%d bytes", got);
	waitpid(pid, &status, 0);
	check_equal("pipe.end_of_file_ends_the_echo", status, 0);
	waitpid(writer, &status, 0);
	check_equal("pipe.writer_wrote_all", status, 0);
	close(up[0]);
}

/* Four writers of 1000-byte records: none may be torn. */
static void test_atomic(void)
{
	static char record[1000];
	int fd[2], torn = 0, n, records = 0;

	pipe(fd);
	for (int w = 0; w < 4; w++)
		if (fork() == 0) {
			memset(record, 'a' + w, sizeof record);
			for (int i = 0; i < 10; i++)
				write(fd[1], record, sizeof record);
			_exit(0);
		}
	close(fd[1]);
	for (;;) {
		int have = 0;
		while (have < (int)sizeof record && (n = read(fd[0], record + have, sizeof record - have)) > 0)
			have += n;
		if (have < (int)sizeof record)
			break;
		for (unsigned i = 1; i < sizeof record; i++)
			torn += record[i] != record[0];
		records++;
	}
	check("pipe.records_are_whole", records == 40 && torn == 0, "%d records, %d torn", records, torn);
	for (int w = 0; w < 4; w++)
		wait(0);
	close(fd[0]);
}

static void test_broken_pipe(void)
{
	static char much[4096];
	int fd[2], status;

	pipe(fd);
	int pid = fork();
	if (pid == 0) {
		close(fd[0]);
		write(fd[1], much, 4096);
		write(fd[1], much, 1);                   /* blocks: nobody reads. Then the reader closes */
		_exit(0);
	}
	close(fd[1]);
	sleep_ms(20);
	close(fd[0]);
	waitpid(pid, &status, 0);
	check("pipe.SIGPIPE_kills_a_blocked_writer", WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "0x%x", status);
}

static void test_poll(void)
{
	struct pollfd p[2];
	int one[2], two[2], status;

	pipe(one);
	pipe(two);
	int pid = fork();
	if (pid == 0) {
		sleep_ms(30);
		write(two[1], "x", 1);
		_exit(0);
	}
	p[0] = (struct pollfd){ one[0], POLLIN, 0 };
	p[1] = (struct pollfd){ two[0], POLLIN, 0 };
	long before = times(0);
	check_equal("poll.wakes_for_a_pipe", poll(p, 2, 10000), 1);
	check("poll.which", !p[0].revents && p[1].revents == POLLIN, "%x %x", p[0].revents, p[1].revents);
	check("poll.at_once", times(0) - before < 50, "%ld ticks", times(0) - before);
	waitpid(pid, &status, 0);
	for (int i = 0; i < 2; i++) {
		close(one[i]);
		close(two[i]);
	}
}

static void test_shared_offset(void)
{
	int fd[2], status;
	char c[2];

	pipe(fd);
	write(fd[1], "ab", 2);
	int pid = fork();
	if (pid == 0) {
		read(fd[0], c, 1);
		close(fd[0]);                            /* its table is a copy: the parent's stays open */
		_exit(c[0]);
	}
	waitpid(pid, &status, 0);
	check_equal("files.one_open_file", WEXITSTATUS(status), 'a');
	check("files.table_copied", read(fd[0], c, 1) == 1 && c[0] == 'b', "%c", c[0]);
	close(fd[0]);
	close(fd[1]);
}

/* ---- users and limits ---- */
static int as_user(void)
{
	struct rlimit more = { 10, 1000 };

	if (setuid(500) || getuid() != 500)
		return 1;
	if (!fails_with(setuid(0), EPERM) || setuid(500))
		return 2;
	if (!fails_with(kill(1, 0), EPERM) || kill(getpid(), 0))
		return 3;
	return fails_with(setrlimit(RLIMIT_NOFILE, &more), EPERM) ? 0 : 4;
}

static int few_files(void)
{
	struct rlimit few = { 5, 5 }, got;

	if (setrlimit(RLIMIT_NOFILE, &few) || getrlimit(RLIMIT_NOFILE, &got) || got.rlim_cur != 5)
		return 1;
	if (dup(0) != 3 || dup(0) != 4)
		return 2;
	return fails_with(dup(0), EMFILE) && fails_with(dup2(0, 5), EBADF) ? 0 : 3;
}

static int little_memory(void)
{
	struct rlimit most = { 0x200000, RLIM_INFINITY };
	char *old = sbrk(0);

	if (setrlimit(RLIMIT_AS, &most))
		return 1;
	if (mmap(0, 0x200000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED || errno != ENOMEM)
		return 2;
	if (sbrk(0x200000) != (void *)-1 || sbrk(0) != old)
		return 3;
	return mmap(0, 0x4000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 4 : 0;
}

/* The second passes in an instruction that is dear on every processor: an emulator gets through it sooner. */
static void use_time(void)
{
	__asm__ volatile("fninit; fld1");
	for (;;)
		__asm__ volatile("fsin; fsin; fsin; fsin");
}

static void on_time(int sig)
{
	struct rlimit now = { 1, 1 };

	write(1, "soft limit\n", sig == SIGXCPU ? 11 : 0);
	setrlimit(RLIMIT_CPU, &now);                     /* the second is over: this is the end */
}

static int little_time(void)
{
	struct rlimit limit = { 1, 2 };
	struct sigaction a = { .sa_handler = on_time };

	sigaction(SIGXCPU, &a, 0);
	setrlimit(RLIMIT_CPU, &limit);
	sleep_ms(100);                                   /* sleeping costs nothing */
	use_time();
	return 0;
}

static void test_users_and_limits(void)
{
	struct rlimit wrong = { 2, 1 }, got;

	check_equal("uid.starts_as_0", getuid(), 0);
	check_equal("uid", in_child(as_user), 0);
	check_equal("rlimit.nofile", in_child(few_files), 0);
	check_equal("rlimit.as", in_child(little_memory), 0);
	check("rlimit.soft_above_hard", fails_with(setrlimit(RLIMIT_CPU, &wrong), EINVAL), "errno %d", errno);
	check("rlimit.unknown", fails_with(getrlimit(99, &got), EINVAL), "errno %d", errno);
	long before = times(0);
	int status = in_child(little_time);
	long ticks = times(0) - before;
	check("rlimit.cpu", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "0x%x", status);
	check("rlimit.cpu_time", ticks >= 11 * ABI_HZ / 10 && ticks < 13 * ABI_HZ / 10, "%ld ticks", ticks);
}

static int other_flags(void)
{
	return syscall_int80(SYS_clone, CLONE_VM, 0, 0, 0, 0, 0) == -EINVAL &&
	       syscall_int80(SYS_clone, 99, 0, 0, 0, 0, 0) == -EINVAL ? 0 : 1;
}

static int answer(void *argument) { return *(int *)argument + 1; }

static void test_clone_a_process(void)
{
	static char stack[4096];
	int number = 41, status = -1, pid = clone(answer, stack + sizeof stack, SIGCHLD, &number);

	check_equal("clone.process", waitpid(pid, &status, 0), pid);
	check_equal("clone.status", WEXITSTATUS(status), 42);
	check_equal("clone.flags", in_child(other_flags), 0);
}

int main(void)
{
	test_memory();
	test_shared_and_read_only();
	test_waiting();
	test_orphans();
	check_equal("fork.memory_comes_back", in_child(memory_is_given_back), 0);
	check_equal("fork.until_memory_is_full", in_child(fork_until_memory_is_full), 0);
	check_equal("fork.memory_comes_back_again", in_child(memory_is_given_back), 0);
	test_pipe();
	test_atomic();
	test_broken_pipe();
	test_poll();
	test_shared_offset();
	test_clone_a_process();
	test_users_and_limits();
	return check_failures() != 0;
}
