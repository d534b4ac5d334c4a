/* file.h - open files, descriptor tables, readiness. */
#ifndef FILE_H
#define FILE_H

#include "task.h"

struct file;

/* The buffers are user addresses. read and write may sleep; poll and release never do. */
struct file_ops {
	s32  (*read)(struct file *f, u32 to, u32 n);
	s32  (*write)(struct file *f, u32 from, u32 n);
	u32  (*poll)(struct file *f);          /* the POLLx that hold now */
	void (*release)(struct file *f);       /* the last reference is gone */
};

struct file {
	const struct file_ops *ops;
	u32 refs;                              /* descriptors, and calls that are inside an operation */
	void *data;
};

#define MAX_FILES 64

/* One table for all threads of a process and for its extensions. */
struct files {
	u32 refs;
	u32 limit;                             /* RLIMIT_NOFILE: descriptors are below it */
	struct file *file[MAX_FILES];
};

/* file.c */
struct file *file_create(const struct file_ops *ops, void *data);
void file_discard(struct file *f);             /* created, but it never came to use: no release */
static inline struct file *file_hold(struct file *f) { f->refs++; return f; }
void file_put(struct file *f);
void file_abandon(struct task *t);             /* t will never return from the operation that it sleeps in */
void file_ready(struct file *f);               /* its poll state may have changed; interrupts on or off */
void uls_file_ready(struct file *f, u32 revents);      /* source.c: the event source FD */

struct files *files_create(void);              /* 0, 1, 2 = console */
struct files *files_copy(const struct files *from);
void files_put(struct files *files);
struct files *current_files(void);             /* an extension's are its creator's */
struct file *file_of(const struct files *files, u32 fd);       /* or 0; no reference is taken */
s32  file_install(struct files *files, struct file *f);        /* -> the lowest free descriptor or -EMFILE */
u32  files_open(const struct files *files);    /* open descriptors */

extern struct file console_file;               /* console_file.c */
extern struct wait_queue poll_wait;            /* poll.c: whoever is in poll() */
#endif
