/* test_shm.c - System V shared memory between processes, and between a process and its extension. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <ringtoll/extensions.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <uls.h>
#include <unistd.h>

#define KEY 0x1234

static int fails_with(long result, int error) { return result == -1 && errno == error; }

static int in_child(int (*body)(void))
{
	int status = -1, pid = fork();

	if (pid == 0)
		_exit(body());
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int attached(int id)
{
	struct shmid_ds s;

	return shmctl(id, IPC_STAT, &s) ? -1 : (int)s.nattch;
}

/* ---- between processes ---- */
static int *shared;

static int write_inherited(void)
{
	shared[0] = 11;
	return attached(shmget(KEY, 1, 0)) != 2;
}

static int write_by_key(void)
{
	int *p = shmat(shmget(KEY, 100, 0), 0, 0);

	p[1000] = 22;
	return shmdt(p);
}

static int write_read_only(void)
{
	int *p = shmat(shmget(KEY, 100, 0), 0, SHM_RDONLY);
	struct sigaction a = { .sa_handler = SIG_DFL };

	sigaction(SIGSEGV, &a, 0);
	if (p[0] != 11)
		return 1;
	p[0] = 12;
	return 2;
}

static int as_another_user(void)
{
	int id = shmget(KEY, 100, 0);

	setuid(7);
	if (!fails_with(shmctl(id, IPC_RMID, 0), EPERM) || !fails_with((long)shmat(id, 0, 0), EACCES))
		return 1;
	return shmat(id, 0, SHM_RDONLY) == (void *)-1 ? 2 : 0;
}

static void test_processes(void)
{
	struct shmid_ds s;
	int id = shmget(KEY, 8192, IPC_CREAT | 0644);

	check("shmget.create", id >= 0, "errno %d", errno);
	check_equal("shmget.again", shmget(KEY, 8192, IPC_CREAT | 0644), id);
	check("shmget.exclusive", fails_with(shmget(KEY, 1, IPC_CREAT | IPC_EXCL), EEXIST), "errno %d", errno);
	check("shmget.larger", fails_with(shmget(KEY, 8193, 0), EINVAL), "errno %d", errno);
	check("shmget.unknown", fails_with(shmget(KEY + 1, 1, 0), ENOENT), "errno %d", errno);
	check("shmget.size", fails_with(shmget(IPC_PRIVATE, 0, 0), EINVAL) &&
	      fails_with(shmget(IPC_PRIVATE, 0x400001, 0), EINVAL), "errno %d", errno);
	shared = shmat(id, 0, 0);
	check("shmat", shared != (void *)-1 && !shared[0] && !shared[2047], "%p", shared);
	check_equal("fork.inherits_the_attachment", in_child(write_inherited), 0);
	check_equal("fork.sees_the_same_bytes", shared[0], 11);
	check_equal("shmat.by_key", in_child(write_by_key), 0);
	check_equal("shmat.same_bytes", shared[1000], 22);
	int status = in_child(write_read_only);
	check("shmat.read_only", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && shared[0] == 11, "0x%x", status);
	check_equal("shm.permissions", in_child(as_another_user), 0);
	check_equal("shmctl.stat", shmctl(id, IPC_STAT, &s), 0);
	check("shmctl.fields", s.key == KEY && s.size == 8192 && s.nattch == 1 && s.mode == 0644 && s.cpid == (abi_u32)getpid(),
	      "%x %u %u %o", s.key, s.size, s.nattch, s.mode);
	int *second = shmat(id, (void *)0x70000000, 0);
	check("shmat.where_asked", second == (int *)0x70000000 && second[1000] == 22, "%p", second);
	check("shmat.overlap", fails_with((long)shmat(id, (void *)0x70001000, 0), EINVAL), "errno %d", errno);
	check("shmat.not_aligned", fails_with((long)shmat(id, (void *)0x71000004, 0), EINVAL), "errno %d", errno);
	check("shmat.in_the_sandbox", fails_with((long)shmat(id, (void *)ULS_PROTECTED_BASE, 0), EINVAL), "errno %d", errno);
	check_equal("munmap.half", munmap(second, 4096), 0);
	check_equal("munmap.half_stays_attached", attached(id), 2);
	check_equal("munmap.rest", munmap((char *)second + 4096, 4096), 0);
	check_equal("munmap.detaches", attached(id), 1);
	check("shmdt.nothing_there", fails_with(shmdt(second), EINVAL), "errno %d", errno);
	check_equal("shmctl.rmid", shmctl(id, IPC_RMID, 0), 0);
	check("rmid.not_found", fails_with(shmget(KEY, 1, 0), ENOENT), "errno %d", errno);
	check_equal("rmid.attached_bytes_stay", shared[1000], 22);
	int other = shmget(KEY, 4096, IPC_CREAT | 0600);
	check("rmid.new_segment", other != id && other >= 0, "%d", other);
	shmctl(other, IPC_RMID, 0);
	check_equal("shmdt", shmdt(shared), 0);
	check_fault("shmdt.then_fault", probe_read((uint32_t)shared), 4, (uint32_t)shared);
	check("rmid.gone", fails_with(attached(id), EINVAL), "errno %d", errno);
}

static void test_given_back(void)
{
	int ok = 1;

	for (int i = 0; i < 40 && ok; i++) {             /* 160 MB in all, and more than there are slots */
		int id = shmget(IPC_PRIVATE, 0x400000, 0600);
		char *p = shmat(id, 0, 0);
		ok = id >= 0 && p != (void *)-1 && p[0] == 0 && p[0x3fffff] == 0;
		if (ok)
			p[0x3fffff] = 1;
		ok &= shmctl(id, IPC_RMID, 0) == 0 && shmdt(p) == 0;
	}
	check("shm.memory_comes_back", ok, "errno %d", errno);
}

/* ---- with an extension ---- */
static struct work *work;
static int work_id, extension_id;

static int ask(int op, int argument, int length)
{
	work->op = op;
	work->argument = argument;
	work->length = length;
	work->done = 0;
	return uls_post(extension_id, work_id);
}

static int set_up(void)
{
	extension_id = uls_register("worker");
	work_id = shmget(IPC_PRIVATE, 8192, SHM_SANDBOX | 0600);
	work = shmat(work_id, 0, 0);
	return extension_id >= 0 && work_id >= 0 && work != (void *)-1;
}

static int pages_to_fill;

static int fill(void)
{
	if (!set_up() || ask(WORK_FILL, 0, 0) || !work->done)
		return -1;
	pages_to_fill = work->result;
	return shmctl(work_id, IPC_RMID, 0);
}

static int fill_the_same(void)
{
	int before = pages_to_fill;

	return fill() || before != pages_to_fill;
}

static int fill_within_limit(void)
{
	struct rlimit limit = { 0x200000, 0x200000 };    /* 1 MB of it is the stack */

	setrlimit(RLIMIT_AS, &limit);
	return fill() || pages_to_fill < 100 || pages_to_fill > 0x100000 / 4096;
}

static int ends_while_its_extension_reads(void)
{
	int *fd = shared;

	if (!set_up())
		return 1;
	close(fd[1]);
	if (ask(WORK_READ, fd[0], 1) != 1)
		return 2;
	return shmctl(work_id, IPC_RMID, 0);
}

static int user_of_extension(void)
{
	if (!set_up())
		return 1;
	setuid(55);
	ask(WORK_GETUID, 0, 0);                          /* the segment is uid 0's alone: the extension cannot attach it now */
	if (work->done)
		return 5;
	work_id = shmget(IPC_PRIVATE, 4096, SHM_SANDBOX | 0600);
	work = shmat(work_id, 0, 0);
	ask(WORK_GETUID, 0, 0);
	if (work->result != 55)
		return 2;
	ask(WORK_KILL, 1, 0);
	if (work->result != -1 || work->error != EPERM)
		return 3;
	ask(WORK_GETPID, 0, 0);
	if (work->result != getpid())
		return 4;
	return shmctl(work_id, IPC_RMID, 0);
}

static void test_extension(void)
{
	int fd[2], plain = shmget(IPC_PRIVATE, 4096, 0600);
	char text[8] = "";

	if (!check("worker", set_up(), "errno %d", errno))
		return;
	check("segment.in_the_private_area", (uint32_t)work > ULS_PROTECTED_BASE + ULS_AREA_SIZE, "%p", work);
	check_equal("extension.attaches", ask(WORK_NOTHING, 0, 0), 0);
	check("extension.same_bytes", work->done == 1 && work->result == 0, "%u %d", work->done, work->result);
	check_equal("extension.detached", attached(work_id), 1);
	ask(WORK_ATTACH, plain, 0);
	check("extension.not_a_plain_segment", work->result == -1 && work->error == EINVAL, "%d %d", work->result, work->error);
	ask(WORK_MAKE, 0, 0);
	int made = work->result;
	char *p = shmat(made, 0, 0);
	check("extension.makes_a_segment", made >= 0 && p != (void *)-1 && p[0] == 0, "%d %p", made, p);
	ask(WORK_ATTACH, made, 0);
	check("extension.attaches_what_it_made", work->result == 0 && attached(made) == 2, "%d", attached(made));
	shmctl(made, IPC_RMID, 0);
	shmdt(p);
	check_equal("extension.holds_it", attached(made), 1);
	ask(WORK_HEAP, 0, 0);
	check_equal("extension.heap", work->result, 0);
	ask(WORK_MUNMAP_ALL, 0, 0);
	ask(WORK_HEAP, 0, 0);
	check_equal("extension.munmap_takes_only_its_own", work->result, 0);
	ask(WORK_FORK, 0, 0);
	check("extension.cannot_fork", work->result == -1 && work->error == EPERM, "%d %d", work->result, work->error);

	pipe(fd);
	memcpy(work->bytes, "from it", 8);
	ask(WORK_WRITE, fd[1], 8);
	check("extension.writes_its_creators_pipe", read(fd[0], text, 8) == 8 && !strcmp(text, "from it"), "%s", text);
	check_equal("extension.blocks_in_read", ask(WORK_READ, fd[0], 8), 1);
	check_equal("extension.still_blocked", work->done, 0);
	write(fd[1], "to it", 6);
	for (int i = 0; i < 20 && !work->done; i++)
		sleep_ms(10);
	check("extension.read", work->result == 6 && !strcmp(work->bytes, "to it"), "%d %s", work->result, work->bytes);
	ask(WORK_CLOSE, fd[0], 0);
	check("extension.closes_for_both", work->result == 0 && fails_with(close(fd[0]), EBADF), "%d", work->result);
	ask(WORK_WRITE, fd[1], 1);
	check("extension.broken_pipe_without_a_signal", work->result == -1 && work->error == EPIPE, "%d %d", work->result,
	      work->error);
	close(fd[1]);
	check_equal("unregister", uls_unregister(extension_id), 0);
	shmctl(plain, IPC_RMID, 0);
	shmctl(work_id, IPC_RMID, 0);
	shmdt(work);
}

static void test_creator_ends(void)
{
	struct pollfd p;

	shared = uls_shm("test_shm", 4096);
	check_equal("extension.acts_as_its_creators_user", in_child(user_of_extension), 0);
	check_equal("extension.fills_the_area", in_child(fill), 0);
	fill();
	check("extension.area", pages_to_fill > 500 && pages_to_fill < 1024, "%d pages", pages_to_fill);
	ask(WORK_MUNMAP_ALL, 0, 0);
	uls_unregister(extension_id);
	shmdt(work);
	check_equal("end.memory_comes_back", in_child(fill_the_same), 0);
	check_equal("end.memory_comes_back_again", in_child(fill_the_same), 0);
	check_equal("extension.within_its_creators_limit", in_child(fill_within_limit), 0);
	pipe(shared);
	int status = in_child(ends_while_its_extension_reads);
	check_equal("end.extension_was_in_read", status, 0);
	close(shared[0]);
	p = (struct pollfd){ shared[1], POLLOUT, 0 };
	check_equal("end.its_file_is_given_back", poll(&p, 1, 0) == 1 ? p.revents : -1, POLLOUT | POLLERR);
}

int main(void)
{
	probe_setup();
	test_processes();
	test_given_back();
	test_extension();
	test_creator_ends();
	return check_failures() != 0;
}
