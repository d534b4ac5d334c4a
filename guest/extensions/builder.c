/* builder.c - constructors run in the order of their priorities and before init; its record is there for others. */
#include <ringtoll/extensions.h>

static volatile struct builder_record record;

static void note(abi_u32 what)
{
	if (record.calls < BUILDER_CALLS)
		record.order[record.calls] = what;
	record.calls++;
}

static void __attribute__((constructor(BUILDER_SECOND))) second(void) { note(BUILDER_SECOND); }
static void __attribute__((constructor(BUILDER_FIRST))) first(void) { note(BUILDER_FIRST); }

void init(const struct uls_event *event)
{
	(void)event;
	note(BUILDER_INIT);
}

void builder_copy(struct builder_record *to)
{
	*to = record;
}

void handler(const struct uls_event *event)
{
	builder_copy((struct builder_record *)event->value);
}
