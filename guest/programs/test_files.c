/* test_files.c - descriptors, pipes and poll, in one process; what needs a second one is in test_fork.c. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile int broken_pipes;

static void on_broken_pipe(int sig) { broken_pipes += sig == SIGPIPE; }

static int fails_with(int result, int error) { return result == -1 && errno == error; }

static void test_descriptors(void)
{
	int copy = dup(1);

	check_equal("dup.lowest_free", copy, 3);
	check_equal("dup.writes", write(copy, "through a copy\n", 15), 15);
	check_equal("dup2", dup2(1, 9), 9);
	check_equal("dup2.same", dup2(9, 9), 9);
	check_equal("close", close(copy), 0);
	check("close.twice", fails_with(close(copy), EBADF), "errno %d", errno);
	check("read.closed", fails_with(read(copy, 0, 1), EBADF), "errno %d", errno);
	check_equal("close.one_copy_leaves_the_other", write(9, "still open\n", 11), 11);
	check_equal("close.9", close(9), 0);
	check("dup.bad", fails_with(dup(40), EBADF) && fails_with(dup(-1), EBADF), "errno %d", errno);
	check("dup2.too_high", fails_with(dup2(1, 64), EBADF), "errno %d", errno);
	check_equal("console.close_and_reopen", dup2(1, 8) == 8 && close(1) == 0 && dup(8) == 1 && close(8) == 0, 1);
}

static void test_full_table(void)
{
	int fd[2], n = 0;

	while (dup(0) >= 0)
		n++;
	check("table.full", errno == EMFILE && n == 61, "%d more, errno %d", n, errno);
	check("pipe.table_full", fails_with(pipe(fd), EMFILE), "errno %d", errno);
	close(63);
	check("pipe.one_free", fails_with(pipe(fd), EMFILE), "errno %d", errno);
	check_equal("pipe.took_nothing", dup(0), 63);
	for (int i = 3; i < 64; i++)
		close(i);
}

static void test_pipe(void)
{
	static char out[4096], in[4096];
	int fd[2], ok = 1;

	check_equal("pipe", pipe(fd), 0);
	check("pipe.descriptors", fd[0] == 3 && fd[1] == 4, "%d %d", fd[0], fd[1]);
	check_equal("pipe.write", write(fd[1], "hello", 5), 5);
	check_equal("pipe.read_short", read(fd[0], in, 2), 2);
	check_equal("pipe.read_rest", read(fd[0], in + 2, 100), 3);
	check("pipe.bytes", !memcmp(in, "hello", 5), "%s", in);
	for (unsigned i = 0; i < sizeof out; i++)
		out[i] = (char)(i * 7 + (i >> 8));
	for (int round = 0; round < 3; round++) {       /* from an odd place in the buffer: every piece wraps */
		ok &= write(fd[1], out, sizeof out) == sizeof out;
		memset(in, 0, sizeof in);
		ok &= read(fd[0], in, sizeof in) == sizeof in && !memcmp(in, out, sizeof in);
	}
	check("pipe.whole_buffer_wraps", ok, "bytes differ");
	check("pipe.wrong_end", fails_with(read(fd[1], in, 1), EBADF) && fails_with(write(fd[0], in, 1), EBADF),
	      "errno %d", errno);
	check_equal("pipe.write_nothing", write(fd[1], "", 0), 0);
	check_equal("pipe.read_nothing", read(fd[0], in, 0), 0);
	check("pipe.bad_source", fails_with(write(fd[1], (void *)0x30000000, 4), EFAULT), "errno %d", errno);
	write(fd[1], "x", 1);
	check("pipe.bad_target", fails_with(read(fd[0], (void *)0x30000000, 1), EFAULT), "errno %d", errno);
	check_equal("pipe.byte_kept_after_a_bad_target", read(fd[0], in, 9), 1);
	write(fd[1], "last", 4);
	close(fd[1]);
	check_equal("pipe.rest_after_close", read(fd[0], in, 9), 4);
	check_equal("pipe.end_of_file", read(fd[0], in, 9), 0);
	close(fd[0]);
	check("pipe.bad_pointer", fails_with(pipe((int *)0x30000000), EFAULT) && dup(0) == 3 && !close(3),
	      "errno %d", errno);
}

static void test_broken_pipe(void)
{
	struct sigaction a = { .sa_handler = on_broken_pipe };
	int fd[2];

	pipe(fd);
	sigaction(SIGPIPE, &a, 0);
	close(fd[0]);
	check("pipe.broken", fails_with(write(fd[1], "x", 1), EPIPE), "errno %d", errno);
	check_equal("pipe.broken.signal", broken_pipes, 1);
	close(fd[1]);
}

static short ask(int fd, short events, int milliseconds, int wanted)
{
	struct pollfd p = { fd, events, 0x7f };
	int n = poll(&p, 1, milliseconds);

	return n == wanted ? p.revents : -1;
}

static void test_poll(void)
{
	static char page[4096];
	struct pollfd several[3];
	int fd[2];

	pipe(fd);
	check_equal("poll.console_writable", ask(1, POLLIN | POLLOUT, 0, 1), POLLOUT);
	check_equal("poll.empty", ask(fd[0], POLLIN, 0, 0), 0);
	check_equal("poll.room", ask(fd[1], POLLOUT, -1, 1), POLLOUT);
	long before = times(0);
	check_equal("poll.timeout", ask(fd[0], POLLIN, 50, 0), 0);
	long waited = times(0) - before;
	check("poll.timeout_length", waited >= 5 && waited <= 8, "50 ms were %ld ticks", waited);
	write(fd[1], page, 1);
	check_equal("poll.byte", ask(fd[0], POLLIN, -1, 1), POLLIN);
	check_equal("poll.not_asked", ask(fd[0], 0, 0, 0), 0);
	write(fd[1], page, 4095);
	check_equal("poll.full", ask(fd[1], POLLOUT, 0, 0), 0);
	several[0] = (struct pollfd){ fd[0], POLLIN, 0 };
	several[1] = (struct pollfd){ -1, POLLIN, 7 };
	several[2] = (struct pollfd){ 33, POLLIN, 0 };
	check_equal("poll.several", poll(several, 3, -1), 2);
	check("poll.several.revents", several[0].revents == POLLIN && several[1].revents == 0 &&
	      several[2].revents == POLLNVAL, "%x %x %x", several[0].revents, several[1].revents, several[2].revents);
	close(fd[1]);
	check_equal("poll.hang_up", ask(fd[0], POLLIN, 0, 1), POLLIN | POLLHUP);
	while (read(fd[0], page, sizeof page) > 0)
		;
	check_equal("poll.hang_up_empty", ask(fd[0], POLLIN, 0, 1), POLLHUP);
	close(fd[0]);
	pipe(fd);
	close(fd[0]);
	check_equal("poll.error", ask(fd[1], POLLOUT, 0, 1), POLLERR | POLLOUT);
	close(fd[1]);
	check("poll.bad_pointer", fails_with(poll((void *)0x30000000, 1, 0), EFAULT), "errno %d", errno);
	check("poll.too_many", fails_with(poll(several, 65, 0), EINVAL), "errno %d", errno);
}

int main(void)
{
	test_descriptors();
	test_full_table();
	test_pipe();
	test_broken_pipe();
	test_poll();
	return check_failures() != 0;
}
