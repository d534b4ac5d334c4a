/* shm.h - segments of shared memory. */
#ifndef SHM_H
#define SHM_H

#include "uls.h"

#define MAX_SHM       32
#define SHM_MAX_PAGES 1024                 /* as many frame addresses as fit a page: 4 MB */

struct shm {
	char name[ULS_NAME_LEN];           /* SYS_uls_shm; empty in a System V segment */
	u32 key, id, sequence;             /* the id changes with each use of the slot */
	u32 uid, mode, creator, last;      /* creator, last: pids */
	u32 size, pages;                   /* pages = 0: the slot is free */
	u32 *frame;                        /* physical addresses */
	u32 sandbox;                       /* its address in the protected area, or 0 */
	u32 attached;                      /* VMAs and extensions */
	u8  by_extension[ULS_MAX_EXT];
	bool destroyed;                    /* goes with the last attachment */
};

struct shm *shm_create(u32 size, bool sandbox, s32 *error);
struct shm *shm_next(struct shm *after);       /* in use; after = 0: the first */
void shm_hold(struct shm *s);
void shm_drop(struct shm *s);
void shm_destroy(struct shm *s);
s32  shm_attach(struct mm *mm, struct shm *s, u32 wanted, bool writable);
void shm_abandon(struct extension *x);         /* detach whatever it had attached */
#endif
