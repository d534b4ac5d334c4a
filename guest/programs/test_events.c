/* test_events.c - event sources, and queues: nothing lost, nothing merged, in order, by priority, all accounted for. */
#include <errno.h>
#include <poll.h>
#include <ringtoll/extensions.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <syscall.h>
#include <time.h>
#include <uls_check.h>
#include <unistd.h>

static int recorder;
static struct recording got;

/* After fork() our pages are copy-on-write, and an upcall does not get the kernel to copy them: touch them first. */
static struct recording *fetch(void)
{
	memset(&got, 0, sizeof got);
	uls_post(recorder, (abi_u32)&got);
	return &got;
}

static int threaded(int on) { return uls_control(recorder, ULS_CONTROL_MODE, on ? ULS_MODE_THREADED : ULS_MODE_DIRECT); }

/* ---- queues ---- */

/* Waiting in threaded mode, since a thread of our own priority does not run before we sleep. */
static void test_order(void)
{
	static const unsigned char priority[] = { 3, 0, 31, 3, 0, 31, 7, 3 }, expected[] = { 2, 5, 6, 0, 3, 7, 1, 4 };
	int right = 1;

	fetch();
	threaded(1);
	for (unsigned i = 0; i < sizeof priority; i++)
		check_equal("order.raise", uls_raise(recorder, priority[i], i), 0);
	check_equal("order.waiting", info_of(recorder).queued, sizeof priority);
	check_adds_up("order.adds_up_waiting", recorder);
	threaded(0);
	fetch();
	check_equal("order.delivered", got.count, sizeof priority);
	for (unsigned i = 0; i < sizeof priority; i++)
		right &= got.event[i].value == expected[i];
	check("order.highest_first_then_fifo", right, "%u %u %u %u ...", got.event[0].value, got.event[1].value,
	      got.event[2].value, got.event[3].value);
	right = 1;
	for (unsigned i = 1; i < sizeof priority; i++)
		right &= got.event[i].number != got.event[i - 1].number;
	check("order.numbers_are_of_raising", right && got.event[0].number == got.event[3].number + 2, "%u %u",
	      got.event[0].number, got.event[3].number);
	check("order.time_of_raising", got.event[0].time > got.event[3].time && got.event[3].time < got.event[4].time, "");
	check_equal("order.raiser", got.event[0].pid, getpid());
	check("order.bad_priority", fails_with(uls_raise(recorder, 32, 0), EINVAL), "errno %d", errno);
	check_equal("order.control_gives_the_value_before", uls_control(recorder, ULS_CONTROL_PRIORITY, 9), 0);
	check_equal("order.priority", uls_control(recorder, ULS_CONTROL_PRIORITY, 0), 9);
}

static void test_bound(void)
{
	struct uls_info before = info_of(recorder), after;
	int refused = 0;

	fetch();
	threaded(1);
	for (int i = 0; i < ULS_QUEUE_LEN + 5; i++)
		refused += fails_with(uls_raise(recorder, i % 3, i), EAGAIN);
	after = info_of(recorder);
	check_equal("bound.refused", refused, 5);
	check_equal("bound.queued", after.queued, ULS_QUEUE_LEN);
	check_equal("bound.overflow_counted", after.overflowed - before.overflowed, 5);
	check_equal("bound.accepted", after.raised - before.raised, ULS_QUEUE_LEN + 1);
	sleep_ms(20);
	check_equal("bound.thread_drained", info_of(recorder).queued, 0);
	threaded(0);
	check_equal("bound.all_delivered", fetch()->count, ULS_QUEUE_LEN);
	check_adds_up("bound.adds_up", recorder);
}

/* N raised, N delivered, whatever way, with timer events in between. */
static void test_many(void)
{
	struct uls_info before = info_of(recorder), after;
	unsigned n = 3000, refused = 0;

	uls_bind(recorder, ULS_SOURCE_TIMER, 1);
	for (unsigned i = 0; i < n; i++) {
		if (i % 500 == 0)
			threaded(i / 500 & 1);
		refused += uls_raise(recorder, i % 32, i) != 0;
		if (i % 20 == 19)
			sched_yield();
	}
	uls_unbind(recorder, ULS_SOURCE_TIMER, 1);
	threaded(0);
	sleep_ms(10);
	after = info_of(recorder);
	check_equal("many.none_refused", refused, 0);
	check("many.raised", after.raised - before.raised >= n, "%u", after.raised - before.raised);
	check_equal("many.delivered_as_raised", after.delivered - before.delivered, after.raised - before.raised);
	check_equal("many.dropped", after.dropped, 0);
	check_adds_up("many.adds_up", recorder);
}

static void test_nested(void)
{
	int nester = uls_register("nester");
	struct nesting n;
	int right = 1;

	fetch();
	uls_post(nester, NEST | (abi_u32)nester << 8 | (abi_u32)recorder);
	uls_post(nester, (abi_u32)&n);
	check_equal("nested.other_waits", n.other_ran_inside, 0);
	check_equal("nested.other_post_says_queued", n.other_result, 1);
	check_equal("nested.other_queued", n.other_queued, 1);
	check_equal("nested.self_waits", n.self_inside, 0);
	check_equal("nested.self_post_says_queued", n.self_result, 1);
	check_equal("nested.self_delivered", n.seen, NEST_DEPTH);
	for (abi_u32 i = 0; i < NEST_DEPTH; i++)
		right &= n.order[i] == i + 1;
	check("nested.self_in_order", right, "%u %u", n.order[0], n.order[1]);
	fetch();
	check_equal("nested.other_delivered_after", got.count, 1);
	check_equal("nested.raiser_is_the_interrupted_process", got.event[0].pid, getpid());
	check_adds_up("nested.adds_up", nester);
	uls_unregister(nester);
}

/* ---- sources ---- */

static void test_timer(void)
{
	fetch();
	check_equal("timer.bind", uls_bind(recorder, ULS_SOURCE_TIMER, 2), 0);
	sleep_ms(100);
	check_equal("timer.unbind", uls_unbind(recorder, ULS_SOURCE_TIMER, 2), 0);
	fetch();
	check("timer.count", got.count >= 4 && got.count <= 7, "%u", got.count);
	check("timer.payload", got.event[0].source == ULS_SOURCE_TIMER && got.event[1].value - got.event[0].value == 2, "%u %u",
	      got.event[0].source, got.event[1].value - got.event[0].value);
	check("timer.unbind_twice", fails_with(uls_unbind(recorder, ULS_SOURCE_TIMER, 2), ENOENT), "errno %d", errno);
	check("bind.unknown_source", fails_with(uls_bind(recorder, 99, 1), EINVAL), "errno %d", errno);
	for (int i = 0; i < 8; i++)
		uls_bind_to(recorder, ULS_SOURCE_RESOURCE, getpid(), 0), uls_bind(recorder, ULS_SOURCE_EXIT, 0);
	check_equal("bind.cleanup", uls_unbind(recorder, ULS_SOURCE_EXIT, 0), 0);
}

static void out(unsigned short port, unsigned char byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "d"(port)); }

/* The UART's own loop sends to itself what it is given. */
static void test_uart(void)
{
	static const char text[] = "uls";

	fetch();
	syscall_int80(SYS_ioperm, 0x3f8, 8, 1, 0, 0, 0);
	uls_bind(recorder, ULS_SOURCE_UART, 0);
	sleep_ms(20);                            /* what was printed is out */
	out(0x3fc, 0x1b);
	for (int i = 0; text[i]; i++) {
		out(0x3f8, text[i]);
		sleep_ms(10);
	}
	out(0x3fc, 0x0b);
	check_equal("uart.unbind", uls_unbind(recorder, ULS_SOURCE_UART, 0), 0);
	fetch();
	check_equal("uart.one_event_a_byte", got.count, 3);
	check("uart.bytes", got.event[0].value == 'u' && got.event[1].value == 'l' && got.event[2].value == 's' &&
	      got.event[0].source == ULS_SOURCE_UART, "%x %x", got.event[0].value, got.event[1].value);
	char read_back[8];
	check_equal("uart.console_has_them_too", read(0, read_back, 8), 3);
}

static void test_descriptor(void)
{
	int fd[2];
	char byte;

	pipe(fd);
	fetch();
	check_equal("fd.bind", uls_bind_to(recorder, ULS_SOURCE_FD, fd[0], POLLIN), 0);
	check_equal("fd.not_ready_yet", fetch()->count, 0);
	write(fd[1], "a", 1);
	write(fd[1], "b", 1);
	fetch();
	check_equal("fd.once_while_ready", got.count, 1);
	check("fd.payload", got.event[0].source == ULS_SOURCE_FD && got.event[0].value == (abi_u32)fd[0] + (POLLIN << 16), "%x",
	      got.event[0].value);
	read(fd[0], &byte, 1);
	write(fd[1], "c", 1);
	check_equal("fd.still_ready", fetch()->count, 0);
	read(fd[0], &byte, 1);
	read(fd[0], &byte, 1);
	write(fd[1], "d", 1);
	check_equal("fd.ready_again", fetch()->count, 1);
	uls_unbind(recorder, ULS_SOURCE_FD, fd[0]);
	uls_bind_to(recorder, ULS_SOURCE_FD, fd[0], POLLIN);
	check_equal("fd.ready_at_binding", fetch()->count, 1);
	close(fd[1]);
	fetch();
	check("fd.hang_up", got.count == 1 && (got.event[0].value >> 16 & POLLHUP), "%u %x", got.count, got.event[0].value);
	close(fd[0]);
	check("fd.closed", fails_with(uls_bind_to(recorder, ULS_SOURCE_FD, fd[0], POLLIN), EBADF), "errno %d", errno);
	check("fd.no_events", fails_with(uls_bind_to(recorder, ULS_SOURCE_FD, 1, 0), EINVAL), "errno %d", errno);
	uls_unbind(recorder, ULS_SOURCE_FD, fd[0]);
}

static void test_exit(void)
{
	int first, second;

	fetch();
	if (!(first = fork())) {
		sleep_ms(30);
		_exit(7);
	}
	check_equal("exit.bind", uls_bind(recorder, ULS_SOURCE_EXIT, first), 0);
	if (!(second = fork()))
		_exit(1);
	waitpid(second, 0, 0);
	check_equal("exit.another", fetch()->count, 0);
	waitpid(first, 0, 0);
	fetch();
	check("exit.payload", got.count == 1 && got.event[0].source == ULS_SOURCE_EXIT &&
	      got.event[0].value == ((abi_u32)first | 0x700 << 16), "%u %x", got.count, got.event[0].value);
	check("exit.binding_is_gone", fails_with(uls_unbind(recorder, ULS_SOURCE_EXIT, first), ENOENT), "errno %d", errno);
	check("exit.no_process", fails_with(uls_bind(recorder, ULS_SOURCE_EXIT, first), ESRCH), "errno %d", errno);
	uls_bind(recorder, ULS_SOURCE_EXIT, 0);
	for (int i = 0; i < 2; i++) {
		if (!(first = fork())) {
			sleep_ms(1000);
			_exit(0);
		}
		kill(first, SIGKILL);
		waitpid(first, 0, 0);
	}
	fetch();
	check("exit.any", got.count == 2 && got.event[1].value == ((abi_u32)first | SIGKILL << 16), "%u %x", got.count,
	      got.event[1].value);
	uls_unbind(recorder, ULS_SOURCE_EXIT, 0);
}

static void test_resource(void)
{
	char *pages = mmap(0, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int child;

	fetch();
	if (!(child = fork()))
		for (;;)
			;
	check_equal("resource.cpu.bind", uls_bind_to(recorder, ULS_SOURCE_RESOURCE, child, ULS_RESOURCE_CPU << 24 | 5), 0);
	sleep_ms(150);
	fetch();
	check("resource.cpu", got.count == 1 && got.event[0].value == 5 && got.event[0].source == ULS_SOURCE_RESOURCE, "%u %u",
	      got.count, got.event[0].value);
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	check("resource.binding_ends_with_the_process", fails_with(uls_unbind(recorder, ULS_SOURCE_RESOURCE, child), ENOENT),
	      "errno %d", errno);

	uls_bind_to(recorder, ULS_SOURCE_RESOURCE, getpid(), ULS_RESOURCE_FILES << 24 | 5);
	int a = dup(1);
	sleep_ms(20);
	check_equal("resource.files.below", fetch()->count, 0);
	int b = dup(1);
	sleep_ms(20);
	check_equal("resource.files", fetch()->count, 1);
	sleep_ms(20);
	check_equal("resource.files.once", fetch()->count, 0);
	close(b);
	sleep_ms(20);
	b = dup(1);
	sleep_ms(20);
	check_equal("resource.files.again", fetch()->count, 1);
	close(a);
	close(b);

	uls_bind_to(recorder, ULS_SOURCE_RESOURCE, getpid(), ULS_RESOURCE_MEMORY << 24 | 1);
	sleep_ms(20);
	unsigned now = fetch()->event[0].value;
	uls_bind_to(recorder, ULS_SOURCE_RESOURCE, getpid(), ULS_RESOURCE_MEMORY << 24 | (now + 40));
	sleep_ms(20);
	check_equal("resource.memory.below", fetch()->count, 0);
	for (int i = 0; i < 64; i++)
		pages[i * 4096] = 1;
	sleep_ms(20);
	fetch();
	check("resource.memory", got.count == 1 && got.event[0].value >= now + 64, "%u %u (was %u)", got.count,
	      got.event[0].value, now);
	check("resource.unknown", fails_with(uls_bind_to(recorder, ULS_SOURCE_RESOURCE, getpid(), 9 << 24), EINVAL), "");
	check("resource.no_process", fails_with(uls_bind_to(recorder, ULS_SOURCE_RESOURCE, 999, 1 << 24), ESRCH), "");
	uls_unbind(recorder, ULS_SOURCE_RESOURCE, getpid());
}

/* The owner sleeps, then ends; its extension goes with it. */
static void test_owner_away(void)
{
	int owner, status, counter;

	if (!(owner = fork())) {
		counter = uls_register("counter");
		uls_bind(counter, ULS_SOURCE_TIMER, 1);
		sleep_ms(200);
		uls_control(counter, ULS_CONTROL_MODE, ULS_MODE_THREADED);
		uls_raise(counter, 0, 1);
		_exit(0);
	}
	sleep_ms(20);
	counter = uls_lookup("counter");
	unsigned before = info_of(counter).delivered;
	for (long start = times(0); times(0) - start < 12 && info_of(counter).delivered - before < 5;)
		hold_registers(100000, 0);
	struct uls_info i = info_of(counter);
	check("away.runs_while_its_owner_sleeps", i.delivered - before >= 5 && i.last_pid == (abi_u32)getpid(), "%u, pid %u",
	      i.delivered - before, i.last_pid);
	waitpid(owner, &status, 0);
	check("away.gone_with_its_owner", fails_with(uls_lookup("counter"), ENOENT), "errno %d", errno);
	check("away.post_refused", fails_with(uls_post(counter, 1), EINVAL), "errno %d", errno);
	before = info_of(counter).delivered;
	sleep_ms(50);
	check_equal("away.timer_is_gone", info_of(counter).delivered, before);
	check_adds_up("away.adds_up", counter);
	check_equal("away.others_may_have_it", uls_register("counter"), counter);
	check_equal("away.fresh", info_of(counter).raised, 1);      /* init */
	uls_unregister(counter);
}

int main(void)
{
	probe_setup();
	recorder = uls_register("recorder");
	check("registered", recorder >= 0, "errno %d", errno);
	test_order();
	test_bound();
	test_many();
	test_nested();
	test_timer();
	test_uart();
	test_descriptor();
	test_exit();
	test_resource();
	test_owner_away();
	return check_failures() != 0;
}
