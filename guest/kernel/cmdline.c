/*
 * cmdline.c - the kernel's options.
 *
 *   flush=invlpg|cr3|none   how opening and closing the sandbox invalidates (sandbox.c)
 *   entry=sysexit|iret      how upcalls enter ring 3 (upcall.c)
 *   global=on|off           global pages (CR4.PGE): the kernel's direct map and, with flush=invlpg, the sandbox's two. Off,
 *                           a CR3 write drops everything, as on processors before the Pentium Pro
 *   budget=N                ticks an upcall may run before it is aborted; 0 = no limit. Default 100 (1 s). An addition:
 *                           the published objective is "bounded execution of services", the value is ours
 *   bench=on|off            allow SYS_uls_bench
 *   uls_key=HEX             Ed25519 public key: the sandbox image must be sealed under it, and its extensions either
 *                           sealed as well or named by uls_trust (sandbox_load.c)
 *   uls_trust=NAME,...      extensions that need no seal
 *   small=on|off            small address spaces by segmentation (small.c)
 *   tagged=on|off           the TLB is tagged by page directory, which no IA-32 CPU's was: a what-if (address_space.c)
 *   exit=first|unwaited     status at the end: that of the first process that did not exit with 0, or the first such
 *                           process whose status nobody collected with waitpid (tests that kill their partner)
 */
#include "kernel.h"

struct options options = { .flush = ULS_FLUSH_INVLPG, .entry = ULS_ENTRY_SYSEXIT, .budget = 100, .bench = true, .global = true };

static u32 digit(char c)
{
	return c >= '0' && c <= '9' ? (u32)(c - '0') : c >= 'a' && c <= 'f' ? (u32)(c - 'a') + 10 : 16;
}

static void read_key(const char *hex)
{
	if (strlen(hex) != 2 * sizeof(options.key))
		panic("uls_key is not 64 hexadecimal digits");
	for (u32 i = 0; i < sizeof(options.key); i++) {
		u32 high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
		if (high > 15 || low > 15)
			panic("uls_key is not 64 hexadecimal digits");
		options.key[i] = (u8)(high << 4 | low);
	}
	options.sealed = true;
}

static void option(const char *word)
{
	if (!strcmp(word, "flush=invlpg"))
		options.flush = ULS_FLUSH_INVLPG;
	else if (!strcmp(word, "flush=cr3"))
		options.flush = ULS_FLUSH_CR3;
	else if (!strcmp(word, "flush=none"))
		options.flush = ULS_FLUSH_NONE;
	else if (!strcmp(word, "entry=sysexit"))
		options.entry = ULS_ENTRY_SYSEXIT;
	else if (!strcmp(word, "entry=iret"))
		options.entry = ULS_ENTRY_IRET;
	else if (!strcmp(word, "global=on"))
		options.global = true;
	else if (!strcmp(word, "global=off"))
		options.global = false;
	else if (!strncmp(word, "budget=", 7))
		options.budget = parse_number(word + 7);
	else if (!strcmp(word, "bench=on"))
		options.bench = true;
	else if (!strcmp(word, "bench=off"))
		options.bench = false;
	else if (!strcmp(word, "exit=first"))
		options.unwaited = false;
	else if (!strcmp(word, "exit=unwaited"))
		options.unwaited = true;
	else if (!strncmp(word, "uls_key=", 8))
		read_key(word + 8);
	else if (!strncmp(word, "uls_trust=", 10))
		options.trust = word + 10;              /* boot.cmdline stays */
	else if (!strncmp(word, "flush=", 6) || !strncmp(word, "entry=", 6) || !strncmp(word, "bench=", 6) ||
		 !strncmp(word, "exit=", 5) || !strncmp(word, "global=", 7))
		printk("unknown option: %s\n", word);
	else
		small_option(word);
}

/* Other words are ignored: QEMU puts the kernel's file name first. */
void cmdline_parse(char *line)
{
	while (*line) {
		while (*line == ' ')
			line++;
		char *word = line;
		while (*line && *line != ' ')
			line++;
		if (*line)
			*line++ = 0;
		option(word);
	}
}
