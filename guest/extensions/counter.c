/* counter.c - counts events and records their values in protected data; tests fetch the record (extensions.h). */
#include <ringtoll/extensions.h>

static struct counter_record record;

void init(const struct uls_event *event)
{
	(void)event;
	record = (struct counter_record){ .initialised = record.initialised + 1 };
}

void handler(const struct uls_event *event)
{
	if (event->number != record.last_number + 1)
		record.out_of_order++;
	record.last_number = event->number;
	if (event->value >= COUNTER_ADDRESS) {
		*(struct counter_record *)event->value = record;
		return;
	}
	if (record.count < COUNTER_VALUES)
		record.values[record.count] = event->value;
	record.count++;
	record.sum += event->value;
	record.last_source = event->source;
	record.last_pid = event->pid;
	record.last_time = event->time;
}
