/* borrower.c - uses a function of another extension, builder, which must therefore be loaded as long as this one is. */
#include <ringtoll/extensions.h>

void builder_copy(struct builder_record *to);

void handler(const struct uls_event *event)
{
	builder_copy((struct builder_record *)event->value);
}
