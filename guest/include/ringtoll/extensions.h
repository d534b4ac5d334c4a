/* extensions.h - what the extensions used by tests and benchmarks understand. */
#ifndef RINGTOLL_EXTENSIONS_H
#define RINGTOLL_EXTENSIONS_H
#include <ringtoll/abi.h>

/*
 * counter: an event's value is counted and recorded, unless it is an address: then the record is copied there.
 * An upcall runs on the page tables of the process that is current, so an extension can write into that process -
 * paging does not prevent it (only trust in the extension does), and here the tests make use of it.
 */
#define COUNTER_ADDRESS 0x08000000u     /* values from here on are addresses */
#define COUNTER_VALUES  64

struct counter_record {
	abi_u32 count, sum;
	abi_u32 out_of_order;     /* events whose number was not the last one's + 1 */
	abi_u32 last_number, last_source, last_pid;
	abi_u64 last_time;
	abi_u32 initialised;      /* times `init` ran */
	abi_u32 values[COUNTER_VALUES];     /* of the first events */
};

/*
 * builder: has two constructors, and `init`; an event's value is an address to which the order of their calls is copied.
 * borrower: the same by builder's own function, which it calls as its own.
 */
#define BUILDER_CALLS 8

struct builder_record { abi_u32 calls, order[BUILDER_CALLS]; };

#define BUILDER_FIRST  101              /* the constructors' priorities */
#define BUILDER_SECOND 200
#define BUILDER_INIT   1

/* toucher: the event's value chooses the offence. */
#define TOUCH_NOTHING       0
#define TOUCH_READ_KERNEL   1
#define TOUCH_WRITE_KERNEL  2
#define TOUCH_WRITE_PUBLIC  3
#define TOUCH_JUMP_KERNEL   4
#define TOUCH_PRIVILEGED    5     /* CLI */
#define TOUCH_KERNEL_ADDRESS 0xC0000000u

/* worker: the event's value is the id of a segment in the protected area; this lies at its start. */
enum {
	WORK_NOTHING, WORK_HEAP, WORK_FILL, WORK_WRITE, WORK_READ, WORK_CLOSE, WORK_GETUID, WORK_GETPID, WORK_KILL, WORK_FORK,
	WORK_ATTACH, WORK_MAKE, WORK_MUNMAP_ALL,
};

struct work {
	abi_u32 op, argument, length;
	abi_s32 result, error;
	abi_u32 done;
	char bytes[64];
};

/* recorder, nester, blocker and porter: a value from here on is the address of what they report (in the process that is
 * current, as counter). Programs begin above it. */
#define RECORDER_ADDRESS 0x08000000u
#define RECORDER_EVENTS  64

struct recording { abi_u32 count; struct uls_event event[RECORDER_EVENTS]; };

/* nester: value = own id << 8 | other's id | NEST: posts one event to the other, NEST_DEPTH to itself */
#define NEST_DEPTH 4
#define NEST       0x10000u
#define NEST_REVOKED 0x1000000u          /* | own id << 8 | blocker's id: has the blocker revoke it */
struct nesting {
	int other_result, self_result;       /* of SYS_uls_post */
	abi_u32 other_ran_inside, other_queued;
	abi_u32 self_inside;                 /* own events that were handled before the upcall was over */
	abi_u32 seen, order[NEST_DEPTH];
};

/* blocker: value = BLOCK_x << 24 | argument */
#define BLOCK_SLEEP      0xf1u           /* milliseconds */
#define BLOCK_READ       0xf2u           /* descriptor */
#define BLOCK_WAIT       0xf3u           /* pid */
#define BLOCK_SPIN       0xf4u           /* thousand rounds */
#define BLOCK_LEAVE      0xf5u           /* id: uls_unregister() of it */
#define BLOCK_REVOKE     0xf6u           /* id */
#define BLOCK_SLEEP_SPIN 0xf7u           /* milliseconds, and then for ever */
#define BLOCK_PRIVATE    0xf8u           /* reads a page of the process that is current */
struct blocking {
	abi_u32 begun, ended, survived;      /* survived: uls_unregister() of itself came back */
	int result, error, status;
	abi_u32 seen;
	char bytes[16];
};

/* snooper: value = address of this, in the process that is current */
struct snoop { abi_u32 write, address, value; };

/* faulter: value = vector */
#define FAULTER_ADDRESS 0xfffff000u

/* porter: value = PORT_x << 24 | port << 8 | byte. PORT_REPORT: the rest is the offset of the address to report to */
#define PORT_IN       1
#define PORT_OUT      2
#define PORT_SLEEP_IN 3
#define PORT_REPORT   4
struct port_access { abi_u32 tried, done; abi_u8 byte; };

/* libc_user: the event's value; libc_peer: an address as the value. */
#define LIBC_CHECKS 1
#define LIBC_SHARE  2
#define LIBC_KEEP   3
#define LIBC_FRESH  4
#define LIBC_MAIL   8

struct libc_peer_record { abi_u32 ticks, freed, damaged, in_use, without_break; };
#endif
