/*
 * process.c - tasks, and processes from boot modules.
 *
 * A module's string is `name [prio=N] [small] arguments...`; `small` asks for a small address space (small.c). Some
 * loaders (QEMU, GRUB legacy) put the file name in front: a first word that looks like one is skipped.
 */
#include "file.h"
#include "uls.h"

#define STACK_LIMIT 0x100000                /* 1 MB below mm->top, allocated page by page as it is touched */
#define SMALL_STACK_LIMIT 0x20000           /* of the 4 MB of a window */
#define MAX_ARGS    32

u32 last_pid;

struct task *task_alloc(const char *name)
{
	_Static_assert(offsetof(struct task, work) == TASK_WORK && offsetof(struct task, flags) == TASK_FLAGS, "layout.h");
	_Static_assert(sizeof(struct task) < 2560, "leave room for the kernel stack");
	_Static_assert(STACK_SIZE == PAGE_SIZE << STACK_ORDER, "layout.h");
	reap_dead();
	struct task *t = alloc_pages(STACK_ORDER);
	if (!t)
		return 0;
	memset(t, 0, sizeof(*t));
	copy_string(t->name, name, sizeof(t->name));
	t->leader = t;
	t->esp0 = (u32)t + STACK_SIZE;
	t->slice = t->slice_left = DEFAULT_SLICE;
	t->state = TASK_SLEEPING;
	return t;
}

struct task *task_create(const char *name)
{
	struct task *t = task_alloc(name);
	if (!t)
		panic("out of memory");
	return t;
}

struct task *find_task(u32 pid)
{
	for (struct task *t = task_list; t; t = t->next_task)
		if (t->pid == pid)
			return t;
	return 0;
}

/* The next thread of that process that has not ended, `after` = 0 for the first. */
struct task *next_thread(const struct task *leader, const struct task *after)
{
	struct task *t = after ? after->next_task : task_list;
	while (t && (t->leader != leader || t->state == TASK_ZOMBIE))
		t = t->next_task;
	return t;
}

/* The switch frame (switch.S) under the pt_regs returns straight to the way out. FS and GS are the creator's. */
void task_start(struct task *t)
{
	u32 *frame = (u32 *)task_regs(t) - 7;
	memset(frame, 0, 6 * 4);
	if (t->parent || t->leader != t) {
		asm volatile("movl %%gs, %0" : "=r"(frame[0]));
		asm volatile("movl %%fs, %0" : "=r"(frame[1]));
	}
	frame[6] = options.small ? (u32)small_ret_to_user : (u32)ret_to_user;
	t->esp = (u32)frame;

	struct task **end = &task_list;
	while (*end)
		end = &(*end)->next_task;
	*end = t;
	wake_up(t);
}

/* Push bytes on a stack that is not mapped here: through the direct map. */
static u32 push_bytes(struct mm *mm, u32 sp, const void *from, u32 n)
{
	for (u32 i = 0; i < n; i++)
		*(char *)mm_touch(mm, sp - n + i) = ((const char *)from)[i];
	return sp - n;
}

/* Linux's start: ESP -> argc, argv[0..argc-1], 0, (environment) 0, (auxiliary vector) 0, 0 */
static u32 build_stack(struct mm *mm, u32 argc, char argv[][64])
{
	u32 pointer[MAX_ARGS + 5], sp = mm->top - 16;
	memset(pointer, 0, sizeof(pointer));
	for (u32 i = 0; i < argc; i++)
		pointer[1 + i] = sp = push_bytes(mm, sp, argv[i], strlen(argv[i]) + 1);
	pointer[0] = argc;
	u32 n = (argc + 5) * 4;
	sp = ALIGN_DOWN(sp - n, 16);
	return push_bytes(mm, sp + n, pointer, n);
}

static bool is_file_name(const char *word)
{
	u32 n = strlen(word);
	for (u32 i = 0; i < n; i++)
		if (word[i] == '/')
			return true;
	return n > 4 && !strcmp(word + n - 4, ".elf");
}

static u32 split(const char *s, char words[][64])
{
	u32 n = 0;
	while (n < MAX_ARGS) {
		while (*s == ' ')
			s++;
		if (!*s)
			break;
		u32 k = 0;
		for (; *s && *s != ' '; s++)
			if (k < 63)
				words[n][k++] = *s;
		words[n++][k] = 0;
	}
	return n;
}

bool module_is_sandbox(const struct module *m);
static char words[MAX_ARGS][64];

bool module_is_sandbox(const struct module *m)
{
	u32 n = split(m->string, words), at = n > 1 && is_file_name(words[0]);
	return n && !strcmp(words[at], "sandbox");
}

void process_start(const struct module *m)
{
	u32 n = split(m->string, words), first = n > 1 && is_file_name(words[0]), priority = 0;
	bool small = false;
	if (n == 0) {
		copy_string(words[0], "process", 64);
		n = 1;
	}
	for (; n > first + 1; first++) {
		if (!strncmp(words[first + 1], "prio=", 5))
			priority = parse_number(words[first + 1] + 5);
		else if (small_word(words[first + 1]))
			small = true;
		else
			break;
		memcpy(words[first + 1], words[first], 64);         /* the name moves up over it */
	}

	struct mm *mm = small ? small_mm_create(words[first]) : mm_create();
	if (!mm) {
		bad_modules++;
		return;
	}
	u32 entry = elf_load(mm, m);
	if (!entry || mm_add(mm, mm->top - (small ? SMALL_STACK_LIMIT : STACK_LIMIT), mm->top, true, 0) < 0) {
		printk("module %s: not an executable for this kernel\n", words[first]);
		mm_put(mm);
		bad_modules++;
		return;
	}
	struct task *t = task_create(words[first]);
	struct files *files = files_create();
	if (!files)
		panic("out of memory");
	t->mm = mm;
	t->files = files;
	t->pid = ++last_pid;
	t->threads = 1;
	t->from_boot = true;
	limits_init(t);
	process_count++;

	struct pt_regs *regs = task_regs(t);
	memset(regs, 0, sizeof(*regs));
	regs->ds = regs->es = regs->ss = SEL_USER_DS;
	regs->cs = SEL_USER_CS;
	regs->eip = entry;
	regs->esp = build_stack(mm, n - first, &words[first]);
	regs->eflags = EFLAGS_IF | 2;
	if (priority)
		sched_set(t, SCHED_RR, priority > 99 ? 99 : priority);
	printk("process %u: %s, %u KB%s", t->pid, t->name, (m->end - m->start + 1023) / 1024, priority ? "" : "\n");
	if (priority)
		printk(", real-time priority %u\n", t->priority);
	task_start(t);
}
