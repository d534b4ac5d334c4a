/* isolation.c - a demonstration: what the sandbox's paging stops, what it does not, and that this is so every time. */
#include <check.h>
#include <isolation.h>
#include <stdio.h>

int main(void)
{
	struct boundary b[BOUNDARIES];
	char line[160];

	if (!check("isolation.extensions", try_isolation(b) == 0, "no snooper or no recorder in the image"))
		return 1;
	for (int i = 0; i < BOUNDARIES; i++) {
		describe_boundary(&b[i], line, sizeof line);
		printf("ISOLATION %s\n", line);
		if (b[i].should_hold)
			check("isolation.holds", !b[i].read && !b[i].write && b[i].read_error == 5 && b[i].write_error == 7,
			      "%s: errors %u %u", b[i].name, b[i].read_error, b[i].write_error);
		else
			check("isolation.is_open", b[i].read && b[i].write, "%s: read %d write %d", b[i].name, b[i].read, b[i].write);
	}
	return check_failures() != 0;
}
